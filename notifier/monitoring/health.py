"""What a load balancer or a supervisor asks a web process: does it answer, and may it get requests?

Answered before anything else looks at the request: probes come by plain HTTP and under no host name of ours.
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

logger = logging.getLogger(__name__)

OK = "ok"


def probes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """The middleware that answers ``/healthz``, ``/readyz`` and ``/metrics``."""
    pages = {"/healthz": alive, "/readyz": ready, "/metrics": prometheus.show}

    def answer(request: HttpRequest) -> HttpResponse:
        return pages.get(request.path_info, get_response)(request)

    return answer


@never_cache
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """The process answers; whether anything else does is not asked, as a restart would not mend that."""
    return JsonResponse({"process": OK})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 if requests can be served; 503, and which check failed, if not."""
    checks = {"database": OK, "migrations": "unknown"}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["migrations"] = _migrations()
    except Error as exc:
        # Not why: the answer is for everybody, and names of hosts and users are in the reason.
        checks["database"] = "does not answer"
        logger.error("not ready: the database does not answer: %s", type(exc).__name__)
    is_ready = set(checks.values()) == {OK}
    return JsonResponse(checks, status=200 if is_ready else 503)


def missing_migrations() -> int:
    """How many of this release's migrations the database has not got; raises DatabaseError."""
    return len(_known() - MigrationRecorder(connection).applied_migrations().keys())


def _migrations() -> str:
    missing = missing_migrations()
    return f"{missing} not applied; run: manage.py migrate" if missing else OK


@cache
def _known() -> frozenset[tuple[str, str]]:
    """All migrations of this release, read from disk once."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
