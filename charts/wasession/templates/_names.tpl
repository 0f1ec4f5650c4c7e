{{/* Names, labels, scope and images: what every other template asks for. */}}

{{- define "wasession.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end -}}

{{/* Cluster-scoped objects carry the namespace, so that releases of one name do not meet. */}}
{{- define "wasession.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "wasession.fullname" .) -}}
{{- end -}}

{{/* Arguments: root, component. These never change over the life of a release: Deployments select by them. */}}
{{- define "wasession.selectorLabels" -}}
app.kubernetes.io/name: wasession
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Arguments: root, component. */}}
{{- define "wasession.labels" -}}
{{ include "wasession.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Arguments: root, component (a name in the values is camelCase, in the cluster kebab-case). */}}
{{- define "wasession.serviceAccountName" -}}
{{- $values := get .root.Values (.component | camelcase | untitle) -}}
{{- $values.serviceAccount.name | default (printf "%s-%s" (include "wasession.fullname" .root) .component) -}}
{{- end -}}

{{/* Arguments: root, image. */}}
{{- define "wasession.image" -}}
{{- $common := .root.Values.image -}}
{{- $name := printf "%s/%s" (.image.registry | default $common.registry) .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default $common.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The namespaces prepared for sessions, as a JSON list. */}}
{{- define "wasession.namespaces" -}}
{{- .Values.scope.namespaces | default (list .Release.Namespace) | uniq | toJson -}}
{{- end -}}

{{/* The namespace of the sessions that the facade serves. */}}
{{- define "wasession.apiNamespace" -}}
{{- $namespaces := include "wasession.namespaces" . | fromJsonArray -}}
{{- $wanted := .Values.api.sessionNamespace -}}
{{- if and $wanted (not .Values.scope.clusterWide) (not (has $wanted $namespaces)) -}}
{{- fail (printf "api.sessionNamespace is %q, which is not in scope.namespaces (%s): add it there" $wanted (join ", " $namespaces)) -}}
{{- end -}}
{{- if $wanted -}}
{{- $wanted -}}
{{- else if has .Release.Namespace $namespaces -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- first $namespaces -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the internal key, and the one with the API key. */}}
{{- define "wasession.internalKeySecret" -}}
{{- .Values.internalKey.existingSecret.name | default (printf "%s-internal-key" (include "wasession.fullname" .)) -}}
{{- end -}}

{{- define "wasession.apiKeySecret" -}}
{{- .Values.api.auth.existingSecret.name | default (printf "%s-api-key" (include "wasession.fullname" .)) -}}
{{- end -}}
