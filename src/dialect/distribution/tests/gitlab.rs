//! GitLab's registry sends distribution's notifications.

use crate::dialect::{Format, tests::Fixtures};

const GITLAB: Fixtures = Fixtures(Format::GitLab);

#[test]
fn each_fixture_brings_what_it_tells() {
    GITLAB.bring(&[
        (
            "delete",
            &[
                "Delete Tag shop/backend/web:v0 method DELETE from Peer 198.51.100.20 by alice \
                 with GitLab/18.6 at 2026-03-03T12:09:00.5Z request 01JN00000021 \
                 instance 0c6e2f4a-7b1d-4c3e-9f52-1a2b3c4d5e6f id 7d41c0a2-0000-4000-8000-000000000021",
                "Delete Manifest shop/backend/web@22 method DELETE from Peer 198.51.100.20 with GitLab/18.6 \
                 at 2026-03-03T12:09:00.5Z request 01JN00000022 \
                 instance 0c6e2f4a-7b1d-4c3e-9f52-1a2b3c4d5e6f id 7d41c0a2-0000-4000-8000-000000000022",
            ],
            0,
        ),
        (
            "pull-behind-the-bundled-proxy",
            &[
                "Pull shop/backend/web:v1@11 type application/vnd.oci.image.index.v1+json method HEAD \
                 from Header 203.0.113.24 by deploy with containerd/v2.1.4 at 2026-03-03T12:05:00.5Z \
                 request 01JN00000011 instance 0c6e2f4a-7b1d-4c3e-9f52-1a2b3c4d5e6f \
                 id 7d41c0a2-0000-4000-8000-000000000011",
                "Pull shop/backend/web@11 type application/vnd.oci.image.index.v1+json method GET \
                 from Header 203.0.113.24 with containerd/v2.1.4 at 2026-03-03T12:05:00.5Z \
                 request 01JN00000012 instance 0c6e2f4a-7b1d-4c3e-9f52-1a2b3c4d5e6f \
                 id 7d41c0a2-0000-4000-8000-000000000012",
            ],
            0,
        ),
        (
            "push",
            &[
                "Push shop/backend/web@aa type application/vnd.oci.image.manifest.v1+json method PUT \
                 from Peer 10.20.0.9 by alice with buildkit/v0.25 at 2026-03-03T12:00:00.5Z \
                 request 01JN00000001 instance 0c6e2f4a-7b1d-4c3e-9f52-1a2b3c4d5e6f \
                 id 7d41c0a2-0000-4000-8000-000000000001",
                "Push shop/backend/web:v1@11 type application/vnd.oci.image.index.v1+json method PUT \
                 from Peer 10.20.0.9 by alice with buildkit/v0.25 at 2026-03-03T12:00:00.5Z \
                 request 01JN00000002 instance 0c6e2f4a-7b1d-4c3e-9f52-1a2b3c4d5e6f \
                 id 7d41c0a2-0000-4000-8000-000000000002",
            ],
            1,
        ),
    ]);
}

#[test]
fn samples_of_others_decode_as_they_should() {
    GITLAB.samples_bring(
        "gitlab",
        &[
            (
                "delete-tag",
                &[
                    "Delete Tag mygroup/myproject/web:v0.9.0 method DELETE from Peer 198.51.100.20 by jdoe \
                     with containerd/v2.0.0 at 2026-01-05T08:15:30.123456789Z request req-9d1b9f5e \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 9d1b9f5e-0d5b-4f0f-9d6e-000000000032",
                ],
                0,
            ),
            (
                "push",
                &["Push mygroup/myproject/web:v1.0.0@7e \
                     type application/vnd.docker.distribution.manifest.v2+json method PUT \
                     from Peer 198.51.100.20 by jdoe with containerd/v2.0.0 \
                     at 2026-01-05T08:15:30.123456789Z request req-9d1b9f5e \
                     instance a53db899-3b4b-4a62-a067-8dd013beaca4 id 9d1b9f5e-0d5b-4f0f-9d6e-000000000031"],
                0,
            ),
        ],
    );
}
