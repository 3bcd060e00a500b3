"""Run the local AWS: SQS, SNS and SES for development, with a mailbox in place of the world."""

from __future__ import annotations

import socket
import threading
from argparse import ArgumentParser
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sandbox import name_server
from sandbox.server import LocalAws, serve
from sandbox.ses.post_office import PostOffice


class Command(BaseCommand):
    """Refuses to run with production settings, and to listen to anybody but this machine."""

    help = "Run the local AWS (SQS, SNS, SES) for development. Everything is kept in memory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Host and port come from AWS_ENDPOINT_URL unless they are given."""
        endpoint = urlsplit(settings.AWS_ENDPOINT_URL or "http://127.0.0.1:4566")
        parser.add_argument("--host", default=endpoint.hostname)
        parser.add_argument(
            "--port", type=int, default=endpoint.port or 80, help="0 takes a free one"
        )
        parser.add_argument(
            "--delivery-seconds",
            type=float,
            default=1.0,
            help="how long after Send the other events of a mail are published",
        )

    def handle(self, *, host: str, port: int, delivery_seconds: float, **options: Any) -> None:
        """Say the address when it answers, then answer."""
        _refuse_production(host)
        listener = _listen(host, port)
        url = f"http://{host}:{listener.getsockname()[1]}"
        post_office = PostOffice(
            verified=settings.SANDBOX_VERIFIED, sandbox_rules=settings.SANDBOX_RULES, url=url
        )
        app = LocalAws(post_office, delivery_seconds=delivery_seconds)
        self._answer_dns(host, listener.getsockname()[1], post_office)
        self.stdout.write(f"Local AWS at {url}")
        self.stdout.flush()
        serve(listener, app)
        self.stdout.write("Local AWS stopped")

    def _answer_dns(self, host: str, port: int, post_office: PostOffice) -> None:
        """Answer DNS queries by UDP at the same port, for DNS_RESOLVER; only the check of DNS records needs it."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_DGRAM)
        try:
            listener.bind((host, port))
        except OSError as exc:
            listener.close()
            self.stderr.write(f"No DNS at {host}:{port}: {exc.strerror}")
            return
        answers = name_server.of_post_office(post_office, region=settings.AWS_REGION)
        threading.Thread(
            target=name_server.serve, args=(listener, answers), name="dns", daemon=True
        ).start()


def _refuse_production(host: str) -> None:
    if not (settings.DEBUG and settings.SANDBOX):
        raise CommandError("The local AWS is for development: it needs DEBUG=on and SANDBOX=on.")
    if host != "localhost" and not _is_loopback(host):
        raise CommandError(f"The local AWS listens to this machine only, not on {host}.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as exc:
        raise CommandError(
            f"Cannot listen on {host}:{port}: {exc.strerror}. If another local AWS runs there, stop it or "
            "give a free port in AWS_ENDPOINT_URL."
        ) from exc
