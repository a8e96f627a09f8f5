//! A registry of the tests' own: the log APIs of Harbor and Quay as their sources have them (named in `poll/harbor.rs`
//! and `poll/quay.rs`), over TLS. Neither registry can be had here, so that what stands between their sources and their
//! answers in the field is not tested.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};
use tokio_rustls::TlsAcceptor;

pub(super) const TOKEN: &str = "a-token-of-the-tests";
const QUAY_PAGE: usize = 20;

/// A row of a log: somebody pulled the tag `t<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) time: Timestamp,
    pub(super) number: u32,
}

/// What is answered instead of a page.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Page,
    /// A status, and seconds for Retry-After.
    Status(u16, Option<u64>),
    Body(String),
    Redirect(String),
}

/// What the logs hold, and what was asked.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub(super) rows: Vec<Row>,
    /// For the next requests; pages afterwards.
    pub(super) answers: VecDeque<Answer>,
    /// Of a Harbor before 2.13.
    pub(super) is_older: bool,
    /// Full pages for ever, whatever is asked for: rows of this time.
    pub(super) endless: Option<Timestamp>,
    /// Path and query.
    pub(super) asked: Vec<String>,
    /// A log that this account may not read.
    pub(super) forbidden: Option<&'static str>,
}

impl Logs {
    /// The answer to a request, without scripts.
    pub(super) fn page(&self, target: &str) -> Result<String, u16> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect();
        if self.forbidden.is_some_and(|log| path.contains(log)) {
            return Err(403);
        }
        match path {
            "/api/v2.0/auditlog-exts" if !self.is_older => Ok(self.harbor(&query).to_string()),
            "/api/v2.0/audit-logs" => Ok(self.harbor(&query).to_string()),
            "/api/v1/organization/team/logs" | "/api/v1/repository/team/app/logs" => {
                Ok(self.quay(&query).to_string())
            }
            _ => Err(404),
        }
    }

    fn harbor(&self, query: &BTreeMap<String, String>) -> Value {
        let number = |name: &str| -> usize { query[name].parse().unwrap() };
        let (page, size) = (number("page"), number("page_size"));
        assert!((1..=100).contains(&size), "{query:?}");
        assert_eq!(query["sort"], "op_time,id");
        let from = query["q"]
            .strip_prefix("op_time=[")
            .and_then(|range| range.strip_suffix("~]"))
            .unwrap();
        let from: Timestamp = format!("{from}Z").parse().unwrap();
        if let Some(time) = self.endless {
            let first = u32::try_from((page - 1) * size).unwrap();
            let rows = (first..first + u32::try_from(size).unwrap()).map(|number| Row { time, number });
            return rows.map(harbor_row).collect();
        }
        let mut rows: Vec<Row> = self.rows.iter().copied().filter(|row| row.time >= from).collect();
        rows.sort_unstable();
        rows.into_iter()
            .skip((page - 1) * size)
            .take(size)
            .map(harbor_row)
            .collect()
    }

    fn quay(&self, query: &BTreeMap<String, String>) -> Value {
        let day = |name: &str| -> Timestamp {
            let date = jiff::civil::Date::strptime("%m/%d/%Y", &query[name]).unwrap();
            date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
        };
        let days = day("starttime")..day("endtime") + SignedDuration::from_hours(24);
        let mut rows: Vec<Row> = self
            .rows
            .iter()
            .copied()
            .filter(|row| days.contains(&row.time))
            .collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        let start: usize = query
            .get("next_page")
            .map_or(0, |token| token[1..].parse().unwrap());
        let mut page = json!({
            "start_time": "ignored",
            "logs": rows.iter().skip(start).take(QUAY_PAGE).map(|row| quay_row(*row)).collect::<Vec<_>>(),
        });
        if start + QUAY_PAGE < rows.len() {
            page["next_page"] = json!(format!("={}", start + QUAY_PAGE));
        }
        page
    }
}

fn harbor_row(Row { time, number }: Row) -> Value {
    json!({
        "id": number,
        "username": "robot$cluster",
        "resource": format!("team/app:t{number}"),
        "resource_type": "artifact",
        "operation": "pull",
        "operation_result": true,
        "op_time": time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    })
}

fn quay_row(Row { time, number }: Row) -> Value {
    json!({
        "kind": "pull_repo",
        "metadata": {"namespace": "team", "repo": "app", "tag": format!("t{number}")},
        "ip": "203.0.113.24",
        "datetime": time.strftime("%a, %d %b %Y %H:%M:%S -0000").to_string(),
        "performer": {"kind": "user", "name": "team+cluster", "is_robot": true},
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).unwrap()
}

/// The running server; ends with the value.
pub(super) struct Registry {
    pub(super) url: String,
    /// What its certificate is signed by, in DER.
    pub(super) root: Vec<u8>,
    pub(super) logs: Arc<Mutex<Logs>>,
    serving: AbortHandle,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Registry {
    pub(super) async fn start(logs: Logs) -> Self {
        let (config, root) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let logs = Arc::new(Mutex::new(logs));
        let (acceptor, shared) = (TlsAcceptor::from(Arc::new(config)), logs.clone());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, logs) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let answer = answer(&logs, &request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    // A client that goes away is no error.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            url,
            root,
            logs,
            serving: serving.abort_handle(),
        }
    }

    pub(super) fn add(&self, rows: impl IntoIterator<Item = Row>) {
        self.logs.lock().unwrap().rows.extend(rows);
    }

    /// What the next requests are answered.
    pub(super) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.logs.lock().unwrap().answers.extend(answers);
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.logs.lock().unwrap().asked.clone()
    }
}

fn answer(logs: &Mutex<Logs>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut logs = logs.lock().unwrap();
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let scripted = logs.answers.pop_front().unwrap_or(Answer::Page);
    logs.asked.push(target.clone());
    let is_known = request
        .headers()
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == format!("Bearer {TOKEN}").as_bytes());
    let status = |code: u16| Response::builder().status(code);
    let response = match scripted {
        _ if !is_known => status(401).body("who are you?".into()),
        Answer::Page => match logs.page(&target) {
            Ok(page) => status(200).body(page.into()),
            Err(code) => status(code).body("text of the remote".into()),
        },
        Answer::Status(code, None) => status(code).body("text of the remote".into()),
        Answer::Status(code, Some(seconds)) => status(code)
            .header(header::RETRY_AFTER, seconds)
            .body("text of the remote".into()),
        Answer::Body(body) => status(200).body(body.into()),
        Answer::Redirect(to) => status(302).header(header::LOCATION, to).body("".into()),
    };
    response.unwrap()
}

fn tls() -> (ServerConfig, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (config, root.der().to_vec())
}
