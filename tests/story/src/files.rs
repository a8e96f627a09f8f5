use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

fn repository() -> &'static Path {
    // tests/story is two folders below.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The operator's chart.
#[must_use]
pub fn chart() -> PathBuf {
    repository().join("charts/image-usage-operator")
}

/// A file of `examples/`.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// The operator's static binary, as `make operator` builds it: `OPERATOR_BINARY` names it.
pub fn operator_binary() -> Result<PathBuf> {
    let path = std::env::var_os("OPERATOR_BINARY")
        .map(PathBuf::from)
        .unwrap_or_default();
    ensure!(
        path.is_file(),
        "OPERATOR_BINARY does not name the operator's static binary: run this with make"
    );
    Ok(path)
}
