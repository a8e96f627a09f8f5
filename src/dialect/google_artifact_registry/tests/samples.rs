use super::GOOGLE;

#[test]
fn samples_of_others_decode_as_they_should() {
    GOOGLE.samples_bring(
        "google-artifact-registry",
        &[
            (
                "audit-DeleteManifest",
                &[
                    "Delete Manifest my-project/my-repo/web/api@91 method DELETE from Peer 203.0.113.5 \
                     by gke-node@my-project.iam.gserviceaccount.com with containerd/1.7.22,gzip(gfe) \
                     at 2026-01-05T10:03:00Z id ins4",
                ],
                0,
            ),
            (
                "audit-GetManifest-by-digest",
                &[
                    "Pull my-project/my-repo/web/api@91 method GET from Peer 203.0.113.5 \
                     by gke-node@my-project.iam.gserviceaccount.com with containerd/1.7.22,gzip(gfe) \
                     at 2026-01-05T10:01:01.5Z id ins2",
                ],
                0,
            ),
            (
                "audit-GetManifest-by-tag",
                &[
                    "Pull my-project/my-repo/web/api:1.4.2 method GET from Peer 203.0.113.5 \
                     by gke-node@my-project.iam.gserviceaccount.com with containerd/1.7.22,gzip(gfe) \
                     at 2026-01-05T10:01:00.5Z id ins1",
                ],
                0,
            ),
            ("audit-GetManifest-failed", &[], 1),
            ("audit-HeadManifest-failed", &[], 1),
            (
                "audit-PutManifest",
                &[
                    "Push my-project/my-repo/web/api:1.4.2@91 method PUT from Peer 203.0.113.5 \
                     by gke-node@my-project.iam.gserviceaccount.com with containerd/1.7.22,gzip(gfe) \
                     at 2026-01-05T10:02:00Z id ins3",
                ],
                0,
            ),
            (
                "message-delete-tag",
                &["Delete Tag my-project/my-repo/hello-world:1.1"],
                0,
            ),
            (
                "message-insert-digest",
                &["Push my-project/my-repo/hello-world"],
                0,
            ),
            (
                "message-insert-tag",
                &["Push my-project/my-repo/hello-world:1.1"],
                0,
            ),
            (
                "pubsub-push-gcr-insert-tag-only",
                &["Push am/am.kebab.api:test at 2020-01-30T04:18:04.805Z id 981636256311680"],
                0,
            ),
            (
                "pubsub-push-insert-tag",
                &["Push my-project/my-repo/hello-world:1.1@f5 at 2026-01-05T10:00:00.1Z id 136969346945"],
                0,
            ),
        ],
    );
}
