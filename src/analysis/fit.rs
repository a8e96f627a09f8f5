//! Cutting a status down to size: counts stay exact, lists are cut, and the status says by how much.

use serde::Serialize;

use crate::crd::ImageUsageReportStatus;

use super::deployments::count;

/// Bytes of a status as JSON.
pub const STATUS_BYTES: usize = 64 * 1024;

/// Cuts the lists of a status so that it takes at most `bytes` as JSON: each list may use a third of what the
/// rest leaves, and what one does not need goes to the next. Their first entries stay.
pub fn fit(status: &mut ImageUsageReportStatus, bytes: usize) {
    let deployments = std::mem::take(&mut status.deployments);
    let events = std::mem::take(&mut status.events);
    let tags = std::mem::take(&mut status.tags);
    // Names of the lists and the numbers in truncated.
    let frame = size(status) + 200;
    let mut left = bytes.saturating_sub(frame);

    let (events, cut) = take(events, left / 3, &mut left);
    status.events = events;
    status.truncated.events += cut;
    let (tags, cut) = take(tags, left / 2, &mut left);
    status.tags = tags;
    status.truncated.tags += cut;
    let (deployments, cut) = take(deployments, left, &mut left);
    status.deployments = deployments;
    status.truncated.deployments += cut;
}

/// The first entries that fit into `share`, and how many did not; what they take is taken off `left`.
fn take<T: Serialize>(mut list: Vec<T>, share: usize, left: &mut usize) -> (Vec<T>, i64) {
    let mut used = 0;
    let fitting = list
        .iter()
        .take_while(|entry| {
            let entry = size(entry) + 1;
            let fits = used + entry <= share;
            if fits {
                used += entry;
            }
            fits
        })
        .count();
    let cut = count(list.len() - fitting);
    list.truncate(fitting);
    *left = left.saturating_sub(used);
    (list, cut)
}

fn size<T: Serialize>(value: &T) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX / 2, |json| json.len())
}
