//! One connection below TLS: whether its bytes pass, and how it ends.

use std::{future::pending, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream},
    net::TcpStream,
    sync::watch,
    time::sleep,
};

use super::Fault;

const BUFFER: usize = 64 * 1024;
/// How long [`Fault::Trickle`] takes for a byte.
const BYTE: Duration = Duration::from_secs(1);

/// What holds for the connections, which are numbered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) fault: Fault,
    /// Those with a smaller number are closed.
    pub(super) cut: u64,
    /// Those with a smaller number have lost their other side.
    pub(super) deserted: u64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            fault: Fault::None,
            cut: 0,
            deserted: 0,
        }
    }
}

enum End {
    Closed,
    Reset,
    Deserted,
}

/// Carries bytes between the connection and `serve` until one of them ends.
pub(super) async fn carry(
    mut tcp: TcpStream,
    number: u64,
    line: watch::Receiver<Line>,
    serve: impl AsyncFnOnce(DuplexStream),
) {
    let (near, far) = tokio::io::duplex(BUFFER);
    let end = {
        let (from_client, to_client) = tcp.split();
        let (from_server, to_server) = tokio::io::split(near);
        let upwards = async {
            let _ = pump(from_client, to_server, line.clone()).await;
            // The server says when it is done.
            pending::<()>().await;
        };
        let downwards = async { tokio::join!(serve(far), pump(from_server, to_client, line.clone())) };
        tokio::select! {
            biased;
            end = end(number, line.clone()) => end,
            _ = downwards => End::Closed,
            () = upwards => End::Closed,
        }
    };
    match end {
        End::Closed => {}
        End::Reset => {
            let _ = tcp.set_zero_linger();
        }
        // The kernel goes on acknowledging what arrives.
        End::Deserted => pending().await,
    }
}

/// Waits for what ends this connection from outside.
async fn end(number: u64, mut line: watch::Receiver<Line>) -> End {
    let of = |line: &Line| {
        if line.fault == Fault::Reset {
            Some(End::Reset)
        } else if number < line.cut {
            Some(End::Closed)
        } else if number < line.deserted {
            Some(End::Deserted)
        } else {
            None
        }
    };
    loop {
        if let Some(end) = of(&line.borrow_and_update()) {
            return end;
        }
        if line.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let piece;
            (piece, rest) = rest.split_at(permitted(&mut line, rest.len()).await);
            to.write_all(piece).await?;
        }
    }
}

/// Waits until bytes may pass; how many of them.
async fn permitted(line: &mut watch::Receiver<Line>, waiting: usize) -> usize {
    loop {
        let fault = line.borrow_and_update().fault;
        let changed = async {
            if line.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        match fault {
            Fault::Blackhole => changed.await,
            Fault::Trickle => tokio::select! {
                () = changed => {}
                () = sleep(BYTE) => return 1,
            },
            _ => return waiting,
        }
    }
}
