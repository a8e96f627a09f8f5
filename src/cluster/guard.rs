//! Where the operator connects on behalf of others, and where it does not.
//!
//! Whoever writes a kubeconfig chooses an address that the operator then connects
//! to from inside its own cluster. Link-local addresses (metadata services),
//! loopback and the services of the operator's cluster are refused unless they are
//! configured. A name is resolved once for each connection and the connection goes
//! to the addresses that were checked, so a name that changes its mind gains
//! nothing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt as _, TryFutureExt as _,
    future::{self, BoxFuture},
};
use http::Uri;
use hyper_util::{
    client::legacy::connect::{
        HttpConnector,
        dns::{GaiResolver, Name},
    },
    rt::TokioIo,
};
use ipnet::IpNet;
use thiserror::Error;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

mod client;
mod ranges;
mod reason;

pub use client::{ClientError, guarded_client};
pub use reason::{reason, reason_of_code, retry_after};

/// The reason of a condition where an address is refused.
pub const ADDRESS_NOT_ALLOWED: &str = "AddressNotAllowed";

/// After this silence the system asks the peer whether it is still there, and again
/// and again, so that a watch on a connection that vanished ends within 30 seconds.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);
const TCP_KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
const TCP_KEEPALIVE_TRIES: u32 = 3;

/// Says neither name nor address: it may tell what a name means inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the server's address is refused: it is link-local, loopback or a service of the operator's own cluster. Name it in the operator's allowed networks if it is meant"
)]
pub struct AddressNotAllowed;

/// The name server's answer is left out: it may come from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("failed to resolve the name of the server")]
pub struct NameNotResolved;

/// What the operator's configuration says about addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Reached although they would be refused.
    pub allowed: Vec<IpNet>,
    /// Refused besides the built-in ranges: the service range (and the pod range, if
    /// wanted) of the operator's own cluster, the address of its API server.
    pub in_cluster: Vec<IpNet>,
    /// The operator's own cluster domain, for example `cluster.local`: names under it
    /// and under `svc` lead inside, whatever their address.
    pub cluster_domain: String,
}

/// Decides which addresses are connected to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    rules: Arc<Rules>,
}

impl Guard {
    #[must_use]
    pub fn new(mut rules: Rules) -> Self {
        rules.cluster_domain = rules.cluster_domain.trim_matches('.').to_ascii_lowercase();
        Self {
            rules: Arc::new(rules),
        }
    }

    /// Checks an address literal, which no resolver sees. A name passes: it is
    /// checked when it is resolved.
    pub fn check(&self, uri: &Uri) -> Result<(), AddressNotAllowed> {
        let host = uri.host().unwrap_or_default();
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        match literal.parse() {
            Ok(address) if !self.permits(literal, address) => Err(AddressNotAllowed),
            _ => Ok(()),
        }
    }

    /// A connector for requests to any host, which checks each connection, also
    /// those of redirects.
    #[must_use]
    pub fn connector(&self) -> GuardedConnector {
        self.connector_with(GaiResolver::new())
    }

    pub(crate) fn connector_with<R: Resolver>(&self, resolver: R) -> GuardedConnector<R> {
        let mut connector = HttpConnector::new_with_resolver(GuardedResolver {
            guard: self.clone(),
            resolver,
        });
        // TLS comes on top.
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(TCP_KEEPALIVE));
        connector.set_keepalive_interval(Some(TCP_KEEPALIVE_AGAIN));
        connector.set_keepalive_retries(Some(TCP_KEEPALIVE_TRIES));
        GuardedConnector {
            guard: self.clone(),
            connector,
        }
    }

    fn permits(&self, host: &str, address: IpAddr) -> bool {
        let is_in =
            |nets: &[IpNet]| ranges::forms(address).any(|form| nets.iter().any(|net| net.contains(&form)));
        is_in(&self.rules.allowed)
            || !(ranges::is_refused(address) || is_in(&self.rules.in_cluster) || self.leads_inside(host))
    }

    /// Whether a name is one of the operator's own cluster.
    fn leads_inside(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_under = |domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        is_under("svc") || (!self.rules.cluster_domain.is_empty() && is_under(&self.rules.cluster_domain))
    }
}

/// What looks names up: the system in the operator, a table in tests.
pub trait Resolver:
    Service<
        Name,
        Response: Iterator<Item = SocketAddr> + Send,
        Error: Into<BoxError> + Send,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<R> Resolver for R where
    R: Service<
            Name,
            Response: Iterator<Item = SocketAddr> + Send,
            Error: Into<BoxError> + Send,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Resolves a name and leaves out the addresses that are refused.
#[derive(Debug, Clone)]
struct GuardedResolver<R> {
    guard: Guard,
    resolver: R,
}

impl<R: Resolver> Service<Name> for GuardedResolver<R> {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.resolver.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.guard.clone();
        let resolved = self.resolver.call(name.clone());
        async move {
            let (permitted, refused): (Vec<_>, Vec<_>) = resolved
                .await
                .map_err(|_| NameNotResolved)?
                .partition(|address| guard.permits(name.as_str(), address.ip()));
            match (permitted.is_empty(), refused.is_empty()) {
                (false, _) => Ok(permitted.into_iter()),
                (true, false) => Err(AddressNotAllowed.into()),
                (true, true) => Err(NameNotResolved.into()),
            }
        }
        .boxed()
    }
}

/// Connects to checked addresses only.
#[derive(Debug, Clone)]
pub struct GuardedConnector<R = GaiResolver> {
    guard: Guard,
    connector: HttpConnector<GuardedResolver<R>>,
}

impl<R: Resolver> Service<Uri> for GuardedConnector<R> {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self.guard.check(&uri) {
            Ok(()) => self.connector.call(uri).map_err(Into::into).boxed(),
            Err(refused) => future::err(refused.into()).boxed(),
        }
    }
}

#[cfg(test)]
mod tests;
