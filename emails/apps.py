from importlib import import_module

from django.apps import AppConfig


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        """Import what registers itself with the queues and with Django's checks."""
        for module in (
            "breakers",
            "checks",
            "evidence",
            "feedback",
            "figures",
            "handlers",
            "journal",
            "provisioning",
            "sender",
            "sweeping",
            "workload",
        ):
            import_module(f"emails.{module}")
