{{- /*
The project's own nginx configuration, the templates in files/, filled in as nginx/render.py fills them in; a test holds the
two together.
*/ -}}
{{- define "dropcast.edge.conf" -}}
{{- $e := .Values.edge -}}
{{- $pods := printf "%s-live-pods.%s.svc.%s:8080" (include "dropcast.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- $resolver := default (printf "kube-dns.kube-system.svc.%s" .Values.clusterDomain) $e.resolver -}}
{{- $connections := int $e.workerConnections -}}
{{- $tls := not (empty $e.tlsSecret) -}}
{{- include "dropcast.edge.filled" (list . "dropcast.conf.template" (dict
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
  "behind" (include "dropcast.edge.behind" .)
  "proto" (ternary "$forwarded_proto" "$scheme" (not (empty $e.behind)))
  "zones" (include "dropcast.edge.zones" $e.limits)
  "limit_sockets" (include "dropcast.edge.ofSockets" $e.limits)
  "limit_requests" (include "dropcast.edge.ofRequests" $e.limits)
  "limit_files" (include "dropcast.edge.ofFiles" $e.limits)
  "upstreams" (printf "        resolver %s valid=5s;\n        server %s resolve max_fails=0;" $resolver $pods)
  "redirect" (include "dropcast.edge.redirect" .)
  "listen" (ternary "*:8443" "*:8080" $tls)
  "listen_tls" (ternary " ssl" "" $tls)
  "server_name" "_"
  "tls" (include "dropcast.edge.tls" .)
  "body_max" "8m"
  "operators" ""
)) -}}
{{- end }}

{{- define "dropcast.edge.behind" -}}
{{- $from := list -}}
{{- $trusted := list -}}
{{- range .Values.edge.behind -}}
{{- $from = append $from (printf "    set_real_ip_from %s;" .) -}}
{{- $trusted = append $trusted (printf "        %s 1;" .) -}}
{{- end -}}
{{- if $from -}}
{{- include "dropcast.edge.filled" (list . "behind.template" (dict "from" (join "\n" $from) "trusted" (join "\n" $trusted))) -}}
{{- end -}}
{{- end }}

{{- define "dropcast.edge.tls" -}}
{{- if .Values.edge.tlsSecret -}}
{{- $ciphers := list -}}
{{- range $cipher := list "AES128-GCM-SHA256" "AES256-GCM-SHA384" "CHACHA20-POLY1305" -}}
{{- range $kind := list "ECDSA" "RSA" -}}
{{- $ciphers = append $ciphers (printf "ECDHE-%s-%s" $kind $cipher) -}}
{{- end -}}
{{- end -}}
{{- $mb := int .Values.edge.tlsCacheMb -}}
{{- $sessions := include "dropcast.edge.thousands" (mul $mb 4) -}}
{{- $handshakes := include "dropcast.edge.thousands" (mul $mb 2) -}}
{{- include "dropcast.edge.filled" (list . "tls.template" (dict
  "http2" "        http2 on;\n\n"
  "certificate" "/etc/dropcast/tls/tls.crt"
  "key" "/etc/dropcast/tls/tls.key"
  "ciphers" (join ":" $ciphers)
  "cache_mb" (toString $mb)
  "sessions" (printf "%d MB x 4,000 = %s sessions, 2 a handshake: the last %s who came" $mb $sessions $handshakes)
)) -}}
{{- end -}}
{{- end }}

{{- define "dropcast.edge.redirect" -}}
{{- if .Values.edge.tlsSecret -}}
{{- $port := int .Values.edge.httpsPort -}}
{{- include "dropcast.edge.filled" (list . "redirect.template" (dict
  "listen" "*:8080"
  "server_name" "_"
  "port" (ternary "" (printf ":%d" $port) (eq $port 443))
)) -}}
{{- end -}}
{{- end }}

{{- /* edge.limits: what counts, and the lines of sockets, of requests and of files that nginx keeps. 0 is no limit. */ -}}
{{- define "dropcast.edge.zones" -}}
{{- $lines := "" -}}
{{- if int .sockets -}}{{- $lines = print $lines "    limit_conn_zone $network zone=sockets:8m;\n" -}}{{- end -}}
{{- with int .joinsPerS -}}{{- $lines = printf "%s    limit_req_zone $network zone=joins:16m rate=%dr/s;\n" $lines . -}}{{- end -}}
{{- with int .requestsPerS -}}{{- $lines = printf "%s    limit_req_zone $network zone=calls:16m rate=%dr/s;\n" $lines . -}}{{- end -}}
{{- if int .requestsAtOnce -}}{{- $lines = print $lines "    limit_conn_zone $network zone=at_once:8m;\n" -}}{{- end -}}
{{- if $lines -}}
{{- print "    # 131,072 networks fit. One more: limit_req forgets who was quiet longest, limit_conn refuses.\n" $lines -}}
{{- print "    limit_conn_status 429;\n    limit_req_status 429;\n" -}}
{{- end -}}
{{- end }}

{{- define "dropcast.edge.ofSockets" -}}
{{- with int .sockets -}}{{- printf "            limit_conn sockets %d;\n" . -}}{{- end -}}
{{- $burst := max (int .sockets) (mul 40 (int .joinsPerS)) -}}
{{- if int .joinsPerS -}}{{- printf "            limit_req zone=joins burst=%d nodelay;\n" $burst -}}{{- end -}}
{{- end }}

{{- define "dropcast.edge.ofRequests" -}}
{{- include "dropcast.edge.ofFiles" . -}}
{{- with int .requestsPerS -}}{{- printf "            limit_req zone=calls burst=%d nodelay;\n" (mul 40 .) -}}{{- end -}}
{{- end }}

{{- define "dropcast.edge.ofFiles" -}}
{{- with int .requestsAtOnce -}}{{- printf "            limit_conn at_once %d;\n" . -}}{{- end -}}
{{- end }}

{{- /* So many thousands, as people write them: 1024 is 1,024,000. */ -}}
{{- define "dropcast.edge.thousands" -}}
{{- if ge (int .) 1000 -}}{{- printf "%d,%03d,000" (div . 1000) (mod . 1000) -}}{{- else -}}{{- printf "%d,000" . -}}{{- end -}}
{{- end }}

{{- /*
One template with its places filled in: (list . "tls.template" (dict "key" …)). A place that is left open, because the template
has got a new one, stops the rendering.
*/ -}}
{{- define "dropcast.edge.filled" -}}
{{- $root := index . 0 -}}
{{- $file := index . 1 -}}
{{- $text := $root.Files.Get (printf "files/%s" $file) -}}
{{- if not $text -}}{{- fail (printf "files/%s is missing: package the chart from a whole checkout" $file) -}}{{- end -}}
{{- range $name, $value := index . 2 -}}
{{- $text = replace (printf "%%{%s}" $name) $value $text -}}
{{- end -}}
{{- if contains "%{" $text -}}
{{- fail (printf "nginx/%s has a place that this chart does not fill in: %s" $file (regexFind "%\\{\\w+\\}" $text)) -}}
{{- end -}}
{{- $text -}}
{{- end }}
