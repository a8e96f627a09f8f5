//! What no cluster would say.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as HttpBody, Frame};
use serde_json::json;

use super::answer::Body;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const HUGE: usize = 512 << 20;
const PIECE: usize = 64 << 10;
/// Bytes of the length before a protobuf frame.
const HEADER: usize = 4;
/// What is counted up in the pod that is repeated, besides its uid.
const DIGITS: &str = "0000000000";
const UID_LENGTH: usize = 36;

/// A failure as the API server words it.
pub(super) fn status(code: u16, retry_after: Option<Duration>) -> Response<Body> {
    let mut response = Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, JSON);
    if let Some(wait) = retry_after {
        response = response.header(header::RETRY_AFTER, wait.as_secs());
    }
    respond(response, whole(failure(code).to_string()))
}

/// A watch that says that its version is gone.
pub(super) fn expired_event() -> Response<Body> {
    let line = format!("{}\n", json!({"type": "ERROR", "object": failure(410)}));
    respond(
        Response::builder().header(header::CONTENT_TYPE, JSON),
        whole(line),
    )
}

/// A watch whose first event states 512 MiB, and sends them.
pub(super) fn huge_frame() -> Response<Body> {
    let length = u32::try_from(HUGE).unwrap_or(u32::MAX).to_be_bytes();
    huge(PROTOBUF, Bytes::copy_from_slice(&length))
}

/// A watch whose first event, or an answer whose only object, is one text of 512 MiB.
pub(super) fn huge_line() -> Response<Body> {
    huge(JSON, Bytes::from_static(br#"{"type":"ADDED","gitVersion":""#))
}

fn failure(code: u16) -> serde_json::Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "forged",
        "reason": match code { 401 => "Unauthorized", 410 => "Expired", _ => "TooManyRequests" },
        "code": code,
    })
}

fn respond(response: http::response::Builder, body: Body) -> Response<Body> {
    response.body(body).expect("its head is made of constants")
}

fn whole(text: String) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

fn huge(content_type: &str, beginning: Bytes) -> Response<Body> {
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let pieces = std::iter::once(beginning).chain(std::iter::repeat_n(piece, HUGE / PIECE));
    respond(
        Response::builder().header(header::CONTENT_TYPE, content_type),
        Pieces(pieces).boxed_unsync(),
    )
}

/// The first whole frame of a stream that contains a text.
pub(super) fn frame_with<'a>(mut stream: &'a [u8], text: &str) -> Option<&'a [u8]> {
    loop {
        let header: [u8; HEADER] = stream.get(..HEADER)?.try_into().ok()?;
        let end = HEADER + usize::try_from(u32::from_be_bytes(header)).ok()?;
        let frame = stream.get(..end)?;
        if places(frame, text.as_bytes()).next().is_some() {
            return Some(frame);
        }
        stream = &stream[end..];
    }
}

/// A pod's frame again and again, each time as another pod.
pub(super) fn endless(frame: &[u8]) -> Body {
    let mut frame = frame.to_vec();
    let digits: Vec<usize> = places(&frame, DIGITS.as_bytes()).collect();
    let uid = frame
        .windows(UID_LENGTH)
        .find(|text| is_uid(text))
        .map(<[u8]>::to_vec)
        .unwrap_or_default();
    let uids: Vec<usize> = places(&frame, &uid).collect();
    let mut number = 0_u64;
    let pieces = std::iter::repeat_with(move || {
        let mut piece = Vec::with_capacity(PIECE + frame.len());
        while piece.len() < PIECE {
            number += 1;
            for &place in &digits {
                let text = format!("{number:010}");
                frame[place..place + DIGITS.len()].copy_from_slice(text.as_bytes());
            }
            for &place in &uids {
                let text = format!("00000000-0000-4000-8000-{number:012x}");
                frame[place..place + UID_LENGTH].copy_from_slice(text.as_bytes());
            }
            piece.extend_from_slice(&frame);
        }
        Bytes::from(piece)
    });
    Pieces(pieces).boxed_unsync()
}

fn places<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + use<'a> {
    let windows = bytes.windows(text.len().max(1)).enumerate();
    windows
        .filter(move |(_, found)| *found == text)
        .map(|(place, _)| place)
}

fn is_uid(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// A body of pieces, each made when there is room for it.
struct Pieces<I>(I);

impl<I: Iterator<Item = Bytes> + Unpin> HttpBody for Pieces<I> {
    type Data = Bytes;
    type Error = anyhow::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, anyhow::Error>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
    }
}
