//! Which actions are pushes, pulls and deletes.

use serde_json::Value;

use crate::{
    dialect::json::{NotText, text},
    event::{Category, DeleteTarget},
};

pub(super) struct Kind {
    pub category: Category,
    pub target: Option<DeleteTarget>,
    /// Told by a number only: what the metadata hold has to fit.
    pub by_number: bool,
}

/// `None` where the action is none of these: failed ones, permissions, builds, mirroring, and
/// `permanently_delete_tag`, which removes what a tag was in the past, the tag as it is or both.
pub(super) fn of(row: &Value) -> Result<Option<Kind>, NotText> {
    let name = text(row, "kind")?;
    let number = row.get("kind_id").and_then(Value::as_u64);
    let kind = name.or_else(|| number.and_then(numbered)).and_then(named);
    Ok(kind.map(|(category, target)| Kind {
        category,
        target,
        by_number: name.is_none(),
    }))
}

fn named(name: &str) -> Option<(Category, Option<DeleteTarget>)> {
    match name {
        // A tag set on, moved to or restored to a manifest that is there already has its digest.
        "push_repo" | "create_tag" | "move_tag" | "revert_tag" => Some((Category::Push, None)),
        "pull_repo" => Some((Category::Pull, None)),
        "delete_tag" | "autoprune_tag_delete" => Some((Category::Delete, Some(DeleteTarget::Tag))),
        "delete_repo" => Some((Category::Delete, Some(DeleteTarget::Repository))),
        _ => None,
    }
}

/// Numbers are those of a database's own table of kinds. These came into every database made
/// since Quay's first migration as it is today, in this order (`data/migrations/versions/
/// c156deb8845d_reset_our_migrations_with_a_required_.py`); later kinds, such as
/// `autoprune_tag_delete`, have whatever number was free. `delete_repo` is 19 there and is
/// left out: nothing in its metadata would show that another database means something else.
fn numbered(number: u64) -> Option<&'static str> {
    match number {
        16 => Some("create_tag"),
        26 => Some("delete_tag"),
        30 => Some("move_tag"),
        41 => Some("pull_repo"),
        42 => Some("push_repo"),
        46 => Some("revert_tag"),
        _ => None,
    }
}
