//! A frame of a watch stream, and a page of a list, in protobuf.

#![no_main]

use image_usage_operator::cluster::{
    Inventory, Kind, Touched,
    wire::{self, Event, Format},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    let (mut inventory, mut touched) = (Inventory::default(), Touched::default());
    match wire::event(Format::Protobuf, kind, bytes) {
        Ok(Event::Applied(object)) => inventory.apply(&object, &mut touched),
        Ok(Event::Deleted(meta)) => inventory.delete(kind, &meta, &mut touched),
        Ok(_) | Err(_) => {}
    }
    let _ = wire::page(Format::Protobuf, kind, bytes, &mut |object| {
        inventory.apply(&object, &mut touched);
    });
    inventory.begin(kind);
    inventory.finish(kind, &mut touched);
    assert!(inventory.is_empty(), "something stays");
});
