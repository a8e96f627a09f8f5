//! `tests/chart/chart.sh` with both versions of Helm that people have, each on a fresh API server.

use anyhow::{Context, Result, bail};
use local_cluster::Cluster;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../chart/chart.sh");

async fn installs_upgrades_and_uninstalls(helm: &str) -> Result<()> {
    let home = Cluster::builder().start().await?;
    let mut script = home.command("bash");
    script.arg(SCRIPT).env("HELM", home.programs().path(helm));
    let output = script.output().await.context("failed to run bash")?;
    if !output.status.success() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        bail!(
            "{helm}: {SCRIPT} failed\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    home.end().await;
    Ok(())
}

#[tokio::test]
async fn the_chart_installs_upgrades_and_uninstalls_with_helm_4() -> Result<()> {
    installs_upgrades_and_uninstalls("helm").await
}

#[tokio::test]
async fn the_chart_installs_upgrades_and_uninstalls_with_helm_3() -> Result<()> {
    installs_upgrades_and_uninstalls("helm3").await
}
