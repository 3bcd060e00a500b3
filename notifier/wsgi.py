"""Provide the WSGI application for gunicorn: ``gunicorn notifier.wsgi``."""

import logging
import os
import sys

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")

# The exit code with which gunicorn gives up, instead of starting workers for ever.
_NO_USE = 3


def _started() -> WSGIHandler:
    try:
        found = get_wsgi_application()
    except ImproperlyConfigured as exc:
        print(f"The settings cannot work: {exc}", file=sys.stderr)
        sys.exit(_NO_USE)
    # Load all pages before the first request: one that cannot be loaded would leave half of an admin to the others.
    _ = get_resolver().url_patterns
    _tell_errors()
    # Imported here, as it needs the setup above.
    from queues.postgresql import limits

    limits.use(limits.of_pages())
    return found


def _tell_errors() -> None:
    """Log what ``manage.py check`` finds; orders are taken all the same, and consumers refuse to start."""
    for message in checks.run_checks(tags=["delivery", checks.Tags.security]):
        if message.level >= checks.WARNING and not message.is_silenced():
            logging.getLogger("notifier.wsgi").error(
                "setting %s: %s %s", message.id, message.msg, message.hint
            )


application = _started()
