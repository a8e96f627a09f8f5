//! Entries of the audit log ("Artifact Registry audit logging" in its documentation, `LogEntry`
//! and `AuditLog` in the references of Cloud Logging and Cloud Audit Logs).

use serde_json::Value;

use crate::{
    dialect::{
        MAX_ENTRIES, Parsed, fields,
        json::{IGNORED, detail, list},
    },
    event::{Category, DeleteTarget, RegistryEvent},
    image::Digest,
};

/// What one entry brings: nothing where the call failed, was about no image or was another service's.
pub(super) fn entry(entry: &Value) -> Parsed {
    let Some(call) = entry.get("protoPayload") else {
        return IGNORED;
    };
    let (client, request) = (call.get("requestMetadata"), call.get("request"));
    let mut events = acts(call);
    for event in &mut events {
        if event.method.is_none() {
            event.method = detail(request, "requestMethod").and_then(fields::method);
        }
        event.address = detail(client, "callerIp").and_then(fields::peer);
        event.user_agent = detail(client, "callerSuppliedUserAgent").and_then(fields::free_text);
        event.actor = detail(call.get("authenticationInfo"), "principalEmail").and_then(fields::free_text);
        event.time = detail(Some(entry), "timestamp").and_then(fields::time);
        // The start and the end of a long-running operation are an entry each.
        event.request_id = detail(entry.get("operation"), "id").map(fields::id);
    }
    fields::named_each(events, detail(Some(entry), "insertId"))
}

fn acts(call: &Value) -> Vec<RegistryEvent> {
    let code = call.get("status").and_then(|status| status.get("code"));
    let failed = code.is_some_and(|code| code.as_i64() != Some(0));
    if failed || detail(Some(call), "serviceName") != Some("artifactregistry.googleapis.com") {
        return Vec::new();
    }
    let method = detail(Some(call), "methodName").unwrap_or_default();
    let docker = match method {
        "Docker-GetManifest" | "Docker-HeadManifest" => Some(Category::Pull),
        "Docker-PutManifest" => Some(Category::Push),
        "Docker-DeleteManifest" | "Docker-DeleteTag" => Some(Category::Delete),
        _ => None,
    };
    if let Some(category) = docker {
        let event = manifest(category, call).map(|event| RegistryEvent {
            method: (method == "Docker-HeadManifest").then(|| "HEAD".to_owned()),
            ..event
        });
        return event.into_iter().collect();
    }
    // Versions v1, v1beta1 and v1beta2 of the API.
    let rpc = method
        .strip_prefix("google.devtools.artifactregistry.")
        .and_then(|method| method.rsplit_once('.'));
    let resource = detail(Some(call), "resourceName");
    let request = call.get("request");
    let names: Vec<&str> = match rpc {
        Some((_, "DeleteTag" | "DeleteVersion" | "DeletePackage")) => {
            resource.or(detail(request, "name")).into_iter().collect()
        }
        Some((_, "BatchDeleteVersions")) if !only_validated(request) => list(request, "names")
            .iter()
            .filter_map(Value::as_str)
            .take(MAX_ENTRIES + 1)
            .collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter_map(deleted).collect()
}

fn only_validated(request: Option<&Value>) -> bool {
    request.is_some_and(|request| request.get("validateOnly") == Some(&Value::Bool(true)))
}

/// A request of the Docker API: `/v2/PROJECT/REPOSITORY/IMAGE/manifests/REFERENCE`. A push has
/// the digest only in the name of the resource.
fn manifest(category: Category, call: &Value) -> Option<RegistryEvent> {
    let resource = Resource::of(detail(Some(call), "resourceName").unwrap_or_default());
    let path = detail(call.get("request"), "requestUrl").unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let asked = path
        .split_once("/v2/")
        .and_then(|(_, path)| path.rsplit_once("/manifests/"))
        .map(|(name, reference)| (decoded(name), decoded(reference)));

    let reference = asked.as_ref().map(|(_, reference)| reference.as_str());
    let tag = reference.and_then(fields::tag);
    let digest = reference
        .and_then(fields::digest)
        .or_else(|| resource.as_ref()?.digest.clone());
    let by_digest = reference.is_some_and(|reference| reference.contains(':'));
    let target = match category {
        Category::Delete if by_digest || (tag.is_none() && digest.is_some()) => Some(DeleteTarget::Manifest),
        Category::Delete if tag.is_none() => return None,
        Category::Delete => Some(DeleteTarget::Tag),
        Category::Push | Category::Pull => None,
    };
    let repository = match asked {
        Some((name, _)) => fields::repository(&name)?,
        None => fields::repository(&resource?.repository)?,
    };
    Some(RegistryEvent {
        tag,
        digest,
        ..fields::event(category, target, repository)
    })
}

/// What the name of a deleted resource stands for. Packages of other kinds look the same;
/// of their versions none is a digest.
fn deleted(name: &str) -> Option<RegistryEvent> {
    let resource = Resource::of(name)?;
    let target = match resource.part {
        Part::Package => DeleteTarget::Repository,
        Part::Version => DeleteTarget::Manifest,
        Part::Tag(_) => DeleteTarget::Tag,
        Part::Image => return None,
    };
    let tag = match resource.part {
        Part::Tag(tag) => Some(fields::tag(&tag)?),
        _ => None,
    };
    let repository = fields::repository(&resource.repository)?;
    Some(RegistryEvent {
        tag,
        digest: resource.digest,
        ..fields::event(Category::Delete, Some(target), repository)
    })
}

/// `projects/P/locations/L/repositories/R/` and then `packages/I`, `packages/I/versions/DIGEST`,
/// `packages/I/tags/TAG` or, of the Docker API, `dockerImages/I[@DIGEST]`.
struct Resource {
    /// As a reference to the image has it: `P/R/I`.
    repository: String,
    digest: Option<Digest>,
    part: Part,
}

enum Part {
    Image,
    Package,
    Version,
    Tag(String),
}

impl Resource {
    fn of(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.splitn(11, '/').collect();
        let (head, rest) = parts.split_at_checked(6)?;
        let ["projects", project, "locations", _, "repositories", repository] = head else {
            return None;
        };
        let (image, digest, part) = match rest {
            ["dockerImages", image] => match image.split_once('@') {
                Some((image, digest)) => (image, fields::digest(&decoded(digest)), Part::Image),
                None => (*image, None, Part::Image),
            },
            ["packages", image] => (*image, None, Part::Package),
            ["packages", image, "versions", version] => {
                let version = decoded(version);
                version.strip_prefix("sha256:")?;
                (*image, fields::digest(&version), Part::Version)
            }
            ["packages", image, "tags", tag] => (*image, None, Part::Tag(decoded(tag))),
            _ => return None,
        };
        let (project, image) = (project.replace(':', "/"), decoded(image));
        // Repositories for the hosts of Container Registry, such as `eu.gcr.io`, whose paths do not name them.
        let repository = if *repository == "gcr.io" || repository.ends_with(".gcr.io") {
            format!("{project}/{image}")
        } else {
            format!("{project}/{repository}/{image}")
        };
        Some(Self {
            repository,
            digest,
            part,
        })
    }
}

/// Without percent-encoding; what is none of it stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|code| first == b'%' && code.iter().all(u8::is_ascii_hexdigit))
            .and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
