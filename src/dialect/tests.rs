//! What holds for every dialect, and what their tests share.

mod fixtures;
mod properties;
mod table;
mod told;

pub(crate) use self::fixtures::{Fixtures, Message};
pub(super) use self::{
    fixtures::with,
    properties::{changes, disturbed, sound},
    told::told,
};
