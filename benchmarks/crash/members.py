"""Import once what members of a fleet need, for the server that forks them: no connection, no thread, no row."""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module

import django

django.setup()

from emails.rendering import templates  # noqa: E402  # models need Django set up
from emails.ses import ses_api  # noqa: E402  # models need Django set up
from queues.aws import sqs  # noqa: E402
from queues.errors import UnknownType  # noqa: E402
from queues.events import envelope  # noqa: E402

for name in (
    "benchmarks.aws_stub.ses",
    "benchmarks.crash.ledger",
    "benchmarks.crash.rig",
    "benchmarks.crash.unfinished",
    "encodings.idna",
    "notifier.urls",
    "orders.services",
    "queues.management.commands.consume_queue",
    "queues.management.commands.relay_outbox",
):
    import_module(name)
# A client connects when it is used.
sqs.client()
sqs.client(hurried=True)
ses_api.connection()
ses_api.api()
# What they compile when they first need it.
for name, sample in templates.samples().items():
    # An alert to admins comes of no event.
    with suppress(UnknownType):
        envelope.data_type(sample.type).model_validate(sample.data)
    templates.render(name, sample.data)
# What is here for good need not be looked at again, nor copied for its counts, in each of them.
gc.freeze()
