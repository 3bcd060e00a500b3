"""``manage.py`` with a meter on each stage of an email: ``python -m benchmarks.profile.metered consume_queue orders``.

Each stage counts the CPU time of its own thread, so threads that wait cost nothing and the sum can be compared with
what the process used. A stage's own time is without that of the stages inside it. SIGUSR1 begins anew; when the
command ends, the figures go to the file that PROFILE_FILE names.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.core.management import execute_from_command_line

STAGES = [
    ("receive from SQS", "queues.aws.sqs", "Queue.receive"),
    ("delete from SQS", "queues.aws.sqs", "Queue.delete_batch"),
    ("handle one message", "queues.consumer.handling", "handle"),
    ("read the envelope", "queues.events.envelope", "Event.from_json"),
    ("render", "emails.rendering.templates", "render"),
    ("render: inline CSS", "emails.rendering.templates", "_inline_css"),
    ("limiter", "emails.sending.limiter", "reserve"),
    ("claim", "emails.sending.claims", "claim_owed"),
    ("fence", "emails.sending.claims", "fence"),
    ("accept", "emails.sending.states", "accept_many"),
    ("mark handled", "queues.consumer.handling", "mark_handled"),
    ("send: django-ses", "emails.ses.ses_api", "send"),
    ("send: MIME", "django_ses", "get_message_bytes"),
    ("send: MIME", "django.core.mail", "EmailMessage.message"),
    ("drop a broken connection", "queues.threads.writer", "drop_broken_connection"),
    ("SQL: connect", "django.db.backends.base.base", "BaseDatabaseWrapper.connect"),
    ("SQL: commit", "django.db.backends.base.base", "BaseDatabaseWrapper.commit"),
    ("log", "logging", "Logger.handle"),
    ("submit to the worker pool", "queues.threads.worker_pool", "WorkerPool.submit"),
]


class Meter:
    """Sums by stage: calls, own and whole CPU time, wall time; in nanoseconds."""

    def __init__(self) -> None:
        self.sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._lock = threading.Lock()
        self._local = threading.local()

    def measured(
        self, name: str | Callable[..., str], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """The function, counted; the name may depend on the arguments."""

        def call(*args: Any, **kwargs: Any) -> Any:
            inside = self._local.__dict__.setdefault("inside", [0])
            inside.append(0)
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            try:
                return function(*args, **kwargs)
            finally:
                cpu = time.thread_time_ns() - cpu
                wall = time.perf_counter_ns() - wall
                own = cpu - inside.pop()
                inside[-1] += cpu
                label = name if isinstance(name, str) else name(*args, **kwargs)
                with self._lock:
                    sums = self.sums[label]
                    for place, value in enumerate((1, own, cpu, wall)):
                        sums[place] += value

        return call

    def install(self) -> None:
        """Put the meter on every stage."""
        for name, module, path in STAGES:
            self._wrap(name, module, path)
        self._wrap(_statement, "django.db.backends.utils", "CursorWrapper.execute")
        self._wrap(_operation, "botocore.client", "BaseClient._make_api_call")

    def _wrap(self, name: str | Callable[..., str], module: str, path: str) -> None:
        *parents, last = path.split(".")
        owner: Any = import_module(module)
        for parent in parents:
            owner = getattr(owner, parent)
        raw = owner.__dict__[last]
        if isinstance(raw, classmethod):
            setattr(owner, last, classmethod(self.measured(name, raw.__func__)))
        else:
            setattr(owner, last, self.measured(name, raw))


def main() -> None:
    """Run the command, then write the figures."""
    django.setup()
    meter = Meter()
    meter.install()
    signal.signal(signal.SIGUSR1, lambda number, frame: meter.sums.clear())
    try:
        execute_from_command_line(["manage.py", *sys.argv[1:]])
    finally:
        Path(os.environ["PROFILE_FILE"]).write_text(json.dumps(meter.sums))


def _statement(cursor: Any, sql: str, *args: Any) -> str:
    """The kind of statement and its table."""
    words = re.sub(r'["\s]+', " ", str(sql)).split()
    table = re.search(r'(?:FROM|INTO|UPDATE)\s+"?(\w+)', str(sql))
    return f"SQL: {words[0]} {table[1] if table else ' '.join(words[1:2])}".strip()


def _operation(client: Any, operation: str, *args: Any) -> str:
    return f"botocore: {operation}"


if __name__ == "__main__":
    main()
