# One image for every part of the system: Prefect's server, the worker, the steps and the site.
# The workflow `release` resolves the base image, builds from its digest and records that; to do so here:
#   docker build --build-arg PYTHON=python@sha256:... .
ARG PYTHON=python:3.11.14-slim-bookworm
FROM ${PYTHON} AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/app/.venv/bin:$PATH
WORKDIR /app

FROM base AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
# uv and the build backend by hash, everything else by the hashes of uv.lock.
COPY requirements/ requirements/
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes -r requirements/uv.txt
# Dependencies first: this layer is rebuilt only when the lock file changes.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --all-extras --no-install-project
COPY . .
RUN uv pip install --require-hashes -r requirements/build.txt \
    && uv sync --locked --no-dev --all-extras --no-build-isolation

FROM base
RUN useradd --uid 10001 --create-home --home-dir /home/mirror mirror \
    && install -d -o mirror -g mirror /data /site
COPY --from=build /app /app
USER mirror
# Databases, logs and Prefect's files go to /data, the published site to /site; both are volumes.
ENV MIRROR_CONFIG=/app/mirrors.yaml \
    MIRROR_DATA_DIR=/data \
    MIRROR_SITE_DIR=/site/public \
    PREFECT_HOME=/data/prefect \
    PREFECT_UI_STATIC_DIRECTORY=/data/prefect/ui \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
VOLUME ["/data", "/site"]
EXPOSE 4200 8080
# By itself the image is the whole system with an embedded PostgreSQL; docker-compose.yml runs its parts
# as services, each with its own health check.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-P", "-m", "flows.local.healthy", "http://127.0.0.1:8080/livez"]
STOPSIGNAL SIGTERM
# It listens on the container's loopback. To publish its ports, which Prefect's login protects:
#   docker run -p 127.0.0.1:4200:4200 -p 127.0.0.1:8080:8080 IMAGE mirror up --host 0.0.0.0
CMD ["mirror", "up"]
