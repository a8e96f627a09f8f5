//! What holds for every dialect, and what their tests share.

mod fixtures;
mod properties;
mod table;
mod told;

pub(crate) use self::fixtures::{Fixtures, Message, with};
pub(super) use self::{
    properties::{changes, disturbed, sound},
    told::told,
};
