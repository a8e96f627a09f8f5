use super::Digest;

/// What a container status says about the content that runs, by its hash alone:
/// the repository part of an `imageID` lies when content is shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunningDigest {
    pub digest: Digest,
    pub form: RunningForm,
}

/// How the runtime wrote the `imageID`, which tells what the hash can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunningForm {
    /// `repo@sha256:…`, also behind `docker-pullable://`: a manifest or an index.
    Repository,
    /// `sha256:…`, `docker://sha256:…` or bare hexadecimal (CRI-O): the digest of a
    /// configuration or of a locally loaded image, comparable only when equal.
    Bare,
}

impl RunningDigest {
    /// Reads a container status' `imageID`; `None` where it names no digest.
    #[must_use]
    pub fn parse(_image_id: &str) -> Option<Self> {
        unimplemented!()
    }
}
