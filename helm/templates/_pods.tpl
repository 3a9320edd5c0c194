{{- /*
From the pod's end being asked for to SIGKILL: preStop, the drain (DROPCAST_DRAIN_WITHIN_S), uvicorn's own shutdown
(SHUTDOWN_WITHIN_S in server/process.py, 20 s) and a margin for closing what is open.
*/ -}}
{{- define "dropcast.graceS" -}}
{{- $drain := index .Values.settings "DROPCAST_DRAIN_WITHIN_S" | ceil | int -}}
{{- add .Values.preStopSleepS $drain 20 .Values.graceMarginS -}}
{{- end }}

{{- define "dropcast.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "dropcast.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "dropcast.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* What the server is told, and never a value of the Secret: (list . "viewer,host"). */ -}}
{{- define "dropcast.env" -}}
{{- $root := index . 0 -}}
- {name: DROPCAST_BIND, value: "0.0.0.0:8080"}
- {name: DROPCAST_SURFACES, value: {{ index . 1 | quote }}}
{{ include "dropcast.secretEnv" $root }}
{{- end }}

{{- /* By name, and not all of the Secret: a DROPCAST_… variable the server does not know stops its start. */ -}}
{{- define "dropcast.secretEnv" -}}
{{- $root := . -}}
{{- range list "DROPCAST_DATABASE_URL" "DROPCAST_BUS_URL" "DROPCAST_SECRET_KEYS" -}}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $root.Values.secret.name }}, key: {{ . }}}}
{{ end -}}
- name: DROPCAST_SMTP_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.secret.name }}, key: DROPCAST_SMTP_URL, optional: true}}
{{- end }}

{{- /* Evenly over nodes and zones, as far as there is room: (list . "live"). */ -}}
{{- define "dropcast.spread" -}}
{{- $selector := include "dropcast.selector" . -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- $selector | nindent 6 }}
  matchLabelKeys: [pod-template-hash]  # the pods of a new version are spread among themselves
{{ end -}}
{{- end }}

{{- /* Where the pods of one part may run: its values. */ -}}
{{- define "dropcast.placed" -}}
{{- $how := dict -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- with index $ $name -}}{{- $_ := set $how $name . -}}{{- end -}}
{{- end -}}
{{- if $how -}}{{- toYaml $how -}}{{- end -}}
{{- end }}

{{- /* A pod that serves: (list . "live" .Values.live "viewer,host"). */ -}}
{{- define "dropcast.servingPod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $part := index . 2 -}}
metadata:
  labels: {{- include "dropcast.podLabels" (list $root $component) | nindent 4 }}
  annotations:
    checksum/settings: {{ toJson $root.Values.settings | sha256sum }}
    {{- with $root.Values.secret.revision }}
    dropcast/secret-revision: {{ . | quote }}
    {{- end }}
    {{- with $part.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "dropcast.serviceAccount" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false  # they would be variables such as DROPCAST_LIVE_PORT, which the server refuses to start with
  terminationGracePeriodSeconds: {{ include "dropcast.graceS" $root }}
  securityContext: {{- include "dropcast.podSecurity" $root | nindent 4 }}
  {{- with include "dropcast.pullSecrets" $root }}{{ . | nindent 2 }}{{ end }}
  {{- with include "dropcast.placed" $part }}{{ . | nindent 2 }}{{ end }}
  {{- if ne $component "admin" }}
  topologySpreadConstraints: {{- include "dropcast.spread" (list $root $component) | nindent 4 }}
  {{- end }}
  containers:
    - name: dropcast
      image: {{ include "dropcast.image" (list $root.Values.image $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [dropcast, serve]
      workingDir: /var/lib/dropcast  # var/ is made below it
      ports:
        - {name: http, containerPort: 8080}
      envFrom:
        - configMapRef: {name: {{ include "dropcast.fullname" $root }}-settings}
      env: {{- include "dropcast.env" (list $root (index . 3)) | nindent 8 }}
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        failureThreshold: 45
      livenessProbe:  # the event loop turns; long, for a pod that is killed sends everybody away at once
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:  # asks the database, which answers or does not within its own deadline
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: 2
      lifecycle:
        preStop: {sleep: {seconds: {{ $root.Values.preStopSleepS }}}}
      resources: {{- toYaml $part.resources | nindent 8 }}
      securityContext: {{- include "dropcast.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: var, mountPath: /var/lib/dropcast}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: 256Mi}}
    - {name: var, emptyDir: {sizeLimit: 256Mi}}
{{- end }}
