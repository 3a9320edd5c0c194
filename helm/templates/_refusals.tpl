{{- /* What values.schema.json cannot say in a sentence. Nothing is rendered when one of these holds. */ -}}
{{- define "dropcast.refusals" -}}
{{- $v := .Values -}}
{{- if not $v.image.repository -}}
{{- fail "image.repository is empty: say where you pushed the image, such as registry.example/dropcast" -}}
{{- end -}}
{{- if not $v.secret.name -}}
{{- fail "secret.name is empty: make a Secret with DROPCAST_DATABASE_URL, DROPCAST_BUS_URL and DROPCAST_SECRET_KEYS, and name it here" -}}
{{- end -}}
{{- range $name := list "DROPCAST_DATABASE_URL" "DROPCAST_BUS_URL" "DROPCAST_SECRET_KEYS" "DROPCAST_SMTP_URL" -}}
{{- with index $v.settings $name -}}
{{- if contains "sqlite" . -}}
{{- fail (printf "settings.%s names SQLite, which is one file for one replica: put the URL of a MySQL or MariaDB into the Secret, mysql+aiomysql://…" $name) -}}
{{- else if contains "memory://" . -}}
{{- fail (printf "settings.%s is memory://, which reaches one process only: put the URL of a Redis into the Secret, redis://…" $name) -}}
{{- end -}}
{{- fail (printf "settings.%s would show a secret to everybody who may read the release: put it into the Secret that secret.name names" $name) -}}
{{- end -}}
{{- end -}}
{{- if not $v.live.surfaces -}}
{{- fail "live.surfaces is empty: name viewer, host or both" -}}
{{- end -}}
{{- range $v.live.surfaces -}}
{{- if eq . "admin" -}}
{{- fail "live.surfaces must not name admin, for it is open to the world: admin.enabled gives it a Deployment of its own, inside the cluster" -}}
{{- else if not (has . (list "viewer" "host")) -}}
{{- fail (printf "live.surfaces names %q: there are viewer and host" .) -}}
{{- end -}}
{{- end -}}
{{- if lt (int $v.live.replicas) 1 -}}
{{- fail (printf "live.replicas is %d: at least 1, and 2 to upgrade without anybody waiting; to stop the shop, uninstall it or scale the Deployment by hand" (int $v.live.replicas)) -}}
{{- end -}}
{{- if lt (int $v.autoscaling.minReplicas) 1 -}}
{{- fail (printf "autoscaling.minReplicas is %d: at least 1" (int $v.autoscaling.minReplicas)) -}}
{{- end -}}
{{- if lt (int $v.autoscaling.maxReplicas) (int $v.autoscaling.minReplicas) -}}
{{- fail (printf "autoscaling.maxReplicas (%d) is below autoscaling.minReplicas (%d): it must be as many or more" (int $v.autoscaling.maxReplicas) (int $v.autoscaling.minReplicas)) -}}
{{- end -}}
{{- if lt (int $v.edge.replicas) 1 -}}
{{- fail (printf "edge.replicas is %d: at least 1; edge.enabled: false does without it" (int $v.edge.replicas)) -}}
{{- end -}}
{{- if and $v.edge.behind $v.edge.tlsSecret -}}
{{- fail "edge.behind and edge.tlsSecret: edge.behind is for TLS that ends at the proxy in front; leave one of them out" -}}
{{- end -}}
{{- $theirs := or $v.ingress.enabled $v.httpRoute.enabled -}}
{{- if and $v.edge.enabled $theirs -}}
{{- fail "edge.enabled and ingress.enabled or httpRoute.enabled: these lead past the edge, straight to the replicas; choose one way in" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- fail "ingress.hosts is empty: name the shop's host, such as shop.example" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty: name the Gateway, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if and (or $v.edge.enabled $theirs) (not (index $v.settings "DROPCAST_TRUSTED_PROXIES")) -}}
{{- fail "settings.DROPCAST_TRUSTED_PROXIES is missing: name the network of the pods in front, such as 10.244.0.0/16, or all viewers are one network to the limits and their cookies are not Secure" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled $theirs (not $v.networkPolicy.ingressFrom) -}}
{{- fail "networkPolicy.ingressFrom is empty, so no viewer would come through: name the namespace of your Ingress controller or Gateway, or set networkPolicy.enabled: false" -}}
{{- end -}}
{{- end }}
