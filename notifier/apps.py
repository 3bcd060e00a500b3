from django.apps import AppConfig
from django.db.models.signals import post_migrate


class NotifierConfig(AppConfig):
    name = "notifier"

    def ready(self) -> None:
        """After those of django.contrib.auth, which makes the permissions: it stands before this app in settings."""
        from notifier import roles

        post_migrate.connect(roles.give_new_rights, dispatch_uid="notifier.roles")
