//! The table of `docs/registries/README.md`.

use std::{fs, path::Path};

use super::{Fixtures, Message};
use crate::{
    dialect::{Format, Parsed, has_own_id},
    event::{Category, RegistryEvent},
};

const COLUMNS: [&str; 8] = [
    "push",
    "pull",
    "delete",
    "client address",
    "actor",
    "digest",
    "tag",
    "id",
];

fn seen(event: &RegistryEvent) -> [bool; 8] {
    [
        event.category == Category::Push,
        event.category == Category::Pull,
        event.category == Category::Delete,
        event.address.is_some(),
        event.actor.is_some(),
        event.digest.is_some(),
        event.tag.is_some(),
        has_own_id(event),
    ]
}

/// A line of the table: the format, its page, and its cells.
fn rows(page: &str) -> Vec<(&str, &str, Vec<&str>)> {
    page.lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| [")?.split_once("](")?;
            let (page, rest) = rest.split_once(") |")?;
            let cells = rest.strip_suffix('|')?.split('|').map(str::trim);
            Some((name, page, cells.collect()))
        })
        .collect()
}

#[test]
fn the_table_tells_what_the_fixtures_carry() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registries");
    let index = fs::read_to_string(pages.join("README.md")).unwrap();
    let rows = rows(&index);
    let names: Vec<&str> = rows.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        names,
        Format::ALL.map(Format::name),
        "one row for each format, in order"
    );
    let mut wrong = Vec::new();
    for (format, (name, page, cells)) in Format::ALL.into_iter().zip(rows) {
        let fixtures = Fixtures(format);
        let folder = fixtures.folder();
        let stem = folder.file_name().unwrap().to_str().unwrap();
        assert_eq!(page, format!("{stem}.md"), "{name}");
        assert_eq!(cells.len(), COLUMNS.len(), "{name}");
        if !pages.join(page).is_file() {
            wrong.push(format!("{name} has no page {page}"));
        }
        let events: Vec<RegistryEvent> = fixtures
            .messages()
            .into_iter()
            .filter_map(|Message { headers, body, .. }| format.parse(&headers, &body).ok())
            .flat_map(|Parsed { events, .. }| events)
            .collect();
        if events.is_empty() {
            wrong.push(format!(
                "{name} has no fixtures with events in {}",
                folder.display()
            ));
            continue;
        }
        for (index, (column, cell)) in COLUMNS.into_iter().zip(cells).enumerate() {
            let carried = events.iter().any(|event| seen(event)[index]);
            match cell {
                "yes" | "partly" if !carried => {
                    wrong.push(format!(
                        "{name}: no fixture carries {column}, the table says {cell}"
                    ));
                }
                "no" if carried => {
                    wrong.push(format!("{name}: a fixture carries {column}, the table says no"));
                }
                "yes" | "partly" | "no" => {}
                _ => wrong.push(format!("{name}, {column}: {cell} is neither yes, partly nor no")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
