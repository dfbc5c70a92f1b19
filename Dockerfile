# The service as an image: `docker build -t whatsapp-support-desk .`
#
# Nothing here needs BuildKit, a cache mount or a build argument, so every builder takes it. The base is pinned by its
# version; docs/deployment.md tells how to pin its digest as well.
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

# The first stage makes wheels of what the locks name, hash by hash, and of the service itself, without the network
# having a say in either. No source distribution is ever built.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/tools && \
    /opt/tools/bin/pip install --require-hashes --only-binary=:all: --requirement requirements-build.lock && \
    /opt/tools/bin/pip download --require-hashes --only-binary=:all: --no-deps --dest /wheels --requirement requirements.lock
COPY pyproject.toml setup.cfg README.md ./
COPY bot bot
COPY flows flows
COPY sql sql
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . && \
    python -m venv --without-pip /opt/bot && \
    /opt/tools/bin/pip --python /opt/bot/bin/python install --no-index --no-deps /wheels/*.whl && \
    /opt/tools/bin/pip --python /opt/bot/bin/python check

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="whatsapp-support-desk" \
      org.opencontainers.image.description="A self-hosted WhatsApp support desk" \
      org.opencontainers.image.version="1.0.0"
# The service writes no file; HOME is for libraries that look for one. PORT may be set to any other.
ENV PATH=/opt/bot/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLOWS_DIR=/flows
COPY --from=build /opt/bot /opt/bot
COPY flows /flows
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Alive, not ready: whoever kills what is unhealthy must not kill a replica because a store is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
# No shell in between: the process is the one that hears SIGTERM. `docker run IMAGE migrate` runs another command.
ENTRYPOINT ["bot"]
CMD ["serve"]
