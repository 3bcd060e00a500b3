"""Store what the JSON API remembers about its clients: answers to repeat, and how often each asks."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class IdempotentRequest(models.Model):
    """A request with an idempotency key, and its answer; while it runs, ``claim`` says which process runs it.

    ``orders.api.idempotency`` has the rules.
    """

    client = models.CharField(max_length=128)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    claim = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(db_default="")
    location = models.CharField(max_length=200, db_default="")
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="one_request_per_client_and_key")
        ]
        indexes = [models.Index("asked_at", name="idempotent_request_asked")]

    def __str__(self) -> str:
        return self.key


class RequestAllowance(models.Model):
    """The rate of an API client, or of a caller or recipient of our forms; ``orders.limits.allowances`` has the rules.

    ``tat_us`` is when the client may ask again at its steady rate, in microseconds since 1970 on the database's clock.
    """

    client = models.CharField(max_length=128, primary_key=True)
    tat_us = models.BigIntegerField()

    def __str__(self) -> str:
        return self.client
