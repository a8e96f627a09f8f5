use super::*;
use crate::{
    crd::{NamespacesFrom, ReportNamespaces},
    image::Endpoint,
};

fn registry(namespace: &str, name: &str, is_granting: bool, from: NamespacesFrom) -> Registry {
    Registry {
        key: ObjectKey {
            namespace: namespace.into(),
            name: name.into(),
        },
        uid: format!("{namespace}-{name}"),
        allowed: vec![RegistryGrant {
            namespaces: ReportNamespaces { from, selector: None },
            client_details: ClientDetails::Full,
        }],
        is_granting,
        ..fixture::registry(&[])
    }
}

fn endpoints(texts: &[&str]) -> Endpoints {
    Endpoints::new(texts.iter().map(|text| {
        let (host, prefix) = text.split_once('/').unwrap();
        Endpoint {
            host: host.to_owned(),
            prefix: prefix.to_owned(),
        }
    }))
}

fn answer(registries: &Registries, namespace: &str) -> String {
    answer_for(registries, "r.example/app", namespace).replace(" app", "")
}

fn answer_for(registries: &Registries, name: &str, namespace: &str) -> String {
    match registries.lookup(&name.parse().unwrap(), namespace, None) {
        Lookup::Nobody => "nobody".into(),
        Lookup::Conflict(names) => names.join("+"),
        Lookup::One(registry, path) => format!("{} {path}", registry.key),
    }
}

#[test]
fn the_longest_prefix_that_serves_a_namespace_answers() {
    let with = |namespace, name, is_granting, from, names: &[&str]| Registry {
        endpoints: endpoints(names),
        ..registry(namespace, name, is_granting, from)
    };
    let registries = Registries::default();
    registries.insert(with(
        "system",
        "harbor",
        true,
        NamespacesFrom::All,
        &["harbor.local/"],
    ));
    registries.insert(with(
        "system",
        "hub",
        true,
        NamespacesFrom::All,
        &["docker.io/", "harbor.local/dockerhub/"],
    ));
    let own = with(
        "team",
        "own",
        false,
        NamespacesFrom::Same,
        &["harbor.local/dockerhub/team/"],
    );
    registries.insert(own);
    for (name, namespace, expected) in [
        ("harbor.local/shop/web", "team", "system/harbor shop/web"),
        (
            "harbor.local/dockerhub/library/nginx",
            "team",
            "system/hub library/nginx",
        ),
        ("harbor.local/dockerhub/nginx", "team", "system/hub library/nginx"),
        ("nginx", "team", "system/hub library/nginx"),
        ("harbor.local/dockerhub/team/app", "team", "team/own app"),
        ("harbor.local/dockerhub/team/app", "other", "system/hub team/app"),
        ("harbor.local/dockerhub", "team", "system/harbor dockerhub"),
        ("other.local/dockerhub/nginx", "team", "nobody"),
    ] {
        assert_eq!(
            answer_for(&registries, name, namespace),
            expected,
            "{name} in {namespace}"
        );
    }

    let hub = registries
        .get(&ObjectKey {
            namespace: "system".into(),
            name: "hub".into(),
        })
        .unwrap();
    let names = |namespace| -> Vec<String> {
        let names = registries.names_to(&hub, "team/app", namespace, None);
        names.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        names("other"),
        ["docker.io/team/app", "harbor.local/dockerhub/team/app"]
    );
    assert_eq!(
        names("team"),
        ["docker.io/team/app"],
        "the other name is another's"
    );

    let twin = with(
        "system",
        "twin",
        true,
        NamespacesFrom::All,
        &["harbor.local/dockerhub/"],
    );
    assert_eq!(registries.rivals(&twin), std::slice::from_ref(&hub.key));
    registries.insert(twin);
    assert_eq!(
        answer_for(&registries, "harbor.local/dockerhub/nginx", "team"),
        "system/hub+system/twin"
    );
    assert_eq!(
        answer_for(&registries, "nginx", "team"),
        "system/hub library/nginx",
        "only the shared name is in conflict"
    );
}

#[test]
fn of_several_grants_the_one_that_shows_most_counts() {
    let grant = |from, client_details| RegistryGrant {
        namespaces: ReportNamespaces { from, selector: None },
        client_details,
    };
    let registry = Registry {
        allowed: vec![
            grant(NamespacesFrom::Same, ClientDetails::Network),
            grant(NamespacesFrom::All, ClientDetails::None),
        ],
        ..registry("team", "own", true, NamespacesFrom::Same)
    };
    assert_eq!(
        registry.client_details("team", None),
        Some(ClientDetails::Network)
    );
    assert_eq!(registry.client_details("other", None), Some(ClientDetails::None));
    let not_granting = Registry {
        is_granting: false,
        ..registry
    };
    assert_eq!(not_granting.client_details("other", None), None);
}

#[test]
fn a_granting_registry_goes_before_one_of_the_own_namespace_and_equals_conflict() {
    let registries = Registries::default();
    assert_eq!(answer(&registries, "team"), "nobody");
    registries.insert(registry("team", "own", false, NamespacesFrom::Same));
    assert_eq!(answer(&registries, "team"), "team/own");
    assert_eq!(answer(&registries, "other"), "nobody");
    registries.insert(registry("system", "shared", true, NamespacesFrom::All));
    assert_eq!(answer(&registries, "team"), "system/shared");
    registries.insert(registry("system", "second", true, NamespacesFrom::Same));
    assert_eq!(
        answer(&registries, "team"),
        "system/shared",
        "it does not serve this namespace"
    );
    assert_eq!(answer(&registries, "system"), "system/second+system/shared");
    registries.insert(registry("team", "twin", false, NamespacesFrom::Same));
    assert_eq!(
        registries
            .rivals(&registry("team", "own", false, NamespacesFrom::Same))
            .len(),
        1
    );
    assert!(
        registries
            .remove(&ObjectKey {
                namespace: "system".into(),
                name: "shared".into()
            })
            .is_some()
    );
    assert_eq!(answer(&registries, "team"), "team/own+team/twin");
}
