{{- /* Who may come in to a component: (list . "live" its peers). Prometheus may everywhere. */ -}}
{{- define "dropcast.comesIn" -}}
{{- $root := index . 0 -}}
{{- $n := $root.Values.networkPolicy -}}
{{- $peers := concat (index . 2) $n.metricsFrom -}}
{{- if and $root.Values.edge.enabled (eq (index . 1) "live") -}}
{{- $edge := dict "podSelector" (dict "matchLabels" (include "dropcast.selector" (list $root "edge") | fromYaml)) -}}
{{- $peers = prepend $peers $edge -}}
{{- end -}}
{{- /* The kubelet's probes come from the pod's own node, which is always let in; some network plugins want it said. */ -}}
{{- range $n.nodes -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
{{- if $peers -}}
- from: {{- toYaml $peers | nindent 4 }}
  ports: [{protocol: TCP, port: http}]
{{- else -}}
[]
{{- end -}}
{{- end }}

{{- /* DNS, of the cluster or on its nodes. */ -}}
{{- define "dropcast.toDns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- /* A service outside: its ports, and where it is, when that is said. */ -}}
{{- define "dropcast.toService" -}}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
