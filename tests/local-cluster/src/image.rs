//! Small images, made without a container engine: files in, one push out.
//!
//! An image is written as an OCI layout and pushed by crane, so that a registry
//! sees exactly one push of exactly the digest that was computed here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::access::Access;
use crate::programs::static_busybox;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Copy(PathBuf),
    Link(String),
}

#[derive(Clone, Debug)]
struct Entry {
    path: String,
    mode: u32,
    content: Content,
}

/// What is in an image of one platform and one layer. The same parts give the
/// same digest, another label gives another.
#[derive(Clone, Debug, Default)]
pub struct Image {
    entries: Vec<Entry>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    user: String,
    env: Vec<String>,
    labels: BTreeMap<String, String>,
    ports: BTreeMap<String, serde_json::Value>,
}

/// An image as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// `host/repository:tag` as it was pushed.
    pub reference: String,
    /// `sha256:…` of the manifest.
    pub digest: String,
}

impl Image {
    /// Nothing at all.
    #[must_use]
    pub fn scratch() -> Self {
        Self::default()
    }

    /// busybox with some of its commands, which sleeps until it is asked to end.
    /// Not with those that look up names: a static busybox cannot, and crashes.
    ///
    /// # Errors
    /// When there is no static busybox on the machine.
    pub fn busybox() -> Result<Self> {
        let mut image = Self::scratch().copy("/bin/busybox", &static_busybox()?, 0o755);
        for name in [
            "sh", "sleep", "cat", "echo", "ls", "nc", "httpd", "id", "env", "true",
        ] {
            image = image.link(&format!("/bin/{name}"), "busybox");
        }
        Ok(image
            .file(
                "/etc/passwd",
                "root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/bin/sh\n",
                0o644,
            )
            .env("PATH", "/bin")
            .entrypoint(&["/bin/sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"]))
    }

    /// Adds a file of this machine, such as a static binary.
    #[must_use]
    pub fn copy(self, path: &str, from: &Path, mode: u32) -> Self {
        self.entry(path, mode, Content::Copy(from.to_owned()))
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.entry(path, mode, Content::Bytes(content.into()))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, Content::Link(target.to_owned()))
    }

    fn entry(mut self, path: &str, mode: u32, content: Content) -> Self {
        let path = path.trim_start_matches('/').to_owned();
        self.entries.push(Entry { path, mode, content });
        self
    }

    /// What is run.
    #[must_use]
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The entry point's default arguments.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Who it runs as, such as `65532:65532`.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// A label: two builds that differ in one have different digests.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A port that the image says it listens on.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.ports.insert(format!("{port}/tcp"), json!({}));
        self
    }

    /// The one layer. Times and owners are fixed, so that equal parts make equal bytes.
    fn layer(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut folders = std::collections::BTreeSet::new();
        for entry in &self.entries {
            let parents = Path::new(&entry.path).ancestors().skip(1);
            folders.extend(
                parents
                    .filter(|path| !path.as_os_str().is_empty())
                    .map(Path::to_owned),
            );
        }
        for folder in folders {
            let mut header = header(tar::EntryType::Directory, 0o755, 0);
            archive.append_data(&mut header, folder, std::io::empty())?;
        }
        for Entry { path, mode, content } in &self.entries {
            let bytes = match content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Copy(from) => {
                    std::fs::read(from).with_context(|| format!("failed to read {}", from.display()))?
                }
                Content::Link(target) => {
                    archive.append_link(&mut header(tar::EntryType::Symlink, *mode, 0), path, target)?;
                    continue;
                }
            };
            let mut header = header(tar::EntryType::Regular, *mode, bytes.len() as u64);
            archive.append_data(&mut header, path, bytes.as_slice())?;
        }
        Ok(archive.into_inner()?)
    }

    /// Writes an OCI layout of this image, and returns its manifest's digest.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write_layout(&self, folder: &Path) -> Result<String> {
        let layer = Blob::new(self.layer()?);
        let config = Blob::json(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "User": self.user,
                "Env": self.env,
                "Labels": self.labels,
                "ExposedPorts": self.ports,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
            "history": [{"created_by": "local-cluster"}],
        }))?;
        let manifest = Blob::json(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": [layer.descriptor(LAYER)],
        }))?;
        let index = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest.descriptor(MANIFEST)],
        }))?;
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs)?;
        for Blob { bytes, digest } in [&layer, &config, &manifest] {
            std::fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes)?;
        }
        std::fs::write(folder.join("index.json"), index)?;
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(manifest.digest)
    }
}

impl Access {
    /// Pushes an image to the cluster's first registry, by crane on the machine.
    ///
    /// # Errors
    /// When there is no registry, or it refuses.
    pub async fn push_image(&self, image: &Image, repository: &str, tag: &str) -> Result<PushedImage> {
        ensure!(
            !self.registries.is_empty(),
            "the cluster was built without a registry"
        );
        self.push_image_to(self.registry_host(), image, repository, tag)
            .await
    }

    /// The same, to a registry of one's choice.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn push_image_to(
        &self,
        host: &str,
        image: &Image,
        repository: &str,
        tag: &str,
    ) -> Result<PushedImage> {
        let layout = tempfile::tempdir_in(&self.folder)?;
        let digest = image.write_layout(layout.path())?;
        let reference = format!("{host}/{repository}:{tag}");
        self.crane(&["push".as_ref(), layout.path().as_os_str(), reference.as_ref()])
            .await?;
        Ok(PushedImage { reference, digest })
    }
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Bytes, and the digest that names them.
struct Blob {
    bytes: Vec<u8>,
    digest: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = format!("sha256:{}", crate::hex(&Sha256::digest(&bytes)));
        Self { bytes, digest }
    }

    fn json(value: &serde_json::Value) -> Result<Self> {
        Ok(Self::new(serde_json::to_vec(value)?))
    }

    fn descriptor(&self, media_type: &str) -> serde_json::Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// This machine's architecture, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
