from importlib import import_module

from django.apps import AppConfig

from queues.doctor import findings


class QueuesConfig(AppConfig):
    name = "queues"

    def ready(self) -> None:
        """Import what registers itself."""
        for module in (
            "checks",
            "consumer.pausing",
            "upkeep.depths",
            "upkeep.figures",
            "upkeep.old_rows",
            "upkeep.watching",
        ):
            import_module(f"queues.{module}")
        findings.add("queues.doctor.checks")
