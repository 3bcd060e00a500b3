from importlib import import_module

from django.apps import AppConfig


class QueuesConfig(AppConfig):
    name = "queues"

    def ready(self) -> None:
        import_module("queues.checks")
        import_module("queues.housekeeping")
