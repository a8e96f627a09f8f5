//! What every generated schema has in common, and the definitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{ClusterAuthorization, ImageRegistry, ImageUsageReport};

/// A point in time as RFC 3339 text.
pub(super) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// The same where it may be absent.
pub(super) fn optional_date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

/// The three definitions, as they are installed.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    [
        ClusterAuthorization::crd(),
        ImageRegistry::crd(),
        ImageUsageReport::crd(),
    ]
    .into_iter()
    .map(with_unseen_status)
    .map(with_plain_descriptions)
    .collect()
}

/// `kubectl explain` shows descriptions as they are: no marks of Markdown, and no line breaks of the source.
fn with_plain_descriptions(definition: CustomResourceDefinition) -> CustomResourceDefinition {
    fn tidy(value: &mut Value) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
                Value::String(text) if name == "description" => {
                    let paragraphs: Vec<String> = text
                        .split("\n\n")
                        .map(|paragraph| paragraph.replace('`', "").replace('\n', " "))
                        .collect();
                    *text = paragraphs.join("\n\n");
                }
                value => tidy(value),
            }),
            Value::Array(values) => values.iter_mut().for_each(tidy),
            _ => {}
        }
    }
    let tidied = serde_json::to_value(&definition).and_then(|mut value| {
        tidy(&mut value);
        serde_json::from_value(value)
    });
    tidied.unwrap_or(definition)
}

/// An object that the operator has not seen yet must count as in progress (kstatus): its status starts
/// with a generation that no spec has.
fn with_unseen_status(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
            .and_then(|schema| schema.properties.as_mut())
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(
                k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSON(
                    json!({"observedGeneration": -1}),
                ),
            );
        }
    }
    definition
}
