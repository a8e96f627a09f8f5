//! Objects of kinds that the configuration names, by the path to their pod template.

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Bare, objects::PodTemplate, parse};
use crate::cluster::{Kind, kind::CustomKind, model::Workload, wire::Malformed};

/// An object without a template, as where it refers to one elsewhere, has no containers.
pub(super) fn read<'a>(custom: &'static CustomKind, object: &'a RawValue) -> Result<Workload<'a>, Malformed> {
    let text = object.get().as_bytes();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let template = TemplateAt(&custom.template)
        .deserialize(&mut deserializer)
        .map_err(|_| Malformed)?;
    Ok(Workload {
        kind: Kind::Custom(custom),
        meta: parse::<Bare>(text)?.metadata.into_model(),
        containers: template.map(PodTemplate::into_model).unwrap_or_default(),
        finished: false,
    })
}

/// Reads the template that these fields lead to, and skips all else.
struct TemplateAt<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for TemplateAt<'_> {
    type Value = Option<PodTemplate<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TemplateAt<'_> {
    type Value = Option<PodTemplate<'de>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut template = None;
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        while let Some(name) = fields.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == first.as_str() {
                template = fields.next_value_seed(TemplateAt(rest))?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(kind: &str, object: &str) -> Result<Vec<String>, Malformed> {
        let custom: &CustomKind = Box::leak(Box::new(kind.parse().unwrap()));
        let object: Box<RawValue> = RawValue::from_string(object.to_owned()).unwrap();
        let workload = read(custom, &object)?;
        assert_eq!((&*workload.meta.uid, &*workload.meta.name), ("u", "web"));
        Ok(workload
            .containers
            .iter()
            .map(|container| container.image.to_string())
            .collect())
    }

    #[test]
    fn the_template_is_found_by_its_path() {
        let meta = r#""metadata": {"uid": "u", "name": "web"}"#;
        let pod = r#"{"containers": [{"name": "a", "image": "r.example/a"}], "initContainers": [{"name": "i", "image": "r.example/i"}]}"#;
        let rollout = "Rollout=rollouts.v1alpha1.argoproj.io:spec.template";
        let revision = "Revision=revisions.v1.serving.knative.dev:";
        let found = vec!["r.example/a".to_owned(), "r.example/i".to_owned()];
        for (kind, rest, expected) in [
            (
                rollout,
                format!(r#""spec": {{"replicas": 2, "template": {{"spec": {pod}}}}}"#),
                &found,
            ),
            (revision, format!(r#""spec": {pod}"#), &found),
            (
                rollout,
                r#""spec": {"workloadRef": {"name": "x"}}"#.to_owned(),
                &Vec::new(),
            ),
            (rollout, r#""spec": null"#.to_owned(), &Vec::new()),
            (rollout, r#""spec": {"template": null}"#.to_owned(), &Vec::new()),
        ] {
            assert_eq!(
                images(kind, &format!("{{{meta}, {rest}}}")).as_ref(),
                Ok(expected),
                "{rest}"
            );
        }
        assert!(images(rollout, &format!(r#"{{{meta}, "spec": "text"}}"#)).is_err());
        assert!(images(rollout, "[]").is_err());
    }
}
