from django.apps import AppConfig

from queues import registry


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        """Import what registers itself with the queues and with Django's checks."""
        registry.load(self.name)
