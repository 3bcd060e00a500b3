"""``manage.py`` as a process of its own that finds the libraries imported: a fifth of a second instead of two.

Python's fork server imports what is named here once and forks every process from there. Nothing of the project is
among it: settings and code are read by each process itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.local_aws import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        # pytest's script: every process imports it again otherwise.
        "__main__",
        "boto3",
        "botocore.session",
        "css_inline",
        "django.contrib.admin.views.main",
        "django.contrib.staticfiles.finders",
        "django.core.management",
        "django.core.servers.basehttp",
        "django.db.backends.sqlite3.base",
        "django.db.migrations.migration",
        "django.db.models",
        "django.forms",
        "django.template",
        "django_ses",
        "dotpromptz_handlebars",
        "environ",
        "html2text",
        "psycopg",
        "pydantic.json_schema",
        "pydantic.main",
        "whitenoise",
    ]
)


def start(arguments: list[str], *, environment: dict[str, str], log: Path) -> ForkServerProcess:
    """Run ``manage.py`` with these arguments in this environment; what it prints is added to the file."""
    process = _CONTEXT.Process(target=_run, args=(arguments, environment, str(log)))
    process.start()
    return process


def _run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    sys.argv = ["manage.py", *arguments]

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
