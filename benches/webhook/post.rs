//! A delivery as a registry makes it: a new connection for each.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use story::TOKEN;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time::timeout,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What is delivered, and to which path.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// An address of this machine of its own for each number: one alone has too few ports, since each is kept for a
/// minute after its connection was closed.
pub(crate) fn source(number: u32) -> Ipv4Addr {
    let [_, high, middle, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 128, middle, low)
}

/// Delivers a message; the status of the answer.
pub(crate) async fn post(from: Ipv4Addr, to: SocketAddr, message: &Message) -> Result<u16> {
    let Message { path, headers, body } = message;
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
         Authorization: Bearer {TOKEN}\r\nAccept-Encoding: gzip\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n")?;
    }
    text.push_str("\r\n");
    text.push_str(body);
    timeout(ANSWER_WITHIN, async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
        let mut stream = socket.connect(to).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            ensure!(
                stream.read_buf(&mut answer).await? > 0,
                "the connection broke off"
            );
        }
        let status = answer.get(9..12).and_then(|status| str::from_utf8(status).ok());
        status
            .and_then(|status| status.parse().ok())
            .context("an answer without a status")
    })
    .await
    .with_context(|| format!("no answer within {ANSWER_WITHIN:?}"))?
}

/// Delivers a message that must be taken.
pub(crate) async fn deliver(to: SocketAddr, message: &Message) -> Result<()> {
    let status = post(Ipv4Addr::LOCALHOST, to, message).await?;
    ensure!(status == 202, "answered with {status}");
    Ok(())
}
