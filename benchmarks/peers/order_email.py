"""Make one order's email as every Python peer does: two Django templates, one email, SES through django-ses."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import django
from botocore.config import Config
from django.conf import settings
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
QUEUE = os.environ["PEER_QUEUE"]
QUEUE_URL = f"{ENDPOINT}/000000000000/{QUEUE}"
REGION = os.environ["AWS_DEFAULT_REGION"]
CONCURRENCY = int(os.environ.get("PEER_CONCURRENCY", "1"))
SENDER = "Notifier Shop <shop@example.com>"
VISIBILITY_SECONDS = 600


def set_up() -> None:
    """Django with nothing but templates and email; as many connections to SES as there are threads."""
    settings.configure(
        EMAIL_BACKEND="django_ses.SESBackend",
        AWS_SES_REGION_NAME=REGION,
        AWS_SES_REGION_ENDPOINT_URL=ENDPOINT,
        AWS_SES_AUTO_THROTTLE=None,
        AWS_SES_CONFIG=Config(max_pool_connections=max(10, CONCURRENCY)),
        USE_SES_V2=os.environ.get("PEER_SES") == "v2",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [Path(__file__).parent / "templates"],
            }
        ],
    )
    django.setup()
    # Now, or each thread that comes first would make a client of its own.
    _connection()


def build(order: dict[str, Any], connection: Any = None) -> EmailMultiAlternatives:
    """The email of one order."""
    context = order | {
        "lines": [line | {"total": _money(line["total_cents"])} for line in order["lines"]],
        "total": _money(order["total_cents"]),
    }
    message = EmailMultiAlternatives(
        subject=f"Your order {order['order_number']} is confirmed",
        body=render_to_string("order.txt", context),
        from_email=SENDER,
        to=[order["customer"]["email"]],
        connection=connection,
    )
    message.attach_alternative(render_to_string("order.html", context), "text/html")
    return message


def send(order: dict[str, Any]) -> None:
    """Render and send, with one connection for all threads of the process."""
    build(order, _connection()).send()


def sqs() -> Any:
    """A client of SQS with a connection for each thread."""
    config = Config(max_pool_connections=max(10, 2 * CONCURRENCY), read_timeout=60)
    return boto3.client("sqs", endpoint_url=ENDPOINT, config=config)


@cache
def _connection() -> Any:
    connection = mail.get_connection()
    connection.open()
    return connection


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"
