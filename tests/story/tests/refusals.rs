//! What is refused, by whom, in which words; and that it heals by itself once the cause is gone.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use local_cluster::{Access, Cluster, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, TOKEN,
    operator::{
        Operator, condition, create_namespace, create_secret, image_registry, in_cluster,
        kubeconfig_authorization, usage_report,
    },
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

const HEALS_WITHIN: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(30);
/// Stands in every place of a secret of the corpus.
const SECRET: &str = "TOP-SECRET-0a1b2c3d4e";
/// Its base64 from the first byte on.
const SECRET_BASE64: &str = "VE9QLVNFQ1JFVC0wYTFi";
/// What the commands of the corpus would write.
const MARKER: &str = "/tmp/image-usage-operator-corpus-marker";
const RECONCILIATIONS: &str = "image_usage_reconciliations_total";

#[tokio::test]
async fn an_invalid_report_is_refused_with_words_that_help() -> Result<()> {
    let home = Cluster::builder().start().await?;
    let mut operator = Operator::start(&home).await?;
    the_api_server_refuses_with_the_reason(&home).await?;
    what_an_older_definition_lets_through_gets_a_condition_and_no_retry_storm(&home, &operator).await?;
    operator.stop().await?;
    home.end().await;
    Ok(())
}

fn report(name: &str, spec: &Value) -> String {
    usage_report(NAMESPACE, name, spec).to_string()
}

async fn the_api_server_refuses_with_the_reason(home: &Access) -> Result<()> {
    const ONE: &str = "set exactly one of image (with a tag or digest) and repository (all its tags)";
    const TAG: &str = "add a tag such as :latest, or use repository";
    const REFERENCE: &str = "not an image reference: write registry/path:tag";
    const DAYS: &str = "the window is 30 days at most";
    let image = |image: &str| json!({"image": image});
    let events = |events: Value| json!({"image": "r.example/team/app:v1", "events": events});
    let range = |range: Value| events(json!({"timeRange": range}));
    let digest = format!("r.example/team/app@sha256:{}", "a".repeat(63));
    for (what, spec, message) in [
        ("capitals", image("r.example/Team/app:v1"), REFERENCE),
        ("a scheme", image("https://r.example/team/app:v1"), REFERENCE),
        ("a blank", image("r.example/team/app :v1"), REFERENCE),
        ("a short digest", image(&digest), REFERENCE),
        ("no tag", image("r.example/team/app"), TAG),
        ("a port and no tag", image("r.example:5000/team/app"), TAG),
        ("an empty tag", image("r.example/team/app:"), TAG),
        (
            "no image",
            json!({"image": ""}),
            "should be at least 1 chars long",
        ),
        (
            "a repository with a tag",
            json!({"repository": "r.example/team/app:v1"}),
            "without tag or digest",
        ),
        (
            "both",
            json!({"image": "r.example/a/b:v1", "repository": "r.example/a/b"}),
            ONE,
        ),
        ("neither", json!({}), ONE),
        ("31 days", range(json!({"last": "31d"})), DAYS),
        ("721 hours", range(json!({"last": "721h"})), DAYS),
        ("43201 minutes", range(json!({"last": "43201m"})), DAYS),
        (
            "31 days between two times",
            range(json!({"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"})),
            DAYS,
        ),
        ("no unit", range(json!({"last": "30"})), "should match"),
        (
            "a start without an end",
            range(json!({"start": "2026-01-01T00:00:00Z"})),
            "start and end go together",
        ),
        (
            "an end without a start",
            range(json!({"end": "2026-01-01T00:00:00Z"})),
            "start and end go together",
        ),
        (
            "a start after the end",
            range(json!({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"})),
            "start must be before end",
        ),
        (
            "two windows",
            range(json!({"last": "1d", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"})),
            "set either last, or start and end",
        ),
        (
            "limit 0",
            events(json!({"limit": 0})),
            "should be greater than or equal to 1",
        ),
        (
            "limit 201",
            events(json!({"limit": 201})),
            "should be less than or equal to 200",
        ),
        (
            "an unknown category",
            events(json!({"categories": ["Mount"]})),
            "supported values: \"Push\", \"Pull\", \"Delete\"",
        ),
        (
            "a field that is not there",
            json!({"image": "r.example/a/b:v1", "imag": "x"}),
            "unknown field \"spec.imag\"",
        ),
    ] {
        let refused = home.apply(&report("refused", &spec)).await;
        let Err(error) = refused else {
            panic!("{what} was accepted: {spec}")
        };
        let error = error.to_string();
        assert!(error.contains(message), "{what}: {error}");
    }
    Ok(())
}

/// Takes away all that validates; what is left is the shape.
fn without_validation(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type").is_some_and(Value::is_string) {
                for rule in [
                    "x-kubernetes-validations",
                    "pattern",
                    "minimum",
                    "maximum",
                    "minLength",
                    "maxLength",
                    "enum",
                    "format",
                ] {
                    fields.remove(rule);
                }
            }
            fields.values_mut().for_each(without_validation);
        }
        Value::Array(items) => items.iter_mut().for_each(without_validation),
        _ => (),
    }
}

async fn what_an_older_definition_lets_through_gets_a_condition_and_no_retry_storm(
    home: &Access,
    operator: &Operator,
) -> Result<()> {
    let mut definition = home
        .get_json(&["customresourcedefinition", "imageusagereports.imageusage.dev"])
        .await?;
    without_validation(&mut definition["spec"]["versions"][0]["schema"]);
    let file = home.dir().join("older.json");
    fs::write(&file, definition.to_string())?;
    home.kubectl(&["replace", "--filename", file.to_str().context("a path of text")?])
        .await?;

    let events = |events: Value| json!({"image": "r.example/team/app:v1", "events": events});
    let cases = [
        ("no-tag", json!({"image": "r.example/team/app"}), "TagMissing"),
        (
            "capitals",
            json!({"image": "r.example/Team/app:v1"}),
            "InvalidReference",
        ),
        (
            "both",
            json!({"image": "r.example/a/b:v1", "repository": "r.example/a/b"}),
            "ImageOrRepository",
        ),
        ("neither", json!({}), "ImageOrRepository"),
        (
            "long",
            events(json!({"timeRange": {"last": "31d"}})),
            "WindowTooLong",
        ),
        (
            "no-unit",
            events(json!({"timeRange": {"last": "soon"}})),
            "InvalidWindow",
        ),
        (
            "half",
            events(json!({"timeRange": {"start": "2026-01-01T00:00:00Z"}})),
            "InvalidWindow",
        ),
        ("limit", events(json!({"limit": 201})), "InvalidLimit"),
    ];
    for (name, spec, _) in &cases {
        // The new definition takes effect a moment after it is stored.
        wait_until(SOON, "the API server to let it through", async || {
            home.apply(&report(name, spec)).await
        })
        .await?;
    }
    for (name, _, reason) in &cases {
        wait_until(
            HEALS_WITHIN,
            &format!("report {name} to be refused"),
            async || {
                let object = home
                    .get_json(&["imageusagereport", name, "--namespace", NAMESPACE])
                    .await?;
                ensure!(
                    condition(&object, "Stalled") == ("True".into(), (*reason).into()),
                    "{object:#}"
                );
                ensure!(
                    condition(&object, "Ready") == ("False".into(), (*reason).into()),
                    "{object:#}"
                );
                ensure!(
                    object["status"]["observedGeneration"] == object["metadata"]["generation"],
                    "{object:#}"
                );
                Ok(())
            },
        )
        .await?;
    }
    // Nor does what it cannot even read stop it.
    home.apply(&report("unreadable", &events(json!({"categories": ["Mount"]}))))
        .await?;
    home.apply(&report(
        "unreadable-too",
        &events(json!({"timeRange": {"start": "yesterday", "end": "today"}})),
    ))
    .await?;
    home.apply(&report("good", &json!({"image": "r.example/team/app:v1"})))
        .await?;
    wait_until(HEALS_WITHIN, "a good report beside them", async || {
        let object = home
            .get_json(&["imageusagereport", "good", "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        Ok(())
    })
    .await?;
    no_retry_storm(operator, "kind=\"ImageUsageReport\"").await?;

    // A person corrects one.
    home.apply(&report("no-tag", &json!({"image": "r.example/team/app:v1"})))
        .await?;
    wait_until(HEALS_WITHIN, "the corrected report", async || {
        let object = home
            .get_json(&["imageusagereport", "no-tag", "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        ensure!(condition(&object, "Stalled").0.is_empty(), "{object:#}");
        Ok(())
    })
    .await
}

/// What is refused is not looked at over and over.
async fn no_retry_storm(operator: &Operator, kind: &str) -> Result<()> {
    let before = operator.metric(RECONCILIATIONS, kind).await?;
    // Nothing is to happen in this time, so there is nothing to wait for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = operator.metric(RECONCILIATIONS, kind).await?;
    ensure!(after - before <= 2.0, "{} reconciliations in 3 s", after - before);
    ensure!(before > 0.0, "nothing was counted");
    Ok(())
}

#[tokio::test]
async fn evil_kubeconfigs_are_refused_by_name_and_a_good_one_beside_them_works() -> Result<()> {
    assert!(
        !Path::new(MARKER).exists(),
        "{MARKER} is there from before: remove it"
    );
    let home = Cluster::builder().start().await?;
    let mut operator = Operator::start(&home).await?;
    every_kubeconfig_of_the_corpus_has_its_condition(&home, &operator).await?;
    addresses_inside_are_not_connected_to(&home).await?;
    problems_heal_by_themselves(&home).await?;
    nothing_was_run_and_nothing_shown(&home, &operator).await?;
    operator.stop().await?;
    home.end().await;
    Ok(())
}

/// Files of a folder of the corpus, with the folder each is in.
fn corpus(folder: &str) -> Result<Vec<(String, PathBuf)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/kubeconfigs")
        .join(folder);
    let mut found = Vec::new();
    for reason in fs::read_dir(&root)? {
        let reason = reason?;
        for file in fs::read_dir(reason.path())? {
            found.push((reason.file_name().to_string_lossy().into_owned(), file?.path()));
        }
    }
    found.sort();
    Ok(found)
}

async fn every_kubeconfig_of_the_corpus_has_its_condition(home: &Access, operator: &Operator) -> Result<()> {
    let mut expected = BTreeMap::new();
    let mut objects = Vec::new();
    let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data});
    for (number, (reason, path)) in corpus("refused")?.into_iter().enumerate() {
        let name = format!("evil-{number}");
        objects.push(secret(
            &name,
            json!({"kubeconfig": BASE64.encode(fs::read(&path)?)}),
        ));
        objects.push(kubeconfig_authorization(NAMESPACE, &name));
        expected.insert(name, (reason, path));
    }
    for (number, (reason, path)) in corpus("argocd")?
        .into_iter()
        .enumerate()
        .filter(|(_, file)| file.0 != "accepted")
    {
        let name = format!("evil-argocd-{number}");
        let parts: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let part = |key: &str| BASE64.encode(parts[key].as_str().unwrap_or_default());
        objects.push(secret(
            &name,
            json!({"server": part("server"), "config": part("config")}),
        ));
        objects.push(kubeconfig_authorization(NAMESPACE, &name));
        expected.insert(name, (reason, path));
    }
    ensure!(expected.len() >= 100, "the corpus has {} files", expected.len());
    let admin = fs::read(home.kubeconfig_path())?;
    objects.push(secret("good", json!({"kubeconfig": BASE64.encode(admin)})));
    objects.push(kubeconfig_authorization(NAMESPACE, "good"));
    let list = home.dir().join("evil.json");
    fs::write(
        &list,
        json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string(),
    )?;
    home.kubectl(&["create", "--filename", list.to_str().context("a path of text")?])
        .await?;

    wait_until(SOON, "a condition on each", async || {
        let all = home
            .get_json(&["clusterauthorizations", "--namespace", NAMESPACE])
            .await?;
        let items = all["items"].as_array().cloned().unwrap_or_default();
        ensure!(items.len() == expected.len() + 1, "{} are there", items.len());
        for item in &items {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let found = condition(item, "Ready");
            match expected.get(name) {
                Some((reason, path)) => {
                    ensure!(
                        found == ("False".into(), reason.clone()),
                        "{}: {found:?}",
                        path.display()
                    );
                    ensure!(
                        condition(item, "Stalled").0 == "True",
                        "{}: not Stalled",
                        path.display()
                    );
                    ensure!(
                        condition(item, "Reachable").0 == "Unknown",
                        "{}: it was tried",
                        path.display()
                    );
                }
                None => ensure!(found.0 == "True", "the good one: {found:?}"),
            }
        }
        Ok(())
    })
    .await?;
    // The good one is looked at when it syncs and, once a minute, for its numbers; each evil one once a minute.
    let before = operator
        .metric(RECONCILIATIONS, "kind=\"ClusterAuthorization\"")
        .await?;
    let allowed = f64::from(u32::try_from(expected.len())?) * 4.0;
    ensure!(
        before <= allowed,
        "{before} reconciliations of {} objects",
        expected.len()
    );
    Ok(())
}

/// Threats 7 and 8: loopback, link-local, names of them; and what other services answer is not passed on.
async fn addresses_inside_are_not_connected_to(home: &Access) -> Result<()> {
    let loopback = TcpListener::bind("127.0.0.1:0").await?;
    let port = loopback.local_addr()?.port();
    let talkative = TcpListener::bind((home.network().host_address(), 0)).await?;
    let talks_at = talkative.local_addr()?;
    let answers = tokio::spawn(async move {
        while let Ok((mut stream, _)) = talkative.accept().await {
            let answer = format!(
                "HTTP/1.1 500 {SECRET}\r\nContent-Length: {}\r\n\r\n{SECRET}",
                SECRET.len()
            );
            // The client may hang up on it at once.
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    let admin = fs::read_to_string(home.kubeconfig_path())?;
    let cases = [
        (
            "loopback",
            format!("https://127.0.0.1:{port}"),
            "AddressNotAllowed",
        ),
        (
            "loopback-by-name",
            format!("https://localhost:{port}"),
            "AddressNotAllowed",
        ),
        (
            "loopback-v6",
            format!("https://[::1]:{port}"),
            "AddressNotAllowed",
        ),
        (
            "loopback-mapped",
            format!("https://[::ffff:127.0.0.1]:{port}"),
            "AddressNotAllowed",
        ),
        (
            "any-address",
            format!("https://0.0.0.0:{port}"),
            "AddressNotAllowed",
        ),
        (
            "metadata",
            "https://169.254.169.254".to_owned(),
            "AddressNotAllowed",
        ),
        ("talkative", format!("https://{talks_at}"), ""),
    ];
    for (name, server, _) in &cases {
        let kubeconfig = admin.replace(&home.api_url(), server);
        ensure!(kubeconfig != admin, "the server was not replaced");
        create_secret(home, NAMESPACE, name, "kubeconfig", &kubeconfig).await?;
        home.apply(&kubeconfig_authorization(NAMESPACE, name).to_string())
            .await?;
    }
    for (name, _, reason) in &cases {
        wait_until(SOON, &format!("{name} to be refused"), async || {
            let object = home
                .get_json(&["clusterauthorization", name, "--namespace", NAMESPACE])
                .await?;
            let (ready, found) = condition(&object, "Ready");
            ensure!(
                ready == "False" && !found.is_empty() && found != "Connecting",
                "{found}"
            );
            ensure!(reason.is_empty() || found == *reason, "{found}");
            Ok(())
        })
        .await?;
    }
    let connected = tokio::time::timeout(Duration::from_millis(1), loopback.accept()).await;
    assert!(connected.is_err(), "somebody connected to loopback");
    answers.abort();
    Ok(())
}

/// Each problem with its reason, and what takes it away.
async fn problems_heal_by_themselves(home: &Access) -> Result<()> {
    let team = "team";
    create_namespace(home, team).await?;
    let admin = fs::read_to_string(home.kubeconfig_path())?;
    let with_secret = |mut object: Value, secret: &str| {
        let source = &mut object["spec"]["sources"][0]["webhook"]["authentication"]["bearer"]["secretRef"];
        source["name"] = json!(secret);
        object
    };
    create_secret(home, NAMESPACE, "other-key", "not-token", TOKEN).await?;
    create_secret(home, NAMESPACE, "short", "token", "fifteen-bytes!!").await?;
    let mut grants = image_registry(team, "grants", "grants.example");
    grants["spec"]["allowedReports"] = json!([{"namespaces": {"from": "All"}}]);
    let mut cluster_grants = kubeconfig_authorization(team, "grants");
    cluster_grants["spec"]["allowedReports"] = json!([{"namespaces": {"from": "All"}}]);
    create_secret(home, team, "registry-webhook", "token", TOKEN).await?;
    create_secret(home, team, "grants", "kubeconfig", &admin).await?;
    create_secret(home, team, "own", "kubeconfig", &admin).await?;
    for object in [
        with_secret(image_registry(NAMESPACE, "no-secret", "one.example"), "later"),
        with_secret(image_registry(NAMESPACE, "no-key", "two.example"), "other-key"),
        with_secret(image_registry(NAMESPACE, "short-token", "three.example"), "short"),
        grants,
        cluster_grants,
        image_registry(NAMESPACE, "twin-a", "twins.example"),
        image_registry(NAMESPACE, "twin-b", "twins.example"),
        in_cluster(team, "own"),
        kubeconfig_authorization(NAMESPACE, "later-cluster"),
    ] {
        home.apply(&object.to_string()).await?;
    }
    let (registry, cluster) = ("imageregistry", "clusterauthorization");
    for (kind, namespace, name, reason) in [
        (registry, NAMESPACE, "no-secret", "SecretMissing"),
        (registry, NAMESPACE, "no-key", "KeyMissing"),
        (registry, NAMESPACE, "short-token", "TokenTooShort"),
        (registry, team, "grants", "GrantNotPermitted"),
        (cluster, team, "grants", "GrantNotPermitted"),
        (registry, NAMESPACE, "twin-a", "HostConflict"),
        (registry, NAMESPACE, "twin-b", "HostConflict"),
        (cluster, team, "own", "InClusterNotPermitted"),
        (cluster, NAMESPACE, "later-cluster", "SecretMissing"),
    ] {
        ready_is(home, kind, namespace, name, "False", reason).await?;
    }

    create_secret(home, NAMESPACE, "later", "token", TOKEN).await?;
    create_secret(home, NAMESPACE, "other-key", "token", TOKEN).await?;
    create_secret(home, NAMESPACE, "short", "token", TOKEN).await?;
    create_secret(home, NAMESPACE, "later-cluster", "kubeconfig", &admin).await?;
    home.kubectl(&["delete", registry, "twin-b", "--namespace", NAMESPACE])
        .await?;
    let patch = async |kind: &str, name: &str, patch: Value| {
        let patch = patch.to_string();
        home.kubectl(&[
            "patch",
            kind,
            name,
            "--namespace",
            team,
            "--type=merge",
            "--patch",
            &patch,
        ])
        .await
    };
    let same = json!({"spec": {"allowedReports": [{"namespaces": {"from": "Same"}}]}});
    patch(registry, "grants", same.clone()).await?;
    patch(cluster, "grants", same).await?;
    let by_kubeconfig =
        json!({"inCluster": null, "kubeconfigSecretRef": {"name": "own", "key": "kubeconfig"}});
    patch(cluster, "own", json!({"spec": {"cluster": by_kubeconfig}})).await?;
    for (kind, namespace, name, reason) in [
        (registry, NAMESPACE, "no-secret", "Accepted"),
        (registry, NAMESPACE, "no-key", "Accepted"),
        (registry, NAMESPACE, "short-token", "Accepted"),
        (registry, team, "grants", "Accepted"),
        (cluster, team, "grants", "Synced"),
        (registry, NAMESPACE, "twin-a", "Accepted"),
        (cluster, team, "own", "Synced"),
        (cluster, NAMESPACE, "later-cluster", "Synced"),
    ] {
        ready_is(home, kind, namespace, name, "True", reason).await?;
    }

    // And back: what the object rests on goes.
    home.kubectl(&["delete", "secret", "later", "--namespace", NAMESPACE])
        .await?;
    home.kubectl(&["delete", "secret", "later-cluster", "--namespace", NAMESPACE])
        .await?;
    ready_is(home, registry, NAMESPACE, "no-secret", "False", "SecretMissing").await?;
    ready_is(
        home,
        cluster,
        NAMESPACE,
        "later-cluster",
        "False",
        "SecretMissing",
    )
    .await
}

async fn ready_is(
    home: &Access,
    kind: &str,
    namespace: &str,
    name: &str,
    status: &str,
    reason: &str,
) -> Result<()> {
    wait_until(
        HEALS_WITHIN,
        &format!("{kind} {namespace}/{name} to be {status}, {reason}"),
        async || {
            let object = home.get_json(&[kind, name, "--namespace", namespace]).await?;
            let found = condition(&object, "Ready");
            ensure!(
                found == (status.to_owned(), reason.to_owned()),
                "{:#}",
                object["status"]
            );
            ensure!(
                (status == "True") == condition(&object, "Stalled").0.is_empty(),
                "{:#}",
                object["status"]
            );
            Ok(())
        },
    )
    .await
}

async fn nothing_was_run_and_nothing_shown(home: &Access, operator: &Operator) -> Result<()> {
    assert!(!Path::new(MARKER).exists(), "a command of the corpus was run");
    let objects = home
        .kubectl(&["get", "imageusage", "--all-namespaces", "--output", "json"])
        .await?;
    let events = home
        .kubectl(&["get", "events", "--all-namespaces", "--output", "json"])
        .await?;
    for (place, text) in [
        ("the objects", objects),
        ("the Events", events),
        ("the log", operator.log()?),
        ("the metrics", operator.metrics().await?),
    ] {
        assert!(!text.is_empty());
        for secret in [SECRET, SECRET_BASE64, "PRIVATE KEY", TOKEN, home.admin_token()] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
    Ok(())
}
