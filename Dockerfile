# Parley in a container: docker build -t parley . (or: docker compose up -d --build)
# The locked packages are checked by their hashes; the base is one version, to be raised on purpose.
ARG PYTHON=3.12.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/parley
ENV PATH=/opt/parley/bin:$PATH
WORKDIR /src
# Packages first: they are fetched again only when the lock has changed.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md config.example.toml ./
COPY gateway gateway
COPY channels channels
COPY storage storage
RUN pip install --no-deps --no-build-isolation . && python -m compileall -q /opt/parley/lib

FROM python:${PYTHON}
RUN groupadd --gid 10001 parley \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin parley \
 && install -d -o parley -g parley -m 0700 /data
COPY --from=build /opt/parley /opt/parley
ENV PATH=/opt/parley/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data PARLEY_GATEWAY__DATA_DIR=/data
# The database, files, backups, the socket, and parley.toml: everything that must last.
VOLUME /data
WORKDIR /data
USER 10001:10001
# That the process answers. Whether its channels do is /readyz: a container that waits for a platform is not restarted.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, socket; s = socket.socket(socket.AF_UNIX); s.settimeout(4); s.connect(os.environ['PARLEY_GATEWAY__DATA_DIR'] + '/parley.sock'); s.sendall(b'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n'); raise SystemExit(b' 200 ' not in s.recv(64))"]
STOPSIGNAL SIGTERM
# No shell in between: the signal comes to the gateway, which lets running answers end.
ENTRYPOINT ["parley"]
CMD ["run", "--no-prompt"]
