//! The names of a registry, as its spec writes them.

use crate::{
    crd,
    image::{Endpoint, Endpoints, RepositoryName, is_prefix},
};

use super::decide::Problem;

pub(super) fn endpoints(spec: &[crd::Endpoint]) -> Result<Endpoints, Problem> {
    let endpoints: Vec<Endpoint> = spec.iter().map(endpoint).collect::<Result<_, _>>()?;
    Ok(Endpoints::new(endpoints))
}

fn endpoint(spec: &crd::Endpoint) -> Result<Endpoint, Problem> {
    let prefix = &spec.repository_prefix;
    if !is_prefix(prefix) {
        return Err(Problem::RepositoryPrefix(prefix.clone()));
    }
    Ok(Endpoint {
        host: normalised(&spec.host)?,
        prefix: prefix.clone(),
    })
}

/// A host as references have it: every spelling of Docker Hub is one.
fn normalised(host: &str) -> Result<String, Problem> {
    // A host without a dot or port reads as a path; no pod could refer to such a registry either.
    let name: RepositoryName = format!("{host}/any/repository")
        .parse()
        .map_err(|_| Problem::Host(host.to_owned()))?;
    if name.path == "any/repository" {
        Ok(name.host)
    } else {
        Err(Problem::Host(host.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::ImageRegistry;

    #[test]
    fn an_endpoint_is_a_host_and_perhaps_a_prefix() {
        let read = |host: &str, prefix: &str| {
            let spec = crd::Endpoint {
                host: host.to_owned(),
                repository_prefix: prefix.to_owned(),
            };
            endpoint(&spec)
                .map(|endpoint| endpoint.to_string())
                .map_err(|problem| problem.reason())
        };
        let long = format!("{}/", "a".repeat(255));
        for (host, prefix, expected) in [
            ("registry.example.com", "", Ok("registry.example.com/")),
            ("harbor.local", "dockerhub/", Ok("harbor.local/dockerhub/")),
            ("harbor.local:8443", "a/b-c/", Ok("harbor.local:8443/a/b-c/")),
            ("index.docker.io", "", Ok("docker.io/")),
            ("harbor.local", "dockerhub", Err("InvalidRepositoryPrefix")),
            ("harbor.local", "/dockerhub/", Err("InvalidRepositoryPrefix")),
            ("harbor.local", "/", Err("InvalidRepositoryPrefix")),
            ("harbor.local", "a//b/", Err("InvalidRepositoryPrefix")),
            ("harbor.local", "DockerHub/", Err("InvalidRepositoryPrefix")),
            ("harbor.local", long.as_str(), Err("InvalidRepositoryPrefix")),
            ("harbor", "", Err("InvalidHost")),
        ] {
            let read = read(host, prefix);
            assert_eq!(
                read.as_deref().map_err(|reason| *reason),
                expected,
                "{host} {prefix}"
            );
        }
    }

    #[test]
    fn the_example_of_a_mirror_is_a_name_of_its_registry() {
        let object: ImageRegistry =
            serde_saphyr::from_str(include_str!("../../../examples/image-registry-mirror.yaml")).unwrap();
        let endpoints = endpoints(&object.spec.endpoints).unwrap();
        let claimed = endpoints.claim(&"harbor.local/dockerhub/library/nginx".parse().unwrap());
        assert_eq!(claimed.unwrap().1, "library/nginx");
    }
}
