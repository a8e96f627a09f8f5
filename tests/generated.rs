//! Generated files are current: `make generate` writes them.

use std::{fs, path::Path};

use image_usage_operator::crd;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_definitions_are_current() {
    for folder in ["crds", "charts/image-usage-operator/files/crds"].map(folder) {
        let mut there: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut expected: Vec<String> = crd::files().into_iter().map(|(name, _)| name).collect();
        expected.sort();
        assert_eq!(there, expected, "{}: run make generate", folder.display());
        for (name, yaml) in crd::files() {
            let path = folder.join(&name);
            assert!(
                fs::read_to_string(&path).unwrap() == yaml,
                "{}: run make generate",
                path.display()
            );
        }
    }
}
