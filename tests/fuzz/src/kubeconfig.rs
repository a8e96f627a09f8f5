//! A kubeconfig, or the two halves of an Argo CD Secret: read or refused, and no text of it in the error.

#![no_main]

use image_usage_operator::cluster::Kubeconfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    refuse_or_read(Kubeconfig::from_kubeconfig(bytes));
    let (server, config) = bytes.split_at(bytes.len() / 8);
    refuse_or_read(Kubeconfig::from_argocd(server, config));
});

fn refuse_or_read<E: std::fmt::Display>(read: Result<Kubeconfig, E>) {
    match read {
        Ok(kubeconfig) => {
            assert_eq!(kubeconfig.server().scheme_str(), Some("https"));
            let _ = kubeconfig.validity();
        }
        Err(error) => assert!(error.to_string().len() < 1024),
    }
}
