use super::DISTRIBUTION;

#[test]
fn samples_of_others_decode_as_they_should() {
    DISTRIBUTION.samples_bring(
        "distribution",
        &[
            (
                "delete-manifest-by-digest",
                &[
                    "Delete Manifest team/app@17 method DELETE from Peer 10.42.3.17 by admin \
                     with containerd/v2.0.0 at 2026-01-05T08:15:30.123456789Z request req-5d5e6b1e \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 5d5e6b1e-6d0c-4a0d-8a0e-0b7f0a5d1c03",
                ],
                0,
            ),
            (
                "delete-repository",
                &[
                    "Delete Repository team/app method DELETE from Peer 10.42.3.17 by admin \
                     with containerd/v2.0.0 at 2026-01-05T08:15:30.123456789Z request req-5d5e6b1e \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 5d5e6b1e-6d0c-4a0d-8a0e-0b7f0a5d1c05",
                ],
                0,
            ),
            (
                "delete-tag",
                &[
                    "Delete Tag team/app:1.4.2 method DELETE from Peer 10.42.3.17 by admin \
                     with containerd/v2.0.0 at 2026-01-05T08:15:30.123456789Z request req-5d5e6b1e \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 5d5e6b1e-6d0c-4a0d-8a0e-0b7f0a5d1c04",
                ],
                0,
            ),
            ("mount-blob", &[], 1),
            (
                "pull-by-digest",
                &[
                    "Pull team/app@17 type application/vnd.oci.image.manifest.v1+json method GET \
                     from Peer 10.42.3.17 with containerd/v2.0.0 at 2026-01-05T08:15:30.323456789Z \
                     request req-0b2f9d7e instance a53db899-3b4b-4a62-a067-8dd013beaca4 \
                     id 0b2f9d7e-77a1-4e34-9f5b-3a0a6a1f7a11",
                ],
                0,
            ),
            (
                "pull-by-tag",
                &[
                    "Pull hello-world:latest@fe type application/vnd.docker.distribution.manifest.v2+json \
                     method GET from Peer 192.168.64.11 with curl/7.38.0 at 2016-03-09T22:44:26.402973972Z \
                     request 6df24a34-0959-4923-81ca-14f09767db19 \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 320678d8-ca14-430f-8bb6-4ca139cd83f7",
                ],
                0,
            ),
            (
                "pull-head-by-tag",
                &[
                    "Pull team/app:1.4.2@17 type application/vnd.oci.image.manifest.v1+json method HEAD \
                     from Peer 10.42.3.17 with containerd/v2.0.0 at 2026-01-05T08:15:30.123456789Z \
                     request req-0b2f9d7e instance a53db899-3b4b-4a62-a067-8dd013beaca4 \
                     id 0b2f9d7e-77a1-4e34-9f5b-3a0a6a1f7a10",
                ],
                0,
            ),
            ("pull-layer-blob", &[], 1),
            (
                "push-envelope-manifest-and-layers",
                &[
                    "Push library/test type application/vnd.docker.distribution.manifest.v2+json method PUT \
                     by test-actor with test/0.1 at 2006-01-02T15:04:05Z request asdfasdf \
                     id asdf-asdf-asdf-asdf-0",
                ],
                2,
            ),
            (
                "push-manifest-tagged",
                &[
                    "Push team/app:1.4.2@17 type application/vnd.oci.image.manifest.v1+json method PUT from \
                     Header 203.0.113.24 by ci-bot with docker/27.3.1 go/go1.22.7 git-commit/41ca978 \
                     kernel/6.8.0 os/linux arch/amd64 UpstreamClient(Docker-Client/27.3.1 \\(linux\\)) at \
                     2026-01-05T08:15:30.123456789Z request req-5d5e6b1e instance \
                     a53db899-3b4b-4a62-a067-8dd013beaca4 id 5d5e6b1e-6d0c-4a0d-8a0e-0b7f0a5d1c01",
                ],
                0,
            ),
        ],
    );
    DISTRIBUTION.samples_bring(
        "distribution-v2",
        &[(
            "pull-by-tag",
            &[
                "Pull hello-world:latest@fe type application/vnd.docker.distribution.manifest.v2+json \
                     method GET from Peer 192.168.64.11 with curl/7.38.0 at 2016-03-09T22:44:26.402973972Z \
                     request 6df24a34-0959-4923-81ca-14f09767db19 \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 320678d8-ca14-430f-8bb6-4ca139cd83f7",
            ],
            0,
        )],
    );
}
