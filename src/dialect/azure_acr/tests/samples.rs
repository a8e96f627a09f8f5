use crate::dialect::{Format, tests::lines::samples};

#[test]
fn samples_of_others_decode_as_their_names_say() {
    let pushed = "Push aci-helloworld :v1 @21 PUT at 2018-04-25T21:39:47.276585742Z \
                  = 31c51664-e5bd-416a-a5df-e5206bc47ed0";
    let deleted = "DeleteManifest aci-helloworld @21 DELETE at 2018-04-26T17:56:00.996603117Z \
                   = f06e3921-301f-42ec-b368-212f7d5354bd";
    samples(
        "azure-acr",
        Format::AzureACR,
        &[
            ("eventgrid-cloudevents-image-deleted", &[deleted]),
            ("eventgrid-cloudevents-image-pushed", &[pushed]),
            ("eventgrid-image-deleted", &[deleted]),
            ("eventgrid-image-pushed", &[pushed]),
            ("eventgrid-subscription-validation", &[]),
            (
                "log-analytics-repository-event-pull",
                &["Pull team/app :1.4.2 @9c Peer 203.0.113.9 by aks-kubelet \
                   at 2026-01-05T11:05:00.1234567Z = 2f4c2a07-5d65-4a4a-8a7a-1c5a1d7f0001"],
            ),
            ("webhook-chart-push-ignore", &[]),
            (
                "webhook-delete",
                &[
                    "DeleteManifest hello-world @00 DELETE at 2023-11-17T16:54:53.657764628Z \
                   = afc359ce-df7f-4e32-0000-1ff8aa80927b",
                ],
            ),
            ("webhook-ping", &[]),
            (
                "webhook-push",
                &["Push hello-world :v1 @00 PUT at 2023-11-17T16:52:01.343145347Z \
                   = cb8c3971-9adc-488b-0000-43cbb4974ff5"],
            ),
        ],
    );
}
