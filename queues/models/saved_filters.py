"""Store the filters of lists that staff have given a name, each for its own person."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class SavedFilter(models.Model):
    """The query of a list's URL under a name; whoever applies it is asked for the same rights as by that URL."""

    # Of one person for one list: they stand above it, and each is a click.
    MOST = 20

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", editable=False
    )
    # The model's label, as in ``emails.notification``.
    list = models.CharField(max_length=100)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)
    saved_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint("user", "list", "name", name="one_saved_filter_per_name")
        ]

    def __str__(self) -> str:
        return self.name
