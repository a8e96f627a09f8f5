use crate::dialect::{Format, tests::lines::samples};

#[test]
fn samples_of_others_decode_as_their_names_say() {
    let pull = "Pull testrepo :latest Peer 203.0.113.12 by arn:aws:sts::123456789012:user/Mary_Major \
                at 2019-04-15T17:23:20Z = c84f5880-c2f9-4585-9757-28fa5c1065df";
    let push =
        "Push my-repository-name :latest at 2019-11-16T01:54:34Z = 13cde686-328b-6117-af20-0e5566167482";
    samples(
        "aws-ecr",
        Format::AmazonECR,
        &[
            (
                "cloudtrail-BatchDeleteImage",
                &[
                    "DeleteTag team/app :1.4.1 @5c Peer 10.0.4.17 by \
                     arn:aws:sts::123456789012:assumed-role/eks-node/i-0abc at 2026-01-05T09:00:00Z \
                     = c84f5880-c2f9-4585-9757-28fa5c106501",
                    "DeleteManifest team/app @8b Peer 10.0.4.17 by \
                     arn:aws:sts::123456789012:assumed-role/eks-node/i-0abc at 2026-01-05T09:00:00Z \
                     = c84f5880-c2f9-4585-9757-28fa5c106501#2",
                ],
            ),
            (
                "cloudtrail-BatchGetImage-by-digest",
                &["Pull team/app @8b Peer 10.0.4.17 by \
                   arn:aws:sts::123456789012:assumed-role/eks-node/i-0abc at 2026-01-05T09:01:00Z \
                   = c84f5880-c2f9-4585-9757-28fa5c106502"],
            ),
            ("cloudtrail-BatchGetImage", &[pull]),
            ("cloudtrail-CreateRepository-ignore", &[]),
            (
                "cloudtrail-PolicyExecutionEvent",
                &[
                    "DeleteManifest testrepo :alpine @dd at 2020-03-12T20:22:12Z \
                     = 9354dd7f-9aac-4e9d-956d-12561a4923aa",
                    "DeleteManifest testrepo :centos @6a at 2020-03-12T20:22:12Z \
                     = 9354dd7f-9aac-4e9d-956d-12561a4923aa#2",
                ],
            ),
            (
                "cloudtrail-PutImage",
                &["Push testrepo :latest @98 Peer 203.0.113.12 by \
                   arn:aws:sts::123456789012:user/Mary_Major at 2019-04-15T16:45:00Z \
                   = 2bfd4ee2-2178-4a82-a27d-b12939923f0f"],
            ),
            ("eventbridge-cloudtrail-BatchGetImage", &[pull]),
            (
                "eventbridge-image-action-delete",
                &[
                    "DeleteManifest my-repository-name :latest at 2019-11-16T02:01:05Z \
                   = dd3b46cb-2c74-f49e-393b-28286b67279d",
                ],
            ),
            ("eventbridge-image-action-push", &[push]),
            ("eventbridge-image-scan-ignore", &[]),
            ("eventbridge-pull-through-cache-ignore", &[]),
            ("eventbridge-scan-resource-change-ignore", &[]),
            ("sns-notification-wrapping-push", &[push]),
            ("sns-subscription-confirmation", &[]),
        ],
    );
}
