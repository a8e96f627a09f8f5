//! Reports: gather the evidence, analyse it, write the answer when it differs.

mod gather;
mod pace;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::{debug, info};

use crate::{
    analysis::{self, InvalidQuestion, Question, STATUS_BYTES},
    crd::{Condition, Conditions, ImageUsageReport, ImageUsageReportStatus, condition_type},
    store::STORE_UNAVAILABLE,
};

use self::gather::{Gathered, gather};
pub use self::pace::WriteBudget;
use self::pace::{Change, Pace};

use super::{
    kinds::{self, Reconcile},
    status::{self, STORE_RETRY, WriteError},
    touch::ObjectKey,
    world::World,
};

/// The longest a report goes without a look, should a change ever be missed. Nothing is written then unless the
/// answer differs.
const SAFETY_NET: Duration = Duration::from_mins(10);

/// Runs until cancelled.
pub async fn run(world: Arc<World>) {
    let touched = world.interests.reports.clone();
    let reports = Arc::new(Reports {
        world: world.clone(),
        paces: Mutex::default(),
    });
    kinds::drive::<ImageUsageReport, Reports>(world, touched, reports).await;
}

struct Reports {
    world: Arc<World>,
    paces: Mutex<HashMap<ObjectKey, Pace>>,
}

impl Reconcile<ImageUsageReport> for Reports {
    fn reconcile(
        self: Arc<Self>,
        report: Arc<ImageUsageReport>,
    ) -> BoxFuture<'static, Result<Action, WriteError>> {
        async move { self.reconcile_report(&report).await }.boxed()
    }

    fn gone(&self, key: &ObjectKey) {
        self.world.interests.forget(key);
        self.paces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

impl Reports {
    async fn reconcile_report(&self, report: &ImageUsageReport) -> Result<Action, WriteError> {
        let key = ObjectKey::of(report);
        let previous = report.status.clone().unwrap_or_default();
        let generation = report.metadata.generation.unwrap_or_default();
        let now = Timestamp::now();
        let question = match Question::parse(&report.spec) {
            Ok(question) => question,
            Err(invalid) => {
                self.world.interests.register(&key, Vec::new());
                let status = refused(&invalid, &previous, generation, now);
                return self
                    .write(&key, &previous, status)
                    .await
                    .map(|next| at_most(next, None));
            }
        };
        let started = Instant::now();
        let gathered = gather(&self.world, report, &question, &previous, now).await;
        let status = match gathered {
            Gathered::Evidence(evidence) => {
                let mut status = analysis::report(&question, &evidence, &previous, generation, now);
                analysis::fit(&mut status, STATUS_BYTES);
                self.world
                    .metrics
                    .report_seconds
                    .observe(started.elapsed().as_secs_f64());
                status
            }
            Gathered::Waiting(cluster) => {
                if previous.observed_generation == generation {
                    // The last answer stands until there is one that does not lack a cluster.
                    debug!(report = %key, %cluster, "waiting for a cluster");
                    return Ok(Action::requeue(SAFETY_NET));
                }
                waiting(
                    "WaitingForClusters",
                    &format!("reading cluster {cluster} for the first time"),
                    &previous,
                    generation,
                    now,
                )
            }
            Gathered::StoreFailed => {
                let status = waiting(
                    STORE_UNAVAILABLE,
                    "the event store does not answer; trying again",
                    &previous,
                    generation,
                    now,
                );
                self.write(&key, &previous, status).await?;
                return Ok(Action::requeue(STORE_RETRY));
            }
        };
        let next = self.write(&key, &previous, status).await?;
        let slide = question.range.next_slide(now).map(|slide| {
            // A moment later, so that the window has moved when it is looked at.
            Duration::try_from(slide.duration_since(now)).unwrap_or_default() + Duration::from_millis(100)
        });
        Ok(at_most(next, slide))
    }

    /// Writes the status if it differs and it is its turn; otherwise says when to look again.
    async fn write(
        &self,
        key: &ObjectKey,
        previous: &ImageUsageReportStatus,
        status: ImageUsageReportStatus,
    ) -> Result<Option<Duration>, WriteError> {
        let change = Change::between(previous, &status);
        if change == Change::None {
            return Ok(None);
        }
        let bytes = serde_json::to_vec(&status).map_or(0, |json| json.len());
        let turn = {
            let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
            paces.entry(key.clone()).or_default().turn(change, Instant::now())
        };
        if let Err(pause) = turn.and_then(|()| self.world.budget.take(bytes, change, Instant::now())) {
            return Ok(Some(pause));
        }
        status::write::<ImageUsageReport, _>(&self.world, key, &status).await?;
        if change == Change::Urgent {
            let verdict = status
                .verdict
                .as_ref()
                .map_or("", |verdict| verdict.value.as_str());
            info!(report = %key, verdict, bytes, "answered");
        }
        self.paces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key.clone())
            .or_default()
            .written(bytes, Instant::now());
        Ok(None)
    }
}

fn at_most(next: Option<Duration>, slide: Option<Duration>) -> Action {
    let next = next.into_iter().chain(slide).fold(SAFETY_NET, Duration::min);
    Action::requeue(next)
}

/// The status of a report that only a change by a person can make answerable. What an earlier spec had for an
/// answer goes: it would answer another question.
fn refused(
    invalid: &InvalidQuestion,
    previous: &ImageUsageReportStatus,
    generation: i64,
    now: Timestamp,
) -> ImageUsageReportStatus {
    let conditions: Vec<Condition> = Conditions::new(&previous.conditions, Some(generation), now)
        .set(
            condition_type::READY,
            false,
            invalid.reason(),
            invalid.to_string(),
        )
        .set(
            condition_type::STALLED,
            true,
            invalid.reason(),
            invalid.to_string(),
        )
        .build();
    ImageUsageReportStatus {
        observed_generation: generation,
        conditions,
        ..ImageUsageReportStatus::default()
    }
}

/// The status of a report that will be answered; what was known stays.
fn waiting(
    reason: &str,
    message: &str,
    previous: &ImageUsageReportStatus,
    generation: i64,
    now: Timestamp,
) -> ImageUsageReportStatus {
    let conditions = Conditions::new(&previous.conditions, Some(generation), now)
        .set(condition_type::READY, false, reason, message)
        .set(condition_type::RECONCILING, true, reason, message)
        .build();
    ImageUsageReportStatus {
        observed_generation: generation,
        conditions,
        ..previous.clone()
    }
}

/// Uids of withdrawn clusters that the report's annotation accepts.
fn accepted(report: &ImageUsageReport) -> Vec<&str> {
    report
        .annotations()
        .get(crate::crd::ACCEPT_WITHDRAWN)
        .map(|uids| uids.split(',').map(str::trim).collect())
        .unwrap_or_default()
}
