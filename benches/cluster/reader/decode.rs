//! What reading costs besides the stream: the pods' frames, held in memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use http_body_util::BodyExt as _;
use image_usage_operator::cluster::{
    Inventory, Kind, Touched,
    wire::{self, Event, Format},
};
use kube::Client;

use super::raw::{Frames, initial_list};

const ROUNDS: usize = 9;

pub(crate) async fn decode(client: &Client) -> Result<()> {
    let frames = record(client).await?;
    let count = u32::try_from(frames.len())?;
    println!(
        "{count} frames, microseconds each: decoded | decoded and applied to an empty inventory | again"
    );
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for frame in &frames {
            std::hint::black_box(wire::event(Format::Protobuf, Kind::Pod, frame)?);
        }
        let decoded = begun.elapsed();
        let mut inventory = Inventory::default();
        let applied = apply(&frames, &mut inventory)?;
        let again = apply(&frames, &mut inventory)?;
        for (best, measured) in best.iter_mut().zip([decoded, applied, again]) {
            *best = measured.min(*best);
        }
    }
    let [decoded, applied, again] = best.map(|best| best.as_secs_f64() * 1e6 / f64::from(count));
    println!("{decoded:.2} | {applied:.2} | {again:.2}");
    Ok(())
}

fn apply(frames: &[Vec<u8>], inventory: &mut Inventory) -> Result<Duration> {
    let (begun, mut silent) = (Instant::now(), Touched::silent());
    for frame in frames {
        if let Event::Applied(object) = wire::event(Format::Protobuf, Kind::Pod, frame)? {
            inventory.apply(&object, &mut silent);
        }
    }
    Ok(begun.elapsed())
}

async fn record(client: &Client) -> Result<Vec<Vec<u8>>> {
    let (mut walker, mut bytes) = (Frames::default(), Vec::new());
    let mut body = initial_list(client, Kind::Pod, Format::Protobuf).await?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        bytes.extend_from_slice(&data);
        if walker.is_end(&data) {
            break;
        }
    }
    let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let Some((frame, tail)) = tail.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = tail;
    }
    Ok(frames)
}
