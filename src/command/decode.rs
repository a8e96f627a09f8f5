#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{Streams, printable::printable_json, to_string};
use crate::{
    dialect::{self, Format},
    event::{Category, NetworkType, RegistryEvent},
    receive::MAX_BODY_BYTES,
};

#[derive(Debug, Args)]
pub struct Decode {
    /// What the message looks like, by the name that the registry's object has for it, in any case.
    #[arg(long)]
    format: String,
    /// The headers the message came with: a file with a JSON object of names and texts, or lists of texts.
    /// Without it no header is known; some registries send the id of an event in one.
    #[arg(long)]
    headers: Option<PathBuf>,
    /// File with the message's body; - is standard input.
    file: PathBuf,
}

/// An event as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decoded {
    category: &'static str,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    /// Whatever is believed of it.
    #[serde(rename = "clientIP")]
    client_ip: Option<String>,
    /// Only as the source states it.
    network_type: Option<&'static str>,
    event_time: Option<String>,
    actor: Option<String>,
    user_agent: Option<String>,
    /// None where the format has none.
    id: Option<String>,
    method: Option<String>,
}

/// A header's values as a file has them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Decode {
    /// Prints the events. An error says in words why the message cannot be read.
    pub fn run(&self, streams: &mut Streams<'_>) -> Result<(), String> {
        let format = format(&self.format)?;
        let headers = match &self.headers {
            Some(file) => {
                let name = file.display();
                let (headers, left_out) = headers(file).map_err(|error| format!("{name}: {error}"))?;
                if left_out > 0 {
                    let told =
                        format!("{name}: no header can have the name or the value of {left_out} of these");
                    writeln!(streams.told, "{told}: left out").map_err(to_string)?;
                }
                headers
            }
            None => HeaderMap::new(),
        };
        let is_standard_input = self.file == Path::new("-");
        let name = if is_standard_input {
            "standard input".to_owned()
        } else {
            self.file.display().to_string()
        };
        let body = if is_standard_input {
            bounded(streams.input)
        } else {
            open(&self.file)
        };
        let events = body
            .and_then(|body| format.parse(&headers, &body).map_err(to_string))
            .map_err(|error| format!("{name}: {error}"))?
            .events;
        let decoded: Vec<Decoded> = events.into_iter().map(decoded).collect();
        let json = serde_json::to_string_pretty(&decoded).map_err(to_string)?;
        writeln!(streams.out, "{}", printable_json(&json)).map_err(to_string)
    }
}

fn format(name: &str) -> Result<Format, String> {
    let found = Format::ALL
        .into_iter()
        .find(|format| format.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names = Format::ALL.map(Format::name).join(", ");
        format!("there is no such format: it is one of {names}")
    })
}

fn open(file: &Path) -> Result<Vec<u8>, String> {
    bounded(&mut File::open(file).map_err(|error| format!("failed to open: {error}"))?)
}

/// As much as the webhook takes.
fn bounded(input: &mut (impl Read + ?Sized)) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let most = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX);
    input
        .take(most.saturating_add(1))
        .read_to_end(&mut body)
        .map_err(|error| format!("failed to read: {error}"))?;
    if body.len() > MAX_BODY_BYTES {
        return Err(format!(
            "the body is larger than {MAX_BODY_BYTES} bytes: the webhook refuses it, too"
        ));
    }
    Ok(body)
}

/// And how many were left out, since no header can be so: a description may have words in a header's place. Nothing of
/// the file is quoted: it may hold a credential.
fn headers(file: &Path) -> Result<(HeaderMap, usize), String> {
    let named: BTreeMap<String, Values> = serde_json::from_slice(&open(file)?)
        .map_err(|_| "the headers are no JSON object of names and texts, or lists of texts")?;
    let (mut headers, mut left_out) = (HeaderMap::new(), 0);
    for (name, values) in named {
        let values = match values {
            Values::One(value) => vec![value],
            Values::Several(values) => values,
        };
        for value in values {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_bytes(value.as_bytes());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            } else {
                left_out += 1;
            }
        }
    }
    Ok((headers, left_out))
}

fn decoded(event: RegistryEvent) -> Decoded {
    let id = dialect::has_own_id(&event).then(|| event.id.clone());
    Decoded {
        category: match event.category {
            Category::Push => "Push",
            Category::Pull => "Pull",
            Category::Delete => "Delete",
        },
        repository: event.repository,
        tag: event.tag,
        digest: event.digest.map(|digest| digest.to_string()),
        client_ip: event.address.map(|address| address.ip.to_string()),
        network_type: event.network_type.map(|network_type| match network_type {
            NetworkType::Public => "Public",
            NetworkType::Private => "Private",
        }),
        event_time: event.time.map(|time| time.to_string()),
        actor: event.actor,
        user_agent: event.user_agent,
        id,
        method: event.method,
    }
}
