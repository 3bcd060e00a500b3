from importlib import import_module

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        """Import what registers itself with the queues."""
        for module in ("limits.allowances", "checks", "figures", "foreign", "api.idempotency"):
            import_module(f"orders.{module}")
