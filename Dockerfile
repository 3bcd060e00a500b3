# syntax=docker/dockerfile:1
# One image for the web, consumers, relays and commands: docs/how-to/deploy.md, In containers.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/notifier
RUN python -m venv .venv
# Before the code: it changes less often.
COPY requirements.txt ./
RUN .venv/bin/pip install --require-hashes --only-binary=:all: -r requirements.txt
COPY manage.py gunicorn.conf.py ./
COPY emails/ emails/
COPY notifier/ notifier/
COPY orders/ orders/
COPY queues/ queues/
COPY templates/ templates/
# Any key will do: nothing is signed here.
RUN SECRET_KEY="$(head -c 48 /dev/urandom | base64 -w 0)" .venv/bin/python manage.py collectstatic --noinput \
    && .venv/bin/python -m compileall -q emails notifier orders queues

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/notifier --create-home notifier \
    && install --directory --owner notifier --mode 700 /var/lib/notifier/journal
WORKDIR /srv/notifier
# Owned by root: who breaks in changes no code.
COPY --from=build /srv/notifier ./
ENV PATH=/srv/notifier/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    JOURNAL_DIR=/var/lib/notifier/journal
USER notifier
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "notifier.wsgi", "--bind", "0.0.0.0:8000"]
