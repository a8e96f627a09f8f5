//! Sources that are asked instead of telling: the logs of registries that know more than their webhooks send, read
//! page by page. What comes next is decided by pure functions (`reading`, `harbor`, `quay`, `page`); one task for each
//! source asks (`client`), has each page stored like a webhook's delivery, and then notes how far the log is read.

mod client;
mod harbor;
mod page;
mod poller;
mod problem;
mod quay;
mod reading;
mod running;
mod seen;
mod source;
#[cfg(test)]
mod tests;

pub use problem::Problem;
pub use running::{Poll, PollOptions};
pub use source::{Credentials, Log, Polled, Server};
