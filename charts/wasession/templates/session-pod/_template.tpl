{{/*
The PodTemplateSpec of every session. The operator adds what is the session's own: name, owner, the volume `data`, and the
environment. No chart version in here: whatever changes this text replaces the pods of all sessions.
*/}}
{{- define "wasession.podTemplate" -}}
{{- $component := dict "root" . "component" "session-pod" "values" .Values.sessionPod -}}
metadata:
  labels:
    {{- include "wasession.podLabels" $component | nindent 4 }}
  {{- with .Values.sessionPod.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "wasession.podSpec" $component | nindent 2 }}
  restartPolicy: Always
  containers:
    - name: session
      {{- include "wasession.container" $component | nindent 6 }}
      {{- with .Values.sessionPod.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 8080}
      # Asked every second only until the first answer, so that a new session is ready at once.
      startupProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 1
        failureThreshold: 120
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 15
        timeoutSeconds: 5
        failureThreshold: 4
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- with .Values.sessionPod.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.sessionPod.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- with .Values.sessionPod.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
