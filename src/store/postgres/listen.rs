//! Hints that another operator changed something: notifications, where the database has them.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{changes::CHANNEL, failure::Failure};
use crate::backoff::{about, random};

/// About how long until a connection that was lost is made again.
const RETRY: Duration = Duration::from_secs(5);

/// Listens until it is cancelled. What is missed is found by looking.
pub(super) async fn listen(
    config: Config,
    tls: MakeRustlsConnect,
    operator: i64,
    hints: Arc<Notify>,
    cancel: CancellationToken,
) {
    let own = operator.to_string();
    let listening = async {
        loop {
            if let Err(error) = follow(&config, &tls, &own, &hints).await {
                debug!(%error, "not listening for changes of other operators");
            }
            tokio::time::sleep(about(RETRY, random())).await;
        }
    };
    let _: Option<()> = cancel.run_until_cancelled(listening).await;
}

async fn follow(config: &Config, tls: &MakeRustlsConnect, own: &str, hints: &Notify) -> Result<(), Failure> {
    let (client, mut connection) = config.connect(tls.clone()).await?;
    let messages = stream::poll_fn(|context| connection.poll_message(context));
    let reading = messages.for_each(|message| {
        if let Ok(AsyncMessage::Notification(notification)) = message
            && notification.payload() != own
        {
            hints.notify_one();
        }
        futures::future::ready(())
    });
    let asking = async {
        let listen = format!("LISTEN {CHANNEL}");
        client.batch_execute(&listen).await?;
        std::future::pending::<Result<(), Failure>>().await
    };
    tokio::select! {
        // The connection ended.
        () = reading => Ok(()),
        refused = asking => refused,
    }
}
