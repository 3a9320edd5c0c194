"""nginx as a plain TCP proxy (`stream`), with or without TLS: what the HTTP proxy costs beyond passing bytes on."""

from __future__ import annotations

from nginx.render import Proxy

_TEXT = """daemon off;
{head}worker_processes {workers};
pid {prefix}/nginx.pid;
error_log {prefix}/error.log crit;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
stream {{
    upstream replicas {{
        least_conn;
{upstreams}
    }}
    server {{
        listen {listen}{ssl} backlog=4096;
{tls}        tcp_nodelay on;
        proxy_buffer_size 4k;
        proxy_timeout 75s;
        proxy_pass replicas;
    }}
}}
"""


def render(proxy: Proxy, module: str | None) -> str:
    """Its configuration; `module` is the file of nginx's stream module where it is not built in."""
    tls = (
        f"        ssl_certificate {proxy.tls_certificate};\n"
        f"        ssl_certificate_key {proxy.tls_key};\n"
        f"        ssl_protocols TLSv1.2 TLSv1.3;\n"
    )
    load = f"load_module {module};\n" if module else ""
    return _TEXT.format(
        head=load + (f"user {proxy.user};\n" if proxy.user else ""),
        workers=proxy.workers,
        prefix=proxy.prefix,
        files=proxy.worker_connections + 512,
        connections=proxy.worker_connections,
        upstreams="\n".join(f"        server {upstream};" for upstream in proxy.upstreams),
        listen=proxy.listen,
        ssl=" ssl" if proxy.tls_certificate else "",
        tls=tls if proxy.tls_certificate else "",
    )
