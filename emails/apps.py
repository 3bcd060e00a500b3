from django.apps import AppConfig

from queues import registry
from queues.doctor import findings


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        """Import what registers itself with the queues and with Django's checks."""
        registry.load(self.name)
        findings.add("emails.doctor.checks")
        findings.add("emails.doctor.templates")
