//! A line of a watch stream, and a page of a list, in JSON; of a custom kind too.

#![no_main]

use std::sync::LazyLock;

use image_usage_operator::cluster::{
    CustomKind, Kind,
    wire::{self, Format},
};
use libfuzzer_sys::fuzz_target;

static ROLLOUT: LazyLock<CustomKind> = LazyLock::new(|| {
    "Rollout=rollouts.v1alpha1.argoproj.io:spec.template"
        .parse()
        .expect("a valid kind")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let kind = match usize::from(*first) % (Kind::ALL.len() + 1) {
        place if place < Kind::ALL.len() => Kind::ALL[place],
        _ => Kind::Custom(&ROLLOUT),
    };
    let _ = wire::event(Format::Json, kind, bytes);
    let _ = wire::page(Format::Json, kind, bytes, &mut |_| {});
});
