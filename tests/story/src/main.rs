//! `demo`: tells the story on two clusters that run already, and prints what a user wants to see.

use std::{
    fmt::Display,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use local_cluster::{named::Named, wait_until};
use story::{APPLICATION, CLIENT_ADDRESS, NAMESPACE, REPOSITORY, Story, operator_binary, report};

const SOON: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let story = Story {
        home: Named::new("demo")?.access()?,
        second: Named::new("demo-second")?.access()?,
    };
    let home = &story.home;

    step("installing the operator with Helm");
    story.install(&operator_binary()?).await?;
    step("telling it of the registry; pushing test-repository:v1");
    Story::apply_example(home, "image-registry.yaml").await?;
    wait_until(SOON, "the registry to be accepted", async || {
        let registry = home
            .get_json(&[
                "imageregistries",
                "registry-example-com",
                "--namespace",
                NAMESPACE,
            ])
            .await?;
        ensure!(
            registry["status"]["sources"][0]["path"].is_string(),
            "no path yet"
        );
        Ok(())
    })
    .await?;
    let v1 = story.push_v1().await?;
    step("deploying it: a Deployment of 3 pods, a CronJob, a Deployment scaled to zero");
    story.deploy().await?;
    step("authorising a second cluster by a kubeconfig Secret; it runs the image too");
    story.deploy_in_second(&v1, 2).await?;
    story.authorise_second().await?;
    step(format!(
        "a client on the internet, {CLIENT_ADDRESS}, pulls v1; somebody checks v1 without pulling"
    ));
    story.pull_from_the_internet().await?;
    story.check().await?;
    step("pushing v2 and deleting its tag");
    story.push_v2_and_delete_its_tag().await?;
    step("asking: one report about the tag v1, one about the whole repository");
    Story::apply_example(home, "image-usage-report-tag.yaml").await?;
    Story::apply_example(home, "image-usage-report-repository.yaml").await?;
    wait_until(SOON, "the reports to show it all", async || {
        let tag = report(home, "test-repository-v1").await?;
        let repository = report(home, "test-repository").await?;
        ensure!(tag.number("pods") == Some(5), "pods: {:?}", tag.number("pods"));
        ensure!(
            tag.number("publicPulls") == Some(1),
            "public pulls: {:?}",
            tag.number("publicPulls")
        );
        ensure!(
            repository.number("deletes") == Some(1),
            "deletes: {:?}",
            repository.number("deletes")
        );
        Ok(())
    })
    .await?;

    show(&story, &["get", "imageusagereports", "--namespace", NAMESPACE]).await?;
    show(
        &story,
        &["get", "imageusagereports", "--namespace", NAMESPACE, "-o", "wide"],
    )
    .await?;
    show(
        &story,
        &[
            "get",
            "clusterauthorizations,imageregistries",
            "--namespace",
            NAMESPACE,
        ],
    )
    .await?;
    show_status(&story, "test-repository-v1").await?;
    show_status(&story, "test-repository").await?;

    step("withdrawing the second cluster's authorisation");
    let withdrawn = Instant::now();
    story.withdraw_second().await?;
    wait_until(SOON, "its deployments to leave the report", async || {
        let tag = report(home, "test-repository-v1").await?;
        ensure!(
            tag.deployments_in("second-cluster").is_empty(),
            "they are still there"
        );
        Ok(())
    })
    .await?;
    step(format!(
        "its deployments left the report after {:.1} s, and coverage says so:",
        withdrawn.elapsed().as_secs_f64()
    ));
    show(
        &story,
        &[
            "get",
            "imageusagereport",
            "test-repository-v1",
            "--namespace",
            NAMESPACE,
            "-o",
            "jsonpath={range .status.coverage[*]}{.kind}{\"\\t\"}{.source}{\"\\t\"}{.state}{\"\\t\"}{.message}{\"\\n\"}{end}",
        ],
    )
    .await?;
    let kubeconfig = home.kubeconfig_path();
    println!(
        "\nIt goes on running. Try next, after: export KUBECONFIG={} PATH={}:$PATH\n\
         \n  kubectl get imageusagereports -n {NAMESPACE} --watch\
         \n  kubectl scale deployment web -n {APPLICATION} --replicas=1\
         \n  kubectl explain imageusagereport.status.deployments\
         \n\nmake down ends it. The image asked about is registry.example.com/{REPOSITORY}:v1.",
        kubeconfig.display(),
        home.programs().dir().display(),
    );
    Ok(())
}

fn step(what: impl Display) {
    println!("── {what}");
}

async fn show(story: &Story, args: &[&str]) -> Result<()> {
    let shown = args.iter().map(|word| {
        if word.contains(['{', ' ']) {
            format!("'{word}'")
        } else {
            (*word).to_owned()
        }
    });
    println!("\n$ kubectl {}", shown.collect::<Vec<_>>().join(" "));
    println!("{}", story.home.kubectl(args).await?.trim_end());
    Ok(())
}

/// The status of a report as YAML, without the rest of the object.
async fn show_status(story: &Story, name: &str) -> Result<()> {
    println!("\n$ kubectl get imageusagereport {name} --namespace {NAMESPACE} -o yaml");
    let args = [
        "get",
        "imageusagereport",
        name,
        "--namespace",
        NAMESPACE,
        "-o",
        "yaml",
    ];
    let object = story.home.kubectl(&args).await?;
    let status = object.lines().skip_while(|line| !line.starts_with("status:"));
    status.for_each(|line| println!("{line}"));
    Ok(())
}
