use anyhow::{Context, Result};
use local_cluster::Access;
use serde_json::Value;

use crate::NAMESPACE;

/// A report's status as the API server has it.
#[derive(Debug, Clone)]
pub struct Report(pub Value);

/// Reads a report of the operator's namespace.
pub async fn report(home: &Access, name: &str) -> Result<Report> {
    let mut object = home
        .get_json(&["imageusagereports", name, "--namespace", NAMESPACE])
        .await?;
    let status = object.get_mut("status").context("no status yet")?.take();
    Ok(Report(status))
}

impl Report {
    /// A number of the summary; `None` where it is absent.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.0["summary"][name].as_i64()
    }

    #[must_use]
    pub fn verdict(&self) -> &str {
        self.0["verdict"]["value"].as_str().unwrap_or_default()
    }

    /// Status and reason of a condition.
    #[must_use]
    pub fn condition(&self, kind: &str) -> (&str, &str) {
        let conditions = self.0["conditions"].as_array();
        let condition = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == kind);
        condition.map_or(("", ""), |condition| {
            (
                condition["status"].as_str().unwrap_or_default(),
                condition["reason"].as_str().unwrap_or_default(),
            )
        })
    }

    /// The entries of a list.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Events of a category.
    #[must_use]
    pub fn events(&self, category: &str) -> Vec<&Value> {
        self.list("events")
            .iter()
            .filter(|event| event["category"] == category)
            .collect()
    }

    /// Deployments in a cluster.
    #[must_use]
    pub fn deployments_in(&self, cluster: &str) -> Vec<&Value> {
        self.list("deployments")
            .iter()
            .filter(|row| row["cluster"]["name"] == cluster)
            .collect()
    }
}
