//! A disk in memory for `SQLite`, and what a power cut leaves of it.
//!
//! What was written is read back at once, as from the cache of an operating system. A cut loses what no sync
//! has made durable, as real disks do: each sector of each write by itself survives, is lost, or is torn, so that
//! later ones may be there and earlier ones not; where a file would have grown, what was lost may read as zeros
//! or as rubbish; files made, cut short or deleted may be found as before. What a sync has confirmed is there.
//!
//! One assumption is `SQLite`'s own on every disk (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`): a write that is torn
//! leaves the bytes beside it alone.

mod contents;
mod directory;
mod disk;
mod locks;
mod memory;
mod vfs;

pub use self::{
    contents::Loss,
    disk::{Disk, Image, Lie, Operation},
    vfs::register,
};
