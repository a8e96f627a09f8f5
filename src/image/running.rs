use super::{Digest, digest::decode_hex};

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
    /// Reads a container status' `imageID`; `None` where it names no digest. The
    /// repository part is not looked at: a runtime may write it in any way.
    #[must_use]
    pub fn parse(image_id: &str) -> Option<Self> {
        let identifier = image_id
            .split_once("://")
            .map_or(image_id, |(_, identifier)| identifier);
        if let Some((_, digest)) = identifier.rsplit_once('@') {
            return Some(Self {
                digest: digest.parse().ok()?,
                form: RunningForm::Repository,
            });
        }
        let digest = match decode_hex(identifier) {
            Some(bytes) => Digest::Sha256(bytes),
            None => identifier.parse().ok()?,
        };
        Some(Self {
            digest,
            form: RunningForm::Bare,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn every_form_that_runtimes_report_is_read_by_its_hash() {
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        let table = [
            // containerd, pulled by tag or digest
            (
                format!("registry.example.com/team/app@sha256:{HEX}"),
                RunningForm::Repository,
            ),
            (
                format!("registry.example.com:5000/app:v1@sha256:{HEX}"),
                RunningForm::Repository,
            ),
            (format!("[::1]:5000/app@sha256:{HEX}"), RunningForm::Repository),
            // dockershim and cri-dockerd, pulled and built
            (
                format!("docker-pullable://app@sha256:{HEX}"),
                RunningForm::Repository,
            ),
            (format!("docker://sha256:{HEX}"), RunningForm::Bare),
            // containerd, imported without a repo digest
            (format!("sha256:{HEX}"), RunningForm::Bare),
            // CRI-O
            (HEX.to_owned(), RunningForm::Bare),
            // a repository that no reference could name
            (format!("Not A Repository@sha256:{HEX}"), RunningForm::Repository),
        ];
        for (image_id, form) in table {
            let expected = RunningDigest {
                digest: digest.clone(),
                form,
            };
            assert_eq!(RunningDigest::parse(&image_id), Some(expected), "{image_id}");
        }
    }

    #[test]
    fn an_identifier_without_a_whole_digest_names_none() {
        let table = [
            String::new(),
            "registry.example.com/team/app:v1".to_owned(),
            "docker://".to_owned(),
            "docker-pullable://app".to_owned(),
            "app@".to_owned(),
            "app@sha256:abc".to_owned(),
            format!("app@md5:{HEX}"),
            format!("sha256:{}", &HEX[1..]),
            HEX[1..].to_owned(),
            HEX.to_uppercase(),
            format!("{HEX}0"),
        ];
        for image_id in table {
            assert_eq!(RunningDigest::parse(&image_id), None, "{image_id}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = RunningDigest::parse(&text);
        }
    }
}
