//! Faults between the operator and a cluster that it reads, on real servers through a proxy: each is told in time,
//! what was last known is kept and marked, no other cluster suffers, memory stays within the budget, and once the
//! fault is over the report is what one would compute anew.

mod home;
mod lane;
mod scratch;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use local_cluster::{Access, Cluster, wait_until};
use story::proxy::{ENDLESS, Fault};

use crate::{
    home::Home,
    lane::{Lane, Told},
};

const MIB: u64 = 1 << 20;
/// Of one cluster.
const BUDGET: u64 = 256 * MIB;
/// What the allocator and the other clusters take meanwhile.
const ASIDE: u64 = 32 * MIB;
/// For what is not to be held at all.
const FAR_BELOW: u64 = 64 * MIB;
const ASKED_AGAIN_WITHIN: Duration = Duration::from_secs(120);
/// Before a stream would be found dead for its silence.
const FOUND_OUT_WITHIN: Duration = Duration::from_secs(60);
/// How often the same may be asked while a fault lasts.
const MOST_ASKED: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_a_cluster_is_hidden_or_lasts() -> Result<()> {
    let (home, far) = tokio::try_join!(Home::start(), Cluster::builder().start())?;
    let (silent, lying, huge) = tokio::try_join!(
        Lane::open(&home, &far, "silent"),
        Lane::open(&home, &far, "lying"),
        Lane::open(&home, &far, "huge"),
    )?;
    let endured = tokio::join!(
        nothing_passes(&silent),
        nothing_true_is_said(&lying),
        too_much_is_sent(&home, &far, &huge),
    );
    let endured: Vec<String> = [endured.0, endured.1, endured.2]
        .into_iter()
        .filter_map(|endured| Some(format!("{:#}", endured.err()?)))
        .collect();
    ensure!(endured.is_empty(), "{}", endured.join("\n"));
    restarted_and_restored(&far, &silent).await?;
    drop((silent, lying, huge));
    let Home {
        cluster,
        mut operator,
    } = home;
    operator.stop().await?;
    far.end().await;
    cluster.end().await;
    Ok(())
}

const LOST: Told = Told {
    reachable: "False",
    reasons: &["TimedOut", "ConnectionFailed", "ConnectionBroken"],
};

async fn nothing_passes(lane: &Lane<'_>) -> Result<()> {
    lane.endure(Fault::Reset, &LOST).await?;
    lane.endure(Fault::Blackhole, &LOST).await?;
    lane.endure(Fault::Trickle, &LOST).await
}

async fn nothing_true_is_said(lane: &Lane<'_>) -> Result<()> {
    half_open(lane).await?;
    let unauthorized = Told {
        reachable: "False",
        reasons: &["Unauthorized"],
    };
    without_storm(lane, Fault::Unauthorized, &unauthorized).await?;
    let expired = Told {
        reachable: "True",
        reasons: &["Expired"],
    };
    without_storm(lane, Fault::Expired, &expired).await?;
    let throttled = Told {
        reachable: "True",
        reasons: &["TooManyRequests"],
    };
    let retry_after = Duration::from_secs(5);
    let nearest = without_storm(lane, Fault::Throttled { retry_after }, &throttled).await?;
    ensure!(nearest >= retry_after, "asked again after {nearest:?}");
    Ok(())
}

async fn restarted_and_restored(far: &Cluster, lane: &Lane<'_>) -> Result<()> {
    let begun = Instant::now();
    let saved = far.save_state().await?;
    println!(
        "the API server was restarted in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    lane.change("restarted").await?;
    lane.recovered("the restart to be over").await?;

    for name in ["lost-1", "lost-2", "lost-3"] {
        lane.change(name).await?;
    }
    lane.recovered("what will be lost").await?;
    let lost = lane.rows().await?;
    far.restore_state(&saved).await?;
    // Nothing tells of it: that the versions that were reached are still to come has to be found out.
    let begun = Instant::now();
    lane.recovered("the older state").await?;
    ensure!(
        begun.elapsed() < FOUND_OUT_WITHIN,
        "found out after {:?}",
        begun.elapsed()
    );
    let found = lane.rows().await?;
    ensure!(found != lost, "the older state is the newer one: {found:#?}");
    lane.change("found").await?;
    lane.recovered("what came after the older state").await
}

/// Nobody says that the streams are dead: they have to be found out.
async fn half_open(lane: &Lane<'_>) -> Result<()> {
    // A connection that nothing has been asked on since is not missed.
    wait_until(ASKED_AGAIN_WITHIN, "a look whether it answers", async || {
        let asked = lane.proxy.asked_since(lane.opened);
        let looks = asked.iter().filter(|asked| asked.what == "GET /version");
        ensure!(looks.count() >= 2, "{asked:#?}");
        Ok(())
    })
    .await?;
    lane.proxy.switch(Fault::HalfOpen);
    lane.change("halfopen").await?;
    let begun = Instant::now();
    lane.recovered("what dead streams hide").await?;
    ensure!(
        begun.elapsed() < FOUND_OUT_WITHIN,
        "found out after {:?}",
        begun.elapsed()
    );
    lane.proxy.switch(Fault::None);
    Ok(())
}

/// A server that cannot answer is not asked often; how soon the same was asked again.
async fn without_storm(lane: &Lane<'_>, fault: Fault, told: &Told) -> Result<Duration> {
    let begun = Instant::now();
    lane.suffer(fault, told).await?;
    let times = || {
        let mut times: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
        for asked in lane.proxy.asked_since(begun) {
            if asked.fault == fault {
                times.entry(asked.what).or_default().push(asked.at);
            }
        }
        times
    };
    wait_until(ASKED_AGAIN_WITHIN, "a kind to be asked for again", async || {
        let times = times();
        let is_again = |(what, times): (&String, &Vec<Instant>)| what.ends_with("?watch") && times.len() >= 2;
        ensure!(times.iter().any(is_again), "{times:#?}");
        Ok(())
    })
    .await?;
    lane.mend(fault).await?;
    let times = times();
    let most = times.values().map(Vec::len).max().unwrap_or_default();
    let pairs = times.values().flat_map(|times| times.windows(2));
    let nearest = pairs.map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX);
    println!("{fault:?}: the same was asked {most} times at most, {nearest:?} apart at least");
    ensure!(most <= MOST_ASKED, "{times:#?}");
    Ok(nearest)
}

async fn too_much_is_sent(home: &Home, far: &Access, lane: &Lane<'_>) -> Result<()> {
    let answers = Told {
        reachable: "False",
        reasons: &["AnswerTooLarge"],
    };
    within(home, lane, Fault::HugeAnswer, &answers, FAR_BELOW).await?;
    let objects = Told {
        reachable: "True",
        reasons: &["ObjectTooLarge"],
    };
    within(home, lane, Fault::HugeLine, &objects, FAR_BELOW).await?;

    let image = "--image=endless.example/p0000000000/filler:v1";
    far.kubectl(&["--namespace=default", "run", ENDLESS, image])
        .await?;
    let list = Told {
        reachable: "True",
        reasons: &["MemoryBudgetExceeded"],
    };
    within(home, lane, Fault::EndlessList, &list, BUDGET + ASIDE).await
}

/// Endures a fault and sees that the operator does not grow by more than so many bytes.
async fn within(home: &Home, lane: &Lane<'_>, fault: Fault, told: &Told, growth: u64) -> Result<()> {
    home.forget_peak()?;
    let (before, _) = home.memory()?;
    let endured = lane.endure(fault, told).await;
    let (after, peak) = home.memory()?;
    println!(
        "{fault:?}: {} MiB before, {} MiB at most, {} MiB after",
        before / MIB,
        peak / MIB,
        after / MIB
    );
    endured?;
    let grown = peak.saturating_sub(before);
    ensure!(grown < growth, "{fault:?} took {} MiB", grown / MIB);
    Ok(())
}
