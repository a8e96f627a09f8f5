//! GitLab's registry sends distribution's notifications.

use crate::dialect::{
    Format::GitLab,
    tests::{brings, samples},
};

#[test]
fn pushes_pulls_and_deletes() {
    brings(
        GitLab,
        "push",
        &[
            "Push shop/backend/web @aaaa by PUT from Peer 10.20.0.9 as alice at 2026-03-03T12:00:00.5Z \
             id 7d41c0a2-0000-4000-8000-000000000001",
            "Push shop/backend/web :v1 @1111 by PUT from Peer 10.20.0.9 as alice at 2026-03-03T12:00:00.5Z \
             id 7d41c0a2-0000-4000-8000-000000000002",
        ],
        1,
    );
    brings(
        GitLab,
        "pull-behind-the-bundled-proxy",
        &[
            "Pull shop/backend/web :v1 @1111 by HEAD from Header 203.0.113.24 as deploy at 2026-03-03T12:05:00.5Z \
             id 7d41c0a2-0000-4000-8000-000000000011",
            "Pull shop/backend/web @1111 by GET from Header 203.0.113.24 at 2026-03-03T12:05:00.5Z \
             id 7d41c0a2-0000-4000-8000-000000000012",
        ],
        0,
    );
    brings(
        GitLab,
        "delete",
        &[
            "Delete Tag shop/backend/web :v0 by DELETE from Peer 198.51.100.20 as alice at 2026-03-03T12:09:00.5Z \
             id 7d41c0a2-0000-4000-8000-000000000021",
            "Delete Manifest shop/backend/web @2222 by DELETE from Peer 198.51.100.20 at 2026-03-03T12:09:00.5Z \
             id 7d41c0a2-0000-4000-8000-000000000022",
        ],
        0,
    );
}

#[test]
fn samples_of_others() {
    samples(
        GitLab,
        "gitlab",
        &[
            (
                "delete-tag",
                &[
                    "Delete Tag mygroup/myproject/web :v0.9.0 by DELETE from Peer 198.51.100.20 as jdoe \
                   at 2026-01-05T08:15:30.123456789Z id 9d1b9f5e-0d5b-4f0f-9d6e-000000000032",
                ],
            ),
            (
                "push",
                &[
                    "Push mygroup/myproject/web :v1.0.0 @7ee0 by PUT from Peer 198.51.100.20 as jdoe \
                   at 2026-01-05T08:15:30.123456789Z id 9d1b9f5e-0d5b-4f0f-9d6e-000000000031",
                ],
            ),
        ],
    );
}
