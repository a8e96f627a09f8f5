//! The clients that one runs on a cluster: kubectl, helm, crane.

use std::ffi::OsStr;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::access::Access;

impl Access {
    /// Runs kubectl as the administrator and returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn kubectl<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = self.command("kubectl");
        command.args(args);
        output(command, None).await
    }

    /// Reads one object, or a list, as JSON.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn get_json(&self, args: &[&str]) -> Result<serde_json::Value> {
        let mut command = self.command("kubectl");
        command.arg("get").args(args).args(["--output", "json"]);
        serde_json::from_str(&output(command, None).await?).context("failed to parse what kubectl printed")
    }

    /// Applies YAML or JSON documents and returns what kubectl prints.
    ///
    /// # Errors
    /// When the API server refuses one, with its words.
    pub async fn apply(&self, documents: &str) -> Result<String> {
        let mut command = self.command("kubectl");
        command.args(["apply", "--filename", "-"]);
        output(command, Some(documents)).await
    }

    /// Runs `helm` (version 4) on this cluster.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn helm<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = self.command("helm");
        command.args(args);
        output(command, None).await
    }

    /// Runs `helm` version 3 on this cluster.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn helm3<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = self.command("helm3");
        command.args(args);
        output(command, None).await
    }

    /// Runs crane on the machine, allowing plain http.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn crane<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = self.command("crane");
        command.arg("--insecure").args(args);
        output(command, None).await
    }
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// When it cannot be run or does not succeed, with what it wrote to standard error.
pub async fn output(mut command: Command, input: Option<&str>) -> Result<String> {
    let words = command.as_std();
    let shown = [words.get_program()].into_iter().chain(words.get_args());
    let shown = shown.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("failed to run {shown}"))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // Whoever stops reading early says why on standard error.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!(
            "{shown} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
