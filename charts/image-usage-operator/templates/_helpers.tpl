{{- define "image-usage-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* 50 characters leave room for suffixes within the 63 of a Service's name. */}}
{{- define "image-usage-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "image-usage-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "image-usage-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "image-usage-operator.labels" -}}
{{ include "image-usage-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "image-usage-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "image-usage-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "image-usage-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Not empty when the ClusterAuthorization this-cluster exists. */}}
{{- define "image-usage-operator.thisCluster" -}}
{{- if .Capabilities.APIVersions.Has "imageusage.dev/v1alpha1/ClusterAuthorization" }}
{{- with lookup "imageusage.dev/v1alpha1" "ClusterAuthorization" .Release.Namespace "this-cluster" }}
{{- .metadata.name }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Not empty in an upgrade of a release of which every earlier revision failed. Helm labels the Secret of each
revision with its outcome; where it keeps revisions elsewhere, this stays empty.
*/}}
{{- define "image-usage-operator.neverSucceeded" -}}
{{- if .Release.IsUpgrade }}
{{- $statuses := list }}
{{- range (lookup "v1" "Secret" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- if and (eq .type "helm.sh/release.v1") (eq (get $labels "name") $.Release.Name) }}
{{- $statuses = append $statuses (get $labels "status") }}
{{- end }}
{{- end }}
{{- if and $statuses (not (has "deployed" $statuses)) (not (has "superseded" $statuses)) }}true{{ end }}
{{- end }}
{{- end }}
