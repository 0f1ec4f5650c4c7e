{{/* What each component may do. The same rules serve Role and ClusterRole. */}}

{{- define "wasession.operatorRules" -}}
# patch for the finalizer, delete for idle sessions whose policy says so; spec is never written.
- apiGroups: [wasession.dev]
  resources: [whatsappsessions]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [wasession.dev]
  resources: [whatsappsessions/status]
  verbs: [patch]
# A pod is replaced and never changed; a claim may grow, or change its owner when spec.storage.reclaimPolicy does.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "wasession.apiRules" -}}
- apiGroups: [wasession.dev]
  resources: [whatsappsessions]
  verbs: [get, list, watch, create, patch, delete]
{{- end -}}

{{/* Which part of which status is the admission policy's to say. */}}
{{- define "wasession.sessionPodRules" -}}
- apiGroups: [wasession.dev]
  resources: [whatsappsessions/status]
  verbs: [patch]
{{- end -}}

{{/* A Role with its RoleBinding. Arguments: root, component, namespace (of both), rules (name of a define), subjectNamespace. */}}
{{- define "wasession.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "wasession.fullname" .root }}-{{ .component }}
  namespace: {{ .namespace }}
  labels:
    {{- include "wasession.labels" . | nindent 4 }}
rules:
  {{- include .rules .root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "wasession.fullname" .root }}-{{ .component }}
  namespace: {{ .namespace }}
  labels:
    {{- include "wasession.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "wasession.fullname" .root }}-{{ .component }}
subjects:
  - kind: ServiceAccount
    name: {{ include "wasession.serviceAccountName" . }}
    namespace: {{ .subjectNamespace }}
{{- end -}}

{{/* The same for the whole cluster. Arguments: root, component, rules, subjectNamespace. */}}
{{- define "wasession.clusterRole" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ include "wasession.clusterName" .root }}-{{ .component }}
  labels:
    {{- include "wasession.labels" . | nindent 4 }}
rules:
  {{- include .rules .root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ include "wasession.clusterName" .root }}-{{ .component }}
  labels:
    {{- include "wasession.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "wasession.clusterName" .root }}-{{ .component }}
subjects:
  - kind: ServiceAccount
    name: {{ include "wasession.serviceAccountName" . }}
    namespace: {{ .subjectNamespace }}
{{- end -}}

{{/* Arguments: root, component, namespace. */}}
{{- define "wasession.serviceAccount" -}}
{{- $values := get .root.Values (.component | camelcase | untitle) -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "wasession.serviceAccountName" . }}
  namespace: {{ .namespace }}
  labels:
    {{- include "wasession.labels" . | nindent 4 }}
  {{- with $values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# The pods that need the token ask for it.
automountServiceAccountToken: false
{{- end -}}
