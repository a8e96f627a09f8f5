//! Moves from a store of one kind to one of any other: it answers as the first one did.

use std::io::BufReader;

use tokio::sync::Notify;

use super::{
    Backend, REPOSITORY, all, append_lines, clause, query, registry,
    transfer::{APP, CLUSTER, Carried, exported, fill, imported, other},
};
use crate::{
    event::fixture::at,
    store::{
        EventReader, Keeping, Select, Upkeep, UsageStore,
        transfer::{Progress, Scope, TransferError, import},
    },
};

/// All that a store answers, in words.
async fn answers<B: Backend>(backend: &B) -> Vec<String> {
    let store = backend.open().await;
    backend.settle(&store).await;
    // What was purged and is linked again from raw events that stay a little longer goes again.
    store.purge(registry(), at(1500.0)).await.unwrap();
    let path = || REPOSITORY.to_owned();
    let mut tallies = store.tally(query(vec![clause(Select::All)])).await.unwrap();
    tallies.sort_by_key(|tally| format!("{tally:?}"));
    let repositories = || vec![APP.parse().unwrap()];
    let clusters = || vec![CLUSTER.to_owned()];
    let mut spans = store.usage_spans(clusters(), repositories()).await.unwrap();
    let mut spans = spans.remove(CLUSTER).unwrap_or_default();
    spans.sort_by_key(|span| span.used.since);
    let answers = vec![
        format!("{:?}", all(&store).await),
        format!("{tallies:?}"),
        format!("{:?}", store.tags(registry(), path()).await.unwrap()),
        format!("{:?}", store.tag_pointers(registry(), path()).await.unwrap()),
        format!("{:?}", store.sources(registry()).await.unwrap()),
        format!("{:?}", store.sources(other()).await.unwrap()),
        format!("{:?}", store.kept().await.unwrap()),
        format!(
            "{:?}",
            store
                .last_known(CLUSTER.to_owned(), repositories())
                .await
                .unwrap()
        ),
        format!("{spans:?}"),
    ];
    backend.close(store).await;
    answers
}

async fn assert_same<B: Backend, O: Backend>(one: &B, other: &O) {
    for (one, other) in answers(one).await.into_iter().zip(answers(other).await) {
        assert_eq!(one, other);
    }
}

pub(crate) async fn a_moved_store_is_exported_as_the_same_lines_and_answers_the_same<
    F: Carried,
    T: Carried,
>() {
    let (from, to) = (F::fresh().await, T::fresh().await);
    fill(&from).await;
    let lines = exported(&from, Scope::default()).await;
    for word in [
        "registry",
        "source",
        "instance",
        "gap",
        "tagPoints",
        "pointersEnd",
        "manifest",
        "removed",
        "uses",
        "ran",
        "event",
        "end",
    ] {
        assert!(lines.contains(&format!("\n{{\"{word}\":")), "no {word}");
    }
    let taken = imported(&to, &lines, 0).await.unwrap();
    assert_eq!(taken.lines, lines.lines().count() as u64);
    assert_eq!((taken.bytes, taken.duplicates), (lines.len() as u64, 0));
    assert!(exported(&to, Scope::default()).await == lines);
    assert_same(&from, &to).await;
    // And once what is over is counted for good.
    let store = to.open().await;
    assert!(store.seal(at(200_000.0)).await.unwrap() > 0);
    to.close(store).await;
    assert_same(&from, &to).await;
}

/// The import dies in the middle, whatever it was doing.
pub(crate) async fn an_interrupted_import_goes_on_and_the_content_is_the_same<F: Carried, T: Carried>() {
    let (from, to) = (F::fresh().await, T::fresh().await);
    fill(&from).await;
    let lines = exported(&from, Scope::default()).await;
    let mut taken = 0;
    {
        let interrupt = Notify::new();
        let mut writer = to.writer().await.unwrap();
        let mut input = BufReader::new(lines.as_bytes());
        let told = |progress: Progress| {
            if taken == 0 {
                taken = progress.lines;
                interrupt.notify_one();
            }
        };
        tokio::select! {
            biased;
            () = interrupt.notified() => {}
            done = import(&mut input, writer.as_mut(), 0, told) => { done.unwrap(); }
        }
    }
    let rest = imported(&to, &lines, taken).await.unwrap();
    assert!(rest.lines == lines.lines().count() as u64 && rest.events + rest.duplicates > 0);
    assert!(exported(&to, Scope::default()).await == lines);
    assert_same(&from, &to).await;
}

pub(crate) async fn a_file_that_was_cut_off_is_taken_as_far_as_it_goes_and_says_so<F: Carried, T: Carried>() {
    let (from, to) = (F::fresh().await, T::fresh().await);
    fill(&from).await;
    let lines = exported(&from, Scope::default()).await;
    let Err(TransferError::CutOff(first)) = imported(&to, &lines[..lines.len() / 2], 0).await else {
        panic!("in the middle of a line");
    };
    // At the end of a line it is as cut; the part that was taken is passed over.
    let cut = &lines[..=lines[..lines.len() - 20].rfind('\n').unwrap()];
    let Err(TransferError::CutOff(second)) = imported(&to, cut, first).await else {
        panic!("at the end of a line");
    };
    assert_eq!(second, cut.lines().count() as u64);
    // Passing over more than was taken loses nothing.
    let fresh = T::fresh().await;
    let refused = imported(&fresh, &lines, first).await.unwrap_err();
    assert!(matches!(refused, TransferError::NotTaken(_)), "{refused}");
    // The whole file then adds what is missing.
    imported(&to, &lines, 0).await.unwrap();
    assert!(exported(&to, Scope::default()).await == lines);
    assert_same(&from, &to).await;

    let spoilt = lines.replacen("\"category\":\"Pull\"", "\"category\":\"Peek\"", 1);
    assert!(matches!(
        imported(&to, &spoilt, 0).await,
        Err(TransferError::Line { .. })
    ));
}

/// Of events that were not linked yet, a file has no facts.
pub(crate) async fn what_events_teach_need_not_be_in_the_file<F: Carried, T: Carried>() {
    let (from, to) = (F::fresh().await, T::fresh().await);
    let store = from.open().await;
    let lines = "p1 1 a PUT v1 @A\nd1 4 a DELETE - @B\np2 9 a PUT v2 @B\ng1 10 b GET v1 @A\np3 20 a PUT v1 @C\n\
                 d2 30 a DELETE v2 -\ng2 40 b GET v1 @C";
    append_lines(&from, &store, lines).await;
    from.close(store).await;
    let lines = exported(&from, Scope::default()).await;
    let without: String = lines
        .split_inclusive('\n')
        .filter(|line| {
            !["tagPoints", "pointersEnd", "manifest"]
                .iter()
                .any(|word| line.starts_with(&format!("{{\"{word}\":")))
        })
        .collect();
    assert!(without.len() < lines.len());
    imported(&to, &without, 0).await.unwrap();
    assert_same(&from, &to).await;
}
