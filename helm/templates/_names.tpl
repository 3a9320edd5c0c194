{{- define "dropcast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- /* Short enough for what is put behind it. */ -}}
{{- define "dropcast.fullname" -}}
{{- $name := include "dropcast.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- /* Of one component: (list . "live"). */ -}}
{{- define "dropcast.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "dropcast.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* Of pods: nothing that changes with the chart alone, or a new chart would send every viewer away for nothing. */ -}}
{{- define "dropcast.podLabels" -}}
{{ include "dropcast.selector" . }}
app.kubernetes.io/part-of: dropcast
{{- end }}

{{- define "dropcast.labels" -}}
{{- $root := index . 0 -}}
{{ include "dropcast.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dropcast.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "dropcast.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- /* Of an image's values, with the tag for when none is given: (list .Values.image .Chart.AppVersion). */ -}}
{{- define "dropcast.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end }}

{{- /* A number as people write it: Helm reads 1000000 as 1e+06. */ -}}
{{- define "dropcast.plain" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}
