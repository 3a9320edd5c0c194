{{- /*
The project's own nginx configuration, files/dropcast.conf.template, filled in as nginx/render.py fills it in; a test holds
the two together. A place that is left open, because the template has got a new one, stops the rendering.
*/ -}}
{{- define "dropcast.edge.conf" -}}
{{- $e := .Values.edge -}}
{{- $pods := printf "%s-live-pods.%s.svc.%s:8080" (include "dropcast.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- $resolver := default (printf "kube-dns.kube-system.svc.%s" .Values.clusterDomain) $e.resolver -}}
{{- $connections := int $e.workerConnections -}}
{{- $tls := "" -}}
{{- $redirect := "" -}}
{{- if $e.tlsSecret -}}
{{- $tls = "\n        ssl_certificate /etc/dropcast/tls/tls.crt;\n        ssl_certificate_key /etc/dropcast/tls/tls.key;\n        ssl_protocols TLSv1.2 TLSv1.3;\n        ssl_session_cache shared:tls:10m;  # 40,000 viewers come back without a whole handshake\n        ssl_session_timeout 1h;\n        ssl_session_tickets off;" -}}
{{- $redirect = "\n    server {\n        listen *:8080;\n        return 308 https://$host$request_uri;\n    }" -}}
{{- end -}}
{{- $filled := dict
  "user" ""
  "workers" (toString (int $e.workers))
  "pid" "/run/dropcast/nginx.pid"
  "error_log" "/dev/stderr"
  "access_log" "/dev/stdout"
  "worker_connections" (toString $connections)
  "viewers_per_worker" (toString (div $connections 2))
  "open_files" (toString (add $connections 512))
  "ports_arithmetic" "28,232 viewers a replica"
  "worker_shutdown_s" (toString (int $e.workerShutdownS))
  "prefix" "/run/dropcast/"
  "upstreams" (printf "        resolver %s valid=5s;\n        server %s resolve max_fails=0;" $resolver $pods)
  "listen" (ternary "*:8443" "*:8080" (not (empty $e.tlsSecret)))
  "ssl" (ternary " ssl" "" (not (empty $e.tlsSecret)))
  "server_name" "_"
  "certificate" $tls
  "redirect" $redirect
  "body_max" "8m"
  "operators" ""
-}}
{{- $text := .Files.Get "files/dropcast.conf.template" -}}
{{- if not $text -}}{{- fail "files/dropcast.conf.template is missing: package the chart from a whole checkout" -}}{{- end -}}
{{- range $name, $value := $filled -}}
{{- $text = replace (printf "%%{%s}" $name) $value $text -}}
{{- end -}}
{{- if contains "%{" $text -}}
{{- fail (printf "nginx/dropcast.conf.template has a place that this chart does not fill in: %s" (regexFind "%\\{\\w+\\}" $text)) -}}
{{- end -}}
{{- $text -}}
{{- end }}
