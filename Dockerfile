# One image for every replica: docs/deploy.md. `make image` builds it with docker, podman or buildah.
#
# Debian 12 with Python 3.11 is what the tests and every measurement run on, and its C library is the one that uvloop,
# cryptography and argon2 publish binary packages for: no compiler is needed, and none is in the image.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG NODE_BASE=docker.io/library/node:22-bookworm-slim

# What browsers load of others: server/web/vendor.py.
FROM ${NODE_BASE} AS browser
WORKDIR /client
COPY client/package.json client/package-lock.json client/.npmrc ./
# The secrets are for those who have packages from a mirror of their own; without them the tools' defaults are asked.
RUN --mount=type=secret,id=npmrc \
    NPM_CONFIG_USERCONFIG=/run/secrets/npmrc \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier

FROM ${BASE} AS packages
# pip stays in a folder of its own: the image can install nothing.
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/dropcast/venv
COPY requirements.lock /
RUN --mount=type=secret,id=pip.conf \
    PIP_CONFIG_FILE=/run/secrets/pip.conf \
    /pip/bin/pip --python /opt/dropcast/venv/bin/python install \
    --require-hashes --only-binary :all: --no-cache-dir --no-compile --disable-pip-version-check -r /requirements.lock
WORKDIR /opt/dropcast
COPY schema.sql ./
COPY server server
COPY admin_ui admin_ui
COPY nginx nginx
# `dropcast demo` has its crowd from here.
COPY loadtest loadtest
COPY client client
COPY --from=browser /client/node_modules/hls.js/LICENSE client/node_modules/hls.js/
COPY --from=browser /client/node_modules/hls.js/dist/hls.light.min.mjs client/node_modules/hls.js/dist/
COPY --from=browser /client/node_modules/hls.js/dist/hls.worker.js client/node_modules/hls.js/dist/
# Compiled once, here: nobody can write beside the sources later, and nobody has to look at their times.
RUN echo /opt/dropcast >"$(echo venv/lib/python3.*/site-packages)/dropcast.pth" \
    && printf '%s\n' '#!/opt/dropcast/venv/bin/python' 'from server.__main__ import main' 'main()' >venv/bin/dropcast \
    && chmod 0755 venv/bin/dropcast \
    && venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash . \
    && chmod -R a+rX,go-w .

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Dropcast" \
    org.opencontainers.image.description="Real-time live-stream commerce server" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 dropcast \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/dropcast --shell /usr/sbin/nologin dropcast \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/dropcast
COPY --from=packages /opt/dropcast /opt/dropcast
ENV PATH=/opt/dropcast/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DROPCAST_BIND=0.0.0.0:8080
# By number, so that a supervisor can see that it is not root. Only this folder and /tmp need to be writable.
USER 10001:10001
WORKDIR /var/lib/dropcast
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["dropcast", "health"]
ENTRYPOINT ["dropcast"]
CMD ["serve"]
