use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Namespaces of reports: this one, those whose labels match, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, kube::KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)").message("set selector exactly when from is Selector"))]
pub struct ReportNamespaces {
    /// Same: the namespace of this object. Selector: those that the selector matches. All: every one.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Labels of the namespaces, when from is Selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    #[default]
    Same,
    Selector,
    All,
}

/// A label selector: all of its requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// The label's name.
    #[schemars(length(max = 317))]
    pub key: String,
    /// How the label's value relates to values.
    pub operator: LabelSelectorOperator,
    /// The values, for In and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelSelectorOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Whether every requirement holds; an empty selector matches everything.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| {
                let value = labels.get(&requirement.key);
                match requirement.operator {
                    LabelSelectorOperator::In => {
                        value.is_some_and(|value| requirement.values.contains(value))
                    }
                    LabelSelectorOperator::NotIn => {
                        !value.is_some_and(|value| requirement.values.contains(value))
                    }
                    LabelSelectorOperator::Exists => value.is_some(),
                    LabelSelectorOperator::DoesNotExist => value.is_none(),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn requirement(operator: LabelSelectorOperator, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_expressions: vec![LabelSelectorRequirement {
                key: "env".into(),
                operator,
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            }],
            ..LabelSelector::default()
        }
    }

    #[test]
    fn a_selector_means_what_kubernetes_means_by_it() {
        use LabelSelectorOperator::{DoesNotExist, Exists, In, NotIn};
        let prod = labels(&[("env", "prod")]);
        let none = labels(&[]);
        for (selector, on_prod, on_none) in [
            (LabelSelector::default(), true, true),
            (
                LabelSelector {
                    match_labels: prod.clone(),
                    ..LabelSelector::default()
                },
                true,
                false,
            ),
            (requirement(In, &["prod", "dev"]), true, false),
            (requirement(NotIn, &["prod"]), false, true),
            (requirement(Exists, &[]), true, false),
            (requirement(DoesNotExist, &[]), false, true),
        ] {
            assert_eq!(
                (selector.matches(&prod), selector.matches(&none)),
                (on_prod, on_none),
                "{selector:?}"
            );
        }
    }
}
