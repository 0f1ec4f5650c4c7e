{{/* The parts of a pod that all three components share. */}}

{{/* Arguments: root, component, values (of the component). */}}
{{- define "wasession.podSpec" -}}
serviceAccountName: {{ include "wasession.serviceAccountName" . }}
automountServiceAccountToken: true
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int64 .values.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml .values.podSecurityContext | nindent 2 }}
{{- with .values.imagePullSecrets | default .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Arguments: root, values. */}}
{{- define "wasession.container" -}}
image: {{ include "wasession.image" (dict "root" .root "image" .values.image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .values.securityContext | nindent 2 }}
{{- with .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Arguments: component, root, values. The component's own labels win over podLabels: Deployments select by them. */}}
{{- define "wasession.podLabels" -}}
{{- merge (include "wasession.selectorLabels" . | fromYaml) .values.podLabels | toYaml -}}
{{- end -}}

{{/* A Secret's key as the file `key`. Arguments: name (of the volume), secret, key. */}}
{{- define "wasession.keyVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: key
{{- end -}}
