"""Answer the probes of a load balancer or a supervisor: is the process alive, and can it serve requests?

Probes are answered before any other middleware: they come by plain HTTP and without a host name of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from notifier.monitoring import prometheus
from queues.postgresql import limits

logger = logging.getLogger(__name__)

OK = "ok"
# A database that takes longer for the answer to SELECT 1 hangs.
READY_SECONDS = 2.0


def probes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Build the middleware that answers ``/healthz``, ``/readyz`` and ``/metrics``."""
    pages = {"/healthz": alive, "/readyz": ready, "/metrics": prometheus.show}

    def answer(request: HttpRequest) -> HttpResponse:
        return pages.get(request.path_info, get_response)(request)

    return answer


@never_cache
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Say that the process answers. Nothing else is checked, because a restart would not fix anything else."""
    return JsonResponse({"process": OK})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 if requests can be served, else 503 with the check that failed."""
    checks = {"database": OK, "migrations": "unknown"}
    try:
        with limits.within(READY_SECONDS):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            checks["migrations"] = _migrations()
    except Error as exc:
        # Everybody may read the answer, so it leaves out the reason, which names hosts and users.
        checks["database"] = "does not answer"
        logger.error("not ready: the database does not answer: %s", type(exc).__name__)
    is_ready = set(checks.values()) == {OK}
    return JsonResponse(checks, status=200 if is_ready else 503)


def missing_migrations() -> int:
    """Return how many migrations of this release the database lacks; raises DatabaseError."""
    return len(_known() - MigrationRecorder(connection).applied_migrations().keys())


def _migrations() -> str:
    missing = missing_migrations()
    return f"{missing} not applied; run: manage.py migrate" if missing else OK


@cache
def _known() -> frozenset[tuple[str, str]]:
    """Return all migrations of this release; they are read from disk once."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
