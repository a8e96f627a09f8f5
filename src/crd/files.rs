//! The definitions as files: `crds/` and the chart's templates are made of them.

use std::{fs, io, path::Path};

use super::definitions;

/// The definitions as YAML, each with its file name.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    definitions()
        .iter()
        .map(|definition| {
            let name = format!("{}.yaml", definition.metadata.name.as_deref().unwrap_or_default());
            // A definition is made of strings, numbers, lists and maps: YAML has them all.
            let yaml = serde_saphyr::to_string(definition).unwrap_or_default();
            (name, yaml)
        })
        .collect()
}

/// Writes the definitions into a folder.
pub fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    files()
        .into_iter()
        .try_for_each(|(name, yaml)| fs::write(folder.join(name), yaml))
}
