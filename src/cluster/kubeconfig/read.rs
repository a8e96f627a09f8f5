//! The two documents that describe a cluster, field by field. In each mapping the
//! deny-list comes first: a refused field is told by its own reason, whatever else
//! is wrong.

use secrecy::{ExposeSecret, SecretString};

use super::{
    Credentials, Endpoint, Kubeconfig, KubeconfigError,
    document::{self, Value},
    fields::Fields,
    material,
};

/// `Config` of `k8s.io/client-go/tools/clientcmd/api/v1`.
pub(super) fn kubeconfig(bytes: &[u8]) -> Result<Kubeconfig, KubeconfigError> {
    let mut root = Fields::new(document::parse(bytes)?, "the kubeconfig")?;
    let mut cluster = root.only_entry("clusters")?;
    let mut user = root.only_entry("users")?;
    let mut context = root.only_entry("contexts")?;

    let credentials = read_user(user.mapping("user")?)?;
    let endpoint = read_cluster(cluster.mapping("cluster")?)?;
    let mut references = context.mapping("context")?;
    let (cluster, user, context) = (name_of(cluster)?, name_of(user)?, name_of(context)?);

    expect(references.text("cluster")?, &cluster, "cluster")?;
    expect(references.text("user")?, &user, "user")?;
    // Where a client without a namespace works; nothing here does.
    references.text("namespace")?;
    references.ignore("extensions");
    references.finish()?;

    if let Some(current) = root.text("current-context")? {
        expect(Some(current), &context, "current-context")?;
    }
    expect_constant(&mut root, "kind", "Config")?;
    expect_constant(&mut root, "apiVersion", "v1")?;
    if root
        .take("preferences")
        .is_some_and(|value| !matches!(value, Value::Map(_)))
    {
        return Err(KubeconfigError::WrongType {
            field: "preferences",
            expected: "a mapping",
        });
    }
    root.ignore("extensions");
    root.finish()?;

    Ok(Kubeconfig {
        endpoint,
        credentials,
    })
}

fn read_cluster(mut cluster: Fields) -> Result<Endpoint, KubeconfigError> {
    cluster.refuse("proxy-url", KubeconfigError::Proxy)?;
    cluster.refuse("certificate-authority", KubeconfigError::FilePath)?;
    cluster.refuse_true("insecure-skip-tls-verify", KubeconfigError::InsecureTls)?;

    let server = material::server(&cluster.required_text("server")?)?;
    let tls_server_name = material::tls_server_name(cluster.text("tls-server-name")?, "tls-server-name")?;
    let field = "certificate-authority-data";
    let certificate_authority = cluster
        .text(field)?
        .map(|text| material::certificate_authority(&text, field))
        .transpose()?;
    // Nothing is ever compressed.
    cluster.flag("disable-compression")?;
    cluster.ignore("extensions");
    cluster.finish()?;
    Ok(Endpoint {
        server,
        tls_server_name,
        certificate_authority,
    })
}

fn read_user(mut user: Fields) -> Result<Credentials, KubeconfigError> {
    user.refuse("exec", KubeconfigError::Exec)?;
    user.refuse("auth-provider", KubeconfigError::AuthProvider)?;
    for field in ["as", "as-uid", "as-groups", "as-user-extra"] {
        user.refuse(field, KubeconfigError::Impersonation)?;
    }
    for field in ["client-certificate", "client-key", "tokenFile"] {
        user.refuse(field, KubeconfigError::FilePath)?;
    }
    for field in ["username", "password"] {
        user.refuse(field, KubeconfigError::BasicAuthentication)?;
    }
    let material = [
        Given::take(&mut user, "token")?,
        Given::take(&mut user, "client-certificate-data")?,
        Given::take(&mut user, "client-key-data")?,
    ];
    user.ignore("extensions");
    user.finish()?;
    credentials(material)
}

/// Argo CD's declarative cluster: `ClusterConfig` of its `pkg/apis/application/v1alpha1`.
pub(super) fn argocd(server: &[u8], config: &[u8]) -> Result<Kubeconfig, KubeconfigError> {
    let server = str::from_utf8(server).map_err(|_| KubeconfigError::ServerMalformed)?;
    let mut root = Fields::new(document::parse_json(config)?, "config")?;
    root.refuse("execProviderConfig", KubeconfigError::Exec)?;
    root.refuse("awsAuthConfig", KubeconfigError::AuthProvider)?;
    root.refuse("proxyUrl", KubeconfigError::Proxy)?;
    for field in ["username", "password"] {
        root.refuse(field, KubeconfigError::BasicAuthentication)?;
    }
    let token = Given::take(&mut root, "bearerToken")?;
    root.flag("disableCompression")?;
    let mut tls = match root.take("tlsClientConfig") {
        None => Fields::empty("tlsClientConfig"),
        Some(value) => Fields::new(value, "tlsClientConfig")?,
    };
    root.finish()?;

    tls.refuse_true("insecure", KubeconfigError::InsecureTls)?;
    let certificate = Given::take(&mut tls, "certData")?;
    let key = Given::take(&mut tls, "keyData")?;
    let endpoint = Endpoint {
        server: material::server(&server.into())?,
        tls_server_name: material::tls_server_name(tls.text("serverName")?, "serverName")?,
        certificate_authority: tls
            .text("caData")?
            .map(|text| material::certificate_authority(&text, "caData"))
            .transpose()?,
    };
    tls.finish()?;
    Ok(Kubeconfig {
        endpoint,
        credentials: credentials([token, certificate, key])?,
    })
}

/// A credential's text and the field it was in, for errors.
struct Given {
    field: &'static str,
    text: Option<SecretString>,
}

impl Given {
    fn take(fields: &mut Fields, field: &'static str) -> Result<Self, KubeconfigError> {
        Ok(Self {
            field,
            text: fields.text(field)?,
        })
    }
}

/// Exactly one means of authentication out of token, certificate and key.
fn credentials([token, certificate, key]: [Given; 3]) -> Result<Credentials, KubeconfigError> {
    match (token.text, certificate.text, key.text) {
        (None, None, None) => Err(KubeconfigError::NoCredentials),
        (Some(text), None, None) => Ok(Credentials::Token(material::token(text, token.field)?)),
        (None, Some(chain), Some(text)) => {
            material::client_certificate((&chain, certificate.field), (&text, key.field))
        }
        (None, None, Some(_)) => Err(KubeconfigError::Missing(certificate.field)),
        (None, Some(_), None) => Err(KubeconfigError::Missing(key.field)),
        (Some(_), _, _) => Err(KubeconfigError::SeveralCredentials),
    }
}

/// The name of a list's entry, which has nothing else left.
fn name_of(mut entry: Fields) -> Result<SecretString, KubeconfigError> {
    let name = entry.required_text("name")?;
    entry.finish()?;
    Ok(name)
}

/// A name must be there and be that of the only entry.
fn expect(
    name: Option<SecretString>,
    entry: &SecretString,
    field: &'static str,
) -> Result<(), KubeconfigError> {
    let name = name.ok_or(KubeconfigError::Missing(field))?;
    if name.expose_secret() == entry.expose_secret() {
        Ok(())
    } else {
        Err(KubeconfigError::Dangling(field))
    }
}

fn expect_constant(
    root: &mut Fields,
    field: &'static str,
    expected: &'static str,
) -> Result<(), KubeconfigError> {
    match root.text(field)? {
        Some(text) if text.expose_secret() != expected => Err(KubeconfigError::WrongType { field, expected }),
        _ => Ok(()),
    }
}
