from importlib import import_module

from django.apps import AppConfig


class NotifierConfig(AppConfig):
    name = "notifier"

    def ready(self) -> None:
        """Import what registers itself with the queues."""
        for module in ("alerts", "sns"):
            import_module(f"notifier.{module}")
