use crate::dialect::{Format, tests::lines::samples};

#[test]
fn samples_of_others_decode_as_their_names_say() {
    let audit = |event: &str, rest: &str| {
        let client = "Peer 203.0.113.5 by gke-node@my-project.iam.gserviceaccount.com";
        format!("{event} {client} at 2026-01-05T{rest}")
    };
    let by_digest = audit("Pull my-project/my-repo/web/api @91 GET", "10:01:01.5Z = ins2");
    let by_tag = audit("Pull my-project/my-repo/web/api :1.4.2 GET", "10:01:00.5Z = ins1");
    let put = audit(
        "Push my-project/my-repo/web/api :1.4.2 @91 PUT",
        "10:02:00Z = ins3",
    );
    let delete = audit(
        "DeleteManifest my-project/my-repo/web/api @91 DELETE",
        "10:03:00Z = ins4",
    );
    samples(
        "google-artifact-registry",
        Format::GoogleArtifactRegistry,
        &[
            ("audit-DeleteManifest", &[&delete]),
            ("audit-GetManifest-by-digest", &[&by_digest]),
            ("audit-GetManifest-by-tag", &[&by_tag]),
            ("audit-GetManifest-failed", &[]),
            ("audit-HeadManifest-failed", &[]),
            ("audit-PutManifest", &[&put]),
            (
                "message-delete-tag",
                &["DeleteTag my-project/my-repo/hello-world :1.1"],
            ),
            ("message-insert-digest", &["Push my-project/my-repo/hello-world"]),
            (
                "message-insert-tag",
                &["Push my-project/my-repo/hello-world :1.1"],
            ),
            (
                "pubsub-push-gcr-insert-tag-only",
                &["Push am/am.kebab.api :test at 2020-01-30T04:18:04.805Z = 981636256311680"],
            ),
            (
                "pubsub-push-insert-tag",
                &["Push my-project/my-repo/hello-world :1.1 @f5 at 2026-01-05T10:00:00.1Z = 136969346945"],
            ),
        ],
    );
}
