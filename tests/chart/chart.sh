#!/usr/bin/env bash
# The chart and the examples on a real API server: install, upgrade, uninstall, rights, Pod Security, refusals.
#
#   KUBECONFIG=… [HELM=helm] [KUBECTL=kubectl] tests/chart/chart.sh
#
# KUBECONFIG leads to an administrator of a cluster that has none of the operator's kinds. Neither nodes nor
# controllers are needed. Prints what it checks; the first failure ends it. Afterwards the cluster can be used for
# another run: only empty namespaces are left.
set -euo pipefail

HELM=${HELM:-helm}
KUBECTL=${KUBECTL:-kubectl}
: "${KUBECONFIG:?set KUBECONFIG to an administrator of a fresh cluster}"
export KUBECONFIG

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
chart=$root/charts/image-usage-operator
examples=$root/examples
release=image-usage-operator
namespace=image-usage-system
other=chart-test-other
crds=(clusterauthorizations.imageusage.dev imageregistries.imageusage.dev imageusagereports.imageusage.dev)
work=$(mktemp -d)
step='start'

k() { "$KUBECTL" "$@"; }

say() {
    step=$1
    echo "== $1"
}

ok() { echo "   ok: $1"; }

fail() {
    echo "FAILED in \"$step\": $1" >&2
    if [ -s "$work/output" ]; then
        sed 's/^/    /' "$work/output" >&2
    fi
    exit 1
}

# Runs a command and keeps its output for the failure.
run() { "$@" >"$work/output" 2>&1 || fail "$*"; }

# refused WHAT PATTERN COMMAND…: the command fails, and its output has the pattern.
refused() {
    local what=$1 pattern=$2
    shift 2
    if "$@" >"$work/output" 2>&1; then
        fail "$what was accepted"
    fi
    grep -Eq -- "$pattern" "$work/output" || fail "$what was refused, but without saying \"$pattern\""
    ok "refused: $what"
}

exists() { k get "$@" >"$work/output" 2>&1 || fail "there is no $*"; }

missing() {
    local found
    found=$(k get "$@" --ignore-not-found --output name 2>"$work/output") || fail "kubectl get $*"
    [ -z "$found" ] || fail "$found is there"
}

equal() { [ "$2" = "$3" ] || fail "$1 is \"$2\", not \"$3\""; }

forget_volumes() {
    local claim
    for claim in $(k get persistentvolumeclaims --namespace "$1" --output name 2>/dev/null); do
        k delete "$claim" --namespace "$1" --wait=false >/dev/null 2>&1 || true
        # Without controllers nobody else takes the finalizer away.
        k patch "$claim" --namespace "$1" --type=merge --patch '{"metadata":{"finalizers":null}}' >/dev/null 2>&1 || true
    done
}

forget_kinds() {
    local _
    k delete customresourcedefinitions "${crds[@]}" --ignore-not-found >/dev/null 2>&1 || true
    # Until discovery has forgotten them too.
    for _ in $(seq 100); do
        k get --raw /apis/imageusage.dev/v1alpha1 >/dev/null 2>&1 || return 0
        sleep 0.1
    done
}

clean_up() {
    local status=$?
    if [ "$step" != start ]; then
        "$HELM" uninstall "$release" --namespace "$namespace" >/dev/null 2>&1 || true
        "$HELM" uninstall second --namespace "$other" >/dev/null 2>&1 || true
        forget_kinds
        forget_volumes "$namespace"
        forget_volumes "$other"
        k delete --filename "$root/tests/chart/prometheus-rule.yaml" --ignore-not-found >/dev/null 2>&1 || true
        k delete --ignore-not-found rolebinding/chart-test --namespace "$other" >/dev/null 2>&1 || true
        k delete --ignore-not-found clusterrole/image-usage-reader clusterrolebinding/image-usage-reader >/dev/null 2>&1 || true
        k delete --ignore-not-found secret/image-usage-reader serviceaccount/image-usage-reader \
            --namespace image-usage-reader >/dev/null 2>&1 || true
        k label namespace "$namespace" pod-security.kubernetes.io/enforce- >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT

server_version=$(k version --output json | sed -n '/serverVersion/,$ s/.*"gitVersion": "\(v[^"]*\)".*/\1/p' | head -n 1)
[ -n "$server_version" ] || fail "the API server does not answer"
for crd in "${crds[@]}"; do
    missing customresourcedefinition "$crd"
done
echo "$("$HELM" version --short) on Kubernetes $server_version"
for name in "$namespace" "$other" shop image-usage-reader; do
    k create namespace "$name" --dry-run=client --output yaml | k apply --filename - >/dev/null
done

render() { "$HELM" template "$release" "$chart" --namespace "$namespace" --kube-version "$server_version" "$@"; }
install() { "$HELM" install "$release" "$chart" --namespace "$namespace" "$@"; }
upgrade() { "$HELM" upgrade "$release" "$chart" --namespace "$namespace" "$@"; }

say 'lint'
run "$HELM" lint --strict "$chart" --kube-version "$server_version"
ok 'helm lint --strict'
run diff -r "$root/crds" "$chart/files/crds"
ok 'the chart has the generated definitions'
refused 'Kubernetes 1.31' 'kubeVersion' "$HELM" template "$release" "$chart" --kube-version v1.31.9

say 'values that the schema refuses'
while read -r value pattern; do
    refused "$value" "$pattern" render --set-json "$value"
done <<'TABLE'
unknown=1 unknown
image.tagg="v1" tagg
image.tag="a:b" tag
image.digest="sha256:12" digest
image.repository="repo@sha256" repository
image.pullPolicy="Sometimes" pullPolicy
imagePullSecrets=["name"] imagePullSecrets
crds.install="yes" install
selfAuthorization.allowedReports=[{"namespaces":{"from":"Some"}}] from
selfAuthorization.allowedReports=[{"namespaces":{"from":"Selector"}}] selector
selfAuthorization.allowedReports=[{"namespaces":{"from":"All","selector":{}}}] selector
secretNamespaces=["team_a"] secretNamespaces
secretNamespaces="team-a" secretNamespaces
grantingNamespaces=["a","a"] grantingNamespaces
allowedApiServers=["10.96.0.1"] allowedApiServers
allowedApiServers=["api.example.com/32"] allowedApiServers
serviceCIDRs=["10.96.0.0/40"] serviceCIDRs
log.format="xml" format
persistence.size="large" size
persistence.size=8 size
persistence.keepFree="5%" keepFree
persistence.keepFree="1G" keepFree
postgresql.url="postgres://user:password@host/events" url
postgresql.urlSecretRef={"name":"database"} key
postgresql.urlSecretRef={"name":"Data_base","key":"url"} name
postgresql.caSecretRef={"name":"database","key":"ca.crt"} urlSecretRef
webhook.fetchHosts=["https://www.googleapis.com"] fetchHosts
webhook.fetchHosts=["*.amazonaws.com"] fetchHosts
webhook.service.type="ExternalName" type
webhook.service.port=0 port
webhook.service.clusterIP="none.example.com" clusterIP
metrics.service.port=70000 port
metrics.rules.enabled="yes" enabled
dnsPolicy="None" dnsPolicy
resources.limit={} limit
podAnnotations={"a":1} podAnnotations
TABLE
refused 'no account' 'serviceAccount.name' render --set serviceAccount.create=false

say 'install on an empty cluster'
run install
output=$(cat "$work/output")
for text in "kubectl get clusterauthorizations --namespace $namespace" \
    'metadata: {name: first-report' "kubectl get imageusagereports --namespace $namespace" \
    "http://$release-webhook.$namespace/v1/events/"; do
    [[ $output == *"$text"* ]] || fail "the notes do not say $text"
done
ok 'the notes name the next three commands and the webhook'
exists clusterauthorization this-cluster --namespace "$namespace"
equal 'spec of this-cluster' "$(k get clusterauthorization this-cluster --namespace "$namespace" \
    --output jsonpath='{.spec.cluster}{.spec.allowedReports}')" '{"inCluster":{}}[{"namespaces":{"from":"Same"},"workloads":"Names"}]'
ok 'it authorises its own cluster'
for crd in "${crds[@]}"; do
    equal "policy of $crd" "$(k get customresourcedefinition "$crd" \
        --output jsonpath='{.metadata.annotations.helm\.sh/resource-policy}')" keep
done
run k diff --server-side --force-conflicts --filename "$root/crds"
ok 'the definitions are the generated ones, with the keep policy'
sed -n '/^YAML$/d; /^kubectl apply/,/^spec:/p' <<<"$output" | sed 1d >"$work/first-report.yaml"
run k apply --dry-run=server --filename "$work/first-report.yaml"
ok 'the report in the notes is valid'

say 'the API server takes what the chart renders'
accepts() {
    local what=$1
    shift
    # Other names than the installed release's, whose fields belong to Helm.
    render --set fullnameOverride=other "$@" >"$work/rendered.yaml" 2>"$work/output" || fail "render with $what"
    run k apply --server-side --force-conflicts --dry-run=server --filename "$work/rendered.yaml"
    ok "$what"
}
accepts 'default values'
# A free address of the cluster's range.
address=$(k get service kubernetes --namespace default --output jsonpath='{.spec.clusterIP}')
run k apply --filename "$root/tests/chart/prometheus-rule.yaml"
run k wait --for=condition=Established customresourcedefinition prometheusrules.monitoring.coreos.com --timeout=30s
accepts 'everything switched on' --values "$root/tests/chart/everything.yaml" \
    --set "webhook.service.clusterIP=${address%.*}.250"
rendered_has() { grep -Eq -- "$1" "$work/rendered.yaml" || fail "not rendered: $1"; }
rendered_has_not() { ! grep -Eq -- "$1" "$work/rendered.yaml" || fail "rendered: $1"; }
for text in 'image: "registry.example.com/tools/operator@sha256:[0-9a-f]{64}"' 'claimName: events' \
    'clusterIP: "[0-9.]+\.250"' 'value: "team-a,team-b"' 'value: "10.96.0.1/32,fd00::1/128"' 'value: "10.96.0.0/12"' 'value: "text"' \
    'namespace: chart-test-other' 'aggregate-to-view' 'kind: NetworkPolicy' 'from: Selector' \
    'kind: PrometheusRule' 'release: prometheus' 'summary: .\{\{ \$value \}\} ImageRegistries' 'value: "1Gi"' \
    'http-metrics' 'dnsPolicy: Default' 'priorityClassName: system-cluster-critical' 'pull-secret'; do
    rendered_has "$text"
done
rendered_has_not 'kind: PersistentVolumeClaim'
ok 'each value shows'
accepts 'no volume, no definitions, no authorisation' \
    --set persistence.enabled=false,crds.install=false,selfAuthorization.enabled=false
rendered_has 'sizeLimit: "8Gi"'
for text in 'kind: PrometheusRule' 'KEEP_FREE' 'kind: PersistentVolumeClaim' 'kind: CustomResourceDefinition' 'kind: ClusterAuthorization' '-reader'; do
    rendered_has_not "$text"
done
accepts 'events in a database' --set postgresql.urlSecretRef.name=database,postgresql.urlSecretRef.key=url \
    --set postgresql.caSecretRef.name=trust,postgresql.caSecretRef.key=bundle.pem
for text in 'name: DATABASE_URL' 'name: "database"' 'key: "url"' 'value: /etc/image-usage-operator/database/ca.crt' \
    'secretName: "trust"' 'key: "bundle.pem"'; do
    rendered_has "$text"
done
for text in 'kind: PersistentVolumeClaim' 'persistentVolumeClaim' 'emptyDir' 'DATA_DIR'; do
    rendered_has_not "$text"
done
accepts 'events in a database that a public authority vouches for' \
    --set postgresql.urlSecretRef.name=database,postgresql.urlSecretRef.key=url
rendered_has 'name: DATABASE_URL'
for text in 'DATABASE_CA_FILE' 'volumeMounts' 'emptyDir'; do
    rendered_has_not "$text"
done
accepts 'rights to read the own cluster, but no object' --set selfAuthorization.create=false
rendered_has '-reader'
rendered_has_not '^kind: ClusterAuthorization$'

say 'Pod Security restricted'
# A Pod made of a pod template in JSON, as a controller would create it.
pod_of() { sed -e '1s/^{"metadata":{/{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"from-template-",/' <<<"$1"; }
admitted() { pod_of "$1" | k create --dry-run=server --namespace "$2" --filename - >"$work/output" 2>&1; }
run k label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted --overwrite
template=$(k get deployment "$release" --namespace "$namespace" --output jsonpath='{.spec.template}')
admitted "$template" "$namespace" || fail "the operator's pod is not admitted"
ok "the operator's pod is admitted"
refused 'the same pod with privilege escalation' 'violates PodSecurity' \
    admitted "${template/\"allowPrivilegeEscalation\":false/\"allowPrivilegeEscalation\":true}" "$namespace"
for setting in '"readOnlyRootFilesystem":true' '"automountServiceAccountToken":true' '"type":"RuntimeDefault"' \
    '"drop":["ALL"]' '"runAsUser":65532' '"terminationGracePeriodSeconds":30'; do
    [[ $template == *"$setting"* ]] || fail "the pod has not $setting"
done
equal strategy "$(k get deployment "$release" --namespace "$namespace" --output jsonpath='{.spec.strategy.type}')" Recreate
ok 'read-only root, one writer'

say "the operator's rights"
account=system:serviceaccount:$namespace:$release
# Reads lines "yes|no verb resource[.group][:subresource][/name] namespace|everywhere" and asks the API server
# whether a user has each right.
check_rights() {
    local user=$1 expected verb target where name resource group subresource answer number=0
    cat >"$work/rights"
    while read -r expected verb target where; do
        name='' subresource='' group=''
        [[ $target != */* ]] || name=${target#*/}
        resource=${target%%/*}
        [[ $resource != *:* ]] || subresource=${resource#*:}
        resource=${resource%%:*}
        [[ $resource != *.* ]] || group=${resource#*.}
        [ "$where" != everywhere ] || where=''
        printf '{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"%s","groups":["system:authenticated","system:serviceaccounts"],"resourceAttributes":{"verb":"%s","group":"%s","resource":"%s","subresource":"%s","name":"%s","namespace":"%s"}}}\n' \
            "$user" "$verb" "$group" "${resource%%.*}" "$subresource" "$name" "$where"
    done <"$work/rights" >"$work/reviews.json"
    k create --filename "$work/reviews.json" --output 'jsonpath={.status.allowed}{"\n"}' >"$work/answers" 2>"$work/output" ||
        fail 'the API server does not review access'
    while read -r expected verb target where; do
        number=$((number + 1))
        answer=no
        [ "$(sed -n "${number}p" "$work/answers")" != true ] || answer=yes
        [ "$answer" = "$expected" ] || fail "$verb $target ($where) is allowed: $answer, expected: $expected"
        ok "$expected: $verb $target ($where)"
    done <"$work/rights"
    equal 'the number of answers' "$(wc -l <"$work/answers")" "$number"
}
check_rights "$account" <<TABLE
no get clusterauthorizations.imageusage.dev everywhere
yes list clusterauthorizations.imageusage.dev everywhere
yes watch clusterauthorizations.imageusage.dev everywhere
yes list imageregistries.imageusage.dev everywhere
yes watch imageregistries.imageusage.dev everywhere
yes list imageusagereports.imageusage.dev everywhere
yes watch imageusagereports.imageusage.dev everywhere
yes patch clusterauthorizations.imageusage.dev:status everywhere
yes patch imageregistries.imageusage.dev:status everywhere
yes patch imageusagereports.imageusage.dev:status everywhere
yes list namespaces everywhere
yes watch namespaces everywhere
yes get namespaces/kube-system everywhere
no get secrets $namespace
yes list secrets $namespace
yes watch secrets $namespace
yes list pods everywhere
yes watch pods everywhere
yes list nodes everywhere
yes watch nodes everywhere
yes list deployments.apps everywhere
yes watch deployments.apps everywhere
yes list statefulsets.apps everywhere
yes watch statefulsets.apps everywhere
yes list daemonsets.apps everywhere
yes watch daemonsets.apps everywhere
yes list replicasets.apps everywhere
yes watch replicasets.apps everywhere
yes list jobs.batch everywhere
yes watch jobs.batch everywhere
yes list cronjobs.batch everywhere
yes watch cronjobs.batch everywhere
yes create selfsubjectaccessreviews.authorization.k8s.io everywhere
no get secrets everywhere
no list secrets everywhere
no get secrets $other
no list secrets kube-system
no create secrets $namespace
no update secrets $namespace
no delete secrets $namespace
no create clusterauthorizations.imageusage.dev $namespace
no patch clusterauthorizations.imageusage.dev $namespace
no patch imageusagereports.imageusage.dev $namespace
no update imageusagereports.imageusage.dev:status $namespace
no delete imageusagereports.imageusage.dev everywhere
no get pods everywhere
no create pods $namespace
no create pods:exec everywhere
no get pods:log everywhere
no delete pods everywhere
no patch deployments.apps everywhere
no get configmaps everywhere
no list services everywhere
no patch namespaces everywhere
no list customresourcedefinitions.apiextensions.k8s.io everywhere
no create tokenreviews.authentication.k8s.io everywhere
no create subjectaccessreviews.authorization.k8s.io everywhere
no create serviceaccounts:token $namespace
no impersonate users everywhere
no escalate clusterroles.rbac.authorization.k8s.io everywhere
no bind clusterroles.rbac.authorization.k8s.io everywhere
TABLE
# Whatever it may write anywhere, apart from what every account may ask about itself.
writes=$(k auth can-i --list --as "$account" --namespace "$namespace" --no-headers |
    grep -Ev '\[(get|list|watch| )*\]$' | grep -v '^self' | awk '{print $1, $NF}' | sort)
equal 'what it may write' "$writes" "clusterauthorizations.imageusage.dev/status [patch]
imageregistries.imageusage.dev/status [patch]
imageusagereports.imageusage.dev/status [patch]"
ok 'it may write three statuses and nothing else'

say 'roles for people'
run k create rolebinding chart-test --namespace "$other" --clusterrole "$release-report-editor" --user chart-test
check_rights chart-test <<TABLE
yes create imageusagereports.imageusage.dev $other
yes delete imageusagereports.imageusage.dev $other
no patch imageusagereports.imageusage.dev:status $other
no create clusterauthorizations.imageusage.dev $other
no create imageregistries.imageusage.dev $other
no get secrets $other
no create imageusagereports.imageusage.dev $namespace
TABLE

say 'upgrade'
run k patch clusterauthorization this-cluster --namespace "$namespace" --type=merge --patch '{"spec":{"suspend":true}}'
run upgrade --set log.filter=debug
equal 'suspend' "$(k get clusterauthorization this-cluster --namespace "$namespace" --output jsonpath='{.spec.suspend}')" true
ok 'an upgrade leaves this-cluster as the user changed it'
run k delete clusterauthorization this-cluster --namespace "$namespace"
for _ in 1 2; do
    run upgrade
    grep -q 'It does not read this cluster' "$work/output" || fail 'the notes do not say that this cluster is not read'
    missing clusterauthorization this-cluster --namespace "$namespace"
done
ok 'upgrades do not bring back a deleted this-cluster'
run upgrade --set "secretNamespaces={$namespace,$other}"
check_rights "$account" <<TABLE
no get secrets $namespace
yes list secrets $other
no get secrets kube-system
TABLE
run upgrade --set "secretNamespaces={$other}"
check_rights "$account" <<TABLE
no get secrets $namespace
yes list secrets $other
TABLE
run upgrade --set persistence.enabled=false
equal 'the volume' "$(k get deployment "$release" --namespace "$namespace" \
    --output jsonpath='{.spec.template.spec.volumes[?(@.name=="data")]}')" '{"emptyDir":{"sizeLimit":"8Gi"},"name":"data"}'
exists persistentvolumeclaim "$release" --namespace "$namespace"
ok 'persistence can be switched off, and the claim stays'
run upgrade --set selfAuthorization.enabled=false
check_rights "$account" <<TABLE
no list pods everywhere
no list nodes everywhere
yes list imageusagereports.imageusage.dev everywhere
TABLE
run upgrade

say 'examples'
for file in "$examples"/*.yaml; do
    case $(basename "$file") in
    registry-config.yaml) continue ;;
    esac
    run k apply --dry-run=server --filename "$file"
    ok "$(basename "$file") is accepted"
done
# Where no controller makes it: a pod needs its account to be admitted.
k create serviceaccount default --namespace "$namespace" >/dev/null 2>&1 || true
while IFS= read -r template; do
    [ -n "$template" ] || continue
    admitted "$template" "$namespace" || fail "a pod of workloads.yaml violates Pod Security: $template"
done < <(k create --dry-run=client --filename "$examples/workloads.yaml" \
    --output jsonpath='{.spec.template}{.spec.jobTemplate.spec.template}{"\n"}')
ok 'the pods of workloads.yaml pass Pod Security restricted'

say 'a kubeconfig for a remote cluster'
run k apply --filename "$examples/remote-cluster.yaml"
mkdir "$work/bin"
ln -s "$(command -v "$KUBECTL")" "$work/bin/kubectl"
remote_kubeconfig() { PATH="$work/bin:$PATH" "$examples/remote-kubeconfig.sh" "$@"; }
token() { k get secret image-usage-reader --namespace image-usage-reader --output jsonpath='{.data.token}'; }
for _ in $(seq 20); do
    [ -z "$(token)" ] || break
    sleep 0.1
done
if [ -z "$(token)" ]; then
    # No controller: the token that it would have put there.
    value=$(k create token image-usage-reader --namespace image-usage-reader | base64 -w 0)
    run k patch secret image-usage-reader --namespace image-usage-reader --type=merge --patch "{\"data\":{\"token\":\"$value\"}}"
fi
remote_kubeconfig >"$work/remote.kubeconfig" 2>"$work/output" || fail 'remote-kubeconfig.sh'
remote() { "$KUBECTL" --kubeconfig "$work/remote.kubeconfig" "$@"; }
for resource in pods nodes deployments statefulsets daemonsets replicasets jobs cronjobs; do
    run remote get "$resource" --all-namespaces
done
run remote get namespace kube-system
ok 'it reads what the operator needs'
refused 'Secrets' 'forbidden' remote get secrets --all-namespaces
refused 'another namespace object' 'forbidden' remote get namespace default
refused 'a deletion' 'forbidden' remote delete --raw /api/v1/namespaces/default/pods/any
refused 'a server without https' 'must begin with https' remote_kubeconfig http://api.example.com
remote_kubeconfig https://api.example.com:6443 >"$work/output" 2>&1
grep -q 'server: https://api.example.com:6443$' "$work/output" || fail 'the server given is not in the kubeconfig'
ok 'another address can be given'
run k delete secret image-usage-reader --namespace image-usage-reader
refused 'a missing Secret' 'apply remote-cluster.yaml first' remote_kubeconfig

say 'uninstall keeps what is the user'"'"'s'
run k apply --filename "$examples/cluster-authorization-in-cluster.yaml" --filename "$examples/image-usage-report-tag.yaml"
run "$HELM" uninstall "$release" --namespace "$namespace"
for crd in "${crds[@]}"; do
    exists customresourcedefinition "$crd"
done
exists clusterauthorization this-cluster --namespace "$namespace"
exists imageusagereport test-repository-v1 --namespace "$namespace"
exists persistentvolumeclaim "$release" --namespace "$namespace"
ok 'definitions, custom resources and the volume stay'
for object in deployment service serviceaccount role rolebinding; do
    missing "$object" --namespace "$namespace" --selector "app.kubernetes.io/instance=$release"
done
for object in clusterrole clusterrolebinding; do
    missing "$object" --selector "app.kubernetes.io/instance=$release"
done
ok 'everything else is gone'

say 'install again over what was kept'
run install
exists imageusagereport test-repository-v1 --namespace "$namespace"
exists clusterauthorization this-cluster --namespace "$namespace"
ok 'the same release adopts it'
refused 'another release of the definitions' 'cannot be imported into the current release' \
    "$HELM" install second "$chart" --namespace "$other"
run "$HELM" install second "$chart" --namespace "$other" --set crds.install=false
exists clusterauthorization this-cluster --namespace "$other"
ok 'another release installs with crds.install=false'
run "$HELM" uninstall second --namespace "$other"
run "$HELM" uninstall "$release" --namespace "$namespace"
forget_kinds
run k apply --filename "$root/crds"
refused 'definitions applied by hand' 'cannot be imported into the current release' install
run k wait --for=condition=Established customresourcedefinition "${crds[@]}" --timeout=30s
run install --set crds.install=false
exists clusterauthorization this-cluster --namespace "$namespace"
ok 'crds.install=false leaves definitions applied by hand alone'

say 'an upgrade repeats a failed install'
run "$HELM" uninstall "$release" --namespace "$namespace"
forget_kinds
forget_volumes "$namespace"
# The image of this test exists nowhere: the install waits in vain.
refused 'an install that waits for a pod' 'INSTALLATION FAILED' install --wait --timeout 3s \
    --set image.repository=registry.invalid/none,persistence.enabled=false
missing clusterauthorization this-cluster --namespace "$namespace"
run upgrade --set persistence.enabled=false
exists clusterauthorization this-cluster --namespace "$namespace"
ok 'the next upgrade creates this-cluster'
run k delete clusterauthorization this-cluster --namespace "$namespace"
run upgrade --set persistence.enabled=false
missing clusterauthorization this-cluster --namespace "$namespace"
ok 'and later ones do not'

echo "all checks passed"
