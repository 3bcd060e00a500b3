"""Provide the WSGI application for gunicorn: ``gunicorn notifier.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
application = get_wsgi_application()

from queues.postgresql import limits  # noqa: E402  # settings need the setup above

limits.use(limits.of_pages())
