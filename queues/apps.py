from django.apps import AppConfig

from queues import registry
from queues.doctor import findings


class QueuesConfig(AppConfig):
    name = "queues"

    def ready(self) -> None:
        """Import what registers itself with the queues and with Django's checks."""
        registry.load(self.name)
        findings.add("queues.doctor.checks")
