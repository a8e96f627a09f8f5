use jiff::SignedDuration;

use super::{Backend, SOURCE, append, delivery, empty, registry, source};
use crate::{
    event::fixture::{at, raw},
    store::{Cursor, Cursors, Keeping, LogKey, RegistryKey, Terms},
};

fn log(name: &str) -> LogKey {
    LogKey {
        registry: registry(),
        source: SOURCE.to_owned(),
        log: name.to_owned(),
    }
}

fn cursor(since: f64, until: f64) -> Cursor {
    Cursor {
        since: at(since),
        until: at(until),
    }
}

pub(crate) async fn how_far_a_log_was_read_is_remembered_and_never_goes_back<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    assert_eq!(store.cursor(log("a")).await.unwrap(), None);

    // Of a source that has brought nothing yet, and of one that has.
    store.set_cursor(log("a"), cursor(50.0, 60.0)).await.unwrap();
    assert_eq!(source(&store).await.since, at(50.0));
    append(&store, empty(70.0)).await;
    append(&store, delivery(vec![raw("g1 71 a GET v1 @A")])).await;
    store.set_cursor(log("b"), cursor(40.0, 90.0)).await.unwrap();
    store.set_cursor(log("a"), cursor(55.0, 80.0)).await.unwrap();
    store.set_cursor(log("a"), cursor(55.0, 75.0)).await.unwrap();
    let known = source(&store).await;
    assert_eq!((known.since, known.stored), (at(40.0), 1));

    backend.settle(&store).await;
    backend.close(store).await;
    let store = backend.open().await;
    assert_eq!(store.cursor(log("a")).await.unwrap(), Some(cursor(50.0, 80.0)));
    assert_eq!(store.cursor(log("b")).await.unwrap(), Some(cursor(40.0, 90.0)));
    let of_another = |uid: &str, name: &str| LogKey {
        registry: RegistryKey {
            uid: uid.to_owned(),
            ..registry()
        },
        source: name.to_owned(),
        log: "a".to_owned(),
    };
    for other in [of_another("2", SOURCE), of_another(&registry().uid, "second")] {
        assert_eq!(store.cursor(other).await.unwrap(), None);
    }

    let terms = Terms {
        retention: SignedDuration::from_hours(1),
        quota: None,
    };
    store.keep(registry(), terms).await.unwrap();
    store.release(registry(), at(100.0)).await.unwrap();
    store.remove(registry()).await.unwrap();
    assert_eq!(store.cursor(log("a")).await.unwrap(), None);
    backend.close(store).await;
}
