//! Whose reports an object serves: the one place where `allowedReports` is decided.

use std::collections::BTreeMap;

use crate::crd::{ClusterGrant, NamespacesFrom, RegistryGrant, ReportNamespaces};

/// The word for a condition when an object grants more than its namespace may.
pub const GRANT_NOT_PERMITTED: &str = "GrantNotPermitted";

/// Who an entry of `allowedReports` serves.
pub trait Grant {
    fn namespaces(&self) -> &ReportNamespaces;
}

impl Grant for ClusterGrant {
    fn namespaces(&self) -> &ReportNamespaces {
        &self.namespaces
    }
}

impl Grant for RegistryGrant {
    fn namespaces(&self) -> &ReportNamespaces {
        &self.namespaces
    }
}

/// Whether the object asks to serve other namespaces than its own.
#[must_use]
pub fn reaches_beyond(allowed: &[impl Grant]) -> bool {
    allowed
        .iter()
        .any(|grant| grant.namespaces().from != NamespacesFrom::Same)
}

/// The entries by which an object in `own` serves reports in `namespace`, which has these labels (nothing where they
/// are not known: no selector matches then). `is_granting` says whether `own` may serve others at all.
pub fn serving<'a, G: Grant>(
    allowed: &'a [G],
    own: &str,
    is_granting: bool,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> impl Iterator<Item = &'a G> {
    allowed.iter().filter(move |grant| {
        let ReportNamespaces { from, selector } = grant.namespaces();
        match from {
            NamespacesFrom::Same => namespace == own,
            NamespacesFrom::All => is_granting,
            NamespacesFrom::Selector => {
                is_granting
                    && labels
                        .zip(selector.as_ref())
                        .is_some_and(|(labels, selector)| selector.matches(labels))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::{ClientDetails, LabelSelector};

    fn grant(from: NamespacesFrom) -> Vec<RegistryGrant> {
        let team = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        vec![RegistryGrant {
            namespaces: ReportNamespaces {
                from,
                selector: (from == NamespacesFrom::Selector).then(|| LabelSelector {
                    match_labels: team,
                    ..LabelSelector::default()
                }),
            },
            client_details: ClientDetails::default(),
        }]
    }

    #[test]
    fn grants_are_honoured_as_a_matrix() {
        use NamespacesFrom::{All, Same, Selector};
        let team_a = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let team_b = BTreeMap::from([("team".to_owned(), "b".to_owned())]);
        for (from, granting, namespace, labels, expected) in [
            (Same, false, "own", Some(&team_b), true),
            (Same, true, "other", Some(&team_a), false),
            (All, true, "other", None, true),
            (All, false, "other", None, false),
            (All, false, "own", None, false),
            (Selector, true, "other", Some(&team_a), true),
            (Selector, true, "other", Some(&team_b), false),
            (Selector, true, "other", None, false),
            (Selector, false, "other", Some(&team_a), false),
        ] {
            assert_eq!(
                serving(&grant(from), "own", granting, namespace, labels).count(),
                usize::from(expected),
                "{from:?} granting={granting} {namespace} {labels:?}"
            );
        }
        let nobody: [RegistryGrant; 0] = [];
        assert_eq!(serving(&nobody, "own", true, "own", None).count(), 0);
    }
}
