//! Registries of both versions, and clients with public addresses.

mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Sink, is_root};
use local_cluster::{Cluster, Image, NotificationEndpoint, Registry, output, wait_until};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_registry_of_either_version_reports_a_public_client_by_its_address() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let registries = ["v3", "v2"];
    let mut cluster = Cluster::builder()
        .registry(Registry::v3("v3"))
        .registry(Registry::v2("v2"))
        .start()
        .await?;
    let sink = Sink::listen(cluster.network().host_address()).await;
    for name in registries {
        let endpoint = NotificationEndpoint::new("sink", &sink.url);
        cluster.set_notifications(name, vec![endpoint]).await?;
    }
    for (name, last) in registries.into_iter().zip(7..) {
        let host = cluster.registry_host_of(name).unwrap().to_owned();
        let repository = format!("public/{name}");
        let image = Image::scratch().file("/hello", name, 0o644);
        let pushed = cluster.push_image_to(&host, &image, &repository, "v1").await?;
        assert_eq!(
            cluster.crane(&["digest", &pushed.reference]).await?.trim(),
            pushed.digest
        );

        let address = Ipv4Addr::new(203, 0, 113, last);
        let client = cluster.public_client(address).await?;
        client.crane(&["manifest", &pushed.reference]).await?;
        // The same client again, through another program.
        let mut skopeo = cluster.public_client(address).await?.command("skopeo");
        skopeo.args([
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("docker://{}", pushed.reference),
        ]);
        output(skopeo, None).await?;
        wait_until(SOON, "two pulls from the public address", async || {
            let events = sink.events(&repository);
            let pulls = events
                .iter()
                .filter(|event| event.action == "pull" && event.client == address.to_string());
            ensure!(pulls.count() == 2, "{events:#?}");
            Ok(())
        })
        .await?;
    }
    cluster.end().await;
    Ok(())
}

#[tokio::test]
async fn equal_images_have_equal_digests_and_a_label_makes_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let digest = |name: &str, image: Image| image.write_layout(&folder.path().join(name));
    let image = || {
        Image::scratch()
            .file("/a/b", "text", 0o644)
            .link("/c", "a/b")
            .label("version", "1")
    };
    assert_eq!(digest("first", image())?, digest("second", image())?);
    assert_ne!(
        digest("first", image())?,
        digest("third", image().label("version", "2"))?
    );
    Ok(())
}
