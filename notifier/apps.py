from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate

from queues import registry
from queues.doctor import findings


class NotifierConfig(AppConfig):
    name = "notifier"

    def ready(self) -> None:
        """Import what registers itself with the queues and with orders; give roles new rights after migrations."""
        registry.load(self.name)
        findings.add("notifier.doctor.checks")
        runs = import_module("queues.doctor.runs")
        runs.add("doctor", "notifier.doctor.runs.check")
        runs.add("roundtrip", "notifier.doctor.runs.roundtrip")
        if settings.SERVES_PAGES:
            import_module("notifier.staff.factors")  # It notes log-ins.
        self._tell_abroad()
        # It must run after the receiver of django.contrib.auth, which makes the permissions; auth is before this app in
        # the settings.
        roles = import_module("notifier.staff.roles")
        post_migrate.connect(roles.give_new_rights, dispatch_uid="notifier.staff.roles")

    def _tell_abroad(self) -> None:
        """Load what needs packages of its own, if the settings ask for it."""
        if settings.TRACES_EXPORTER:
            try:
                telemetry = import_module("notifier.monitoring.spans")
            except ImportError as exc:
                raise ImproperlyConfigured(
                    "TRACES_EXPORTER is set, and OpenTelemetry is not installed. "
                    "Run: pip install -r requirements-otel.in"
                ) from exc
            telemetry.start()
        if settings.SENTRY_DSN:
            import_module("notifier.monitoring.sentry").start()
