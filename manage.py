#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

# They run for long, and serve no page.
WORKERS = {"archive_events", "consume_queue", "relay_outbox"}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    os.environ["SERVES_PAGES"] = "on"
    if WORKERS.intersection(sys.argv[1:2]):
        os.environ["SERVES_PAGES"] = "off"
        # botocore imports it where it is, with fifty modules of cryptography, and uses nothing of it.
        sys.modules.setdefault("OpenSSL", None)  # type: ignore[arg-type]  # None: there is none
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        # The sentence says all: a traceback would hide it.
        sys.exit(f"The settings cannot work: {exc}")
