//! Just enough of HTTP for one question and its answer.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers as written, in lower case.
    pub head: String,
    pub body: String,
}

/// One request on a connection of its own, with a bearer token where there is one.
pub async fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Result<Answer> {
    let authorization = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n{authorization}Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = tokio::time::timeout(ANSWER_WITHIN, async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    });
    let answer = answer
        .await
        .with_context(|| format!("no answer within {ANSWER_WITHIN:?}"))??;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok(Answer {
        status: status.context("the connection broke off before an answer")?,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}
