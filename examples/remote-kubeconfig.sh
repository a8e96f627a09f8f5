#!/bin/sh
# Prints a kubeconfig with the token of remote-cluster.yaml, which must have been applied in the cluster of
# kubectl's current context. The operator reaches the cluster at the address that this context has, or at the one
# given:
#
#   ./remote-kubeconfig.sh [https://api.example.com:6443]
#
# The output is a credential: hand it straight to kubectl create secret.
set -eu

namespace=image-usage-reader
secret=image-usage-reader

fail() {
    echo "remote-kubeconfig.sh: $1" >&2
    exit 1
}

secret_value() {
    kubectl get secret "$secret" --namespace "$namespace" --output "jsonpath={.data['$1']}"
}

context_value() {
    kubectl config view --minify --flatten --raw --output "jsonpath={.clusters[0].cluster['$1']}"
}

# The cluster fills in the token a moment after the Secret has been applied.
token=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    token=$(secret_value token) || fail "there is no Secret $namespace/$secret here: apply remote-cluster.yaml first"
    [ -z "$token" ] || break
    sleep 1
done
[ -n "$token" ] || fail "the Secret $namespace/$secret got no token: does its ServiceAccount exist?"
token=$(printf %s "$token" | base64 -d)

server=${1:-$(context_value server)}
case $server in
https://*) ;;
*) fail "the API server's address must begin with https://, not $server" ;;
esac
case $server in
https://127.* | https://localhost* | https://\[::1\]*)
    echo "remote-kubeconfig.sh: $server is this machine's own address, which the operator refuses: give one that it can reach" >&2
    ;;
esac

# The context's authority belongs to its address. A context that has none trusts the public ones, unless it
# skips verification, which the operator never does.
authority=$(context_value certificate-authority-data)
if [ -z "$authority" ] && [ "$(context_value insecure-skip-tls-verify)" = true ]; then
    authority=$(secret_value 'ca\.crt')
fi
server_name=$(context_value tls-server-name)

cat <<KUBECONFIG
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: $server
${authority:+    certificate-authority-data: $authority
}${server_name:+    tls-server-name: $server_name
}users:
- name: image-usage-reader
  user:
    token: $token
contexts:
- name: cluster
  context:
    cluster: cluster
    user: image-usage-reader
current-context: cluster
KUBECONFIG
