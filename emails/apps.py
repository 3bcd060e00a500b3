from importlib import import_module

from django.apps import AppConfig


class EmailsConfig(AppConfig):
    name = "emails"

    def ready(self) -> None:
        import_module("emails.handlers")
        import_module("emails.feedback")
        import_module("emails.provisioning")
        import_module("emails.sweeping")
