"""What members of a fleet import, for the server that forks them: no connection is open and no thread runs."""

from __future__ import annotations

import gc
from importlib import import_module

import django

django.setup()

for name in (
    "benchmarks.aws_stub.ses",
    "benchmarks.ledger",
    "benchmarks.rig",
    "benchmarks.standing",
    "botocore.customizations.useragent",
    "encodings.idna",
    "notifier.urls",
    "orders.services",
    "queues.management.commands.consume_queue",
    "queues.management.commands.relay_outbox",
):
    import_module(name)
# What is here for good need not be looked at again, nor copied for its counts, in each of them.
gc.freeze()
