"""Provide ``manage.py issue_token``: a token for the API in development, as Cognito would issue it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.api import local_tokens
from orders.api.auth import READ_TRANSACTIONS, WRITE_TRANSACTIONS


class Command(BaseCommand):
    """Print one token and nothing else, so that a shell can store it."""

    help = "Print a token for the JSON API of this machine, to place orders; with --scope, to use the bank."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options: whose token it is, and what it may do."""
        parser.add_argument(
            "email", help="the address of the token's user, for example ada@example.com"
        )
        parser.add_argument("--name", default="", help="the customer's name")
        parser.add_argument(
            "--scope",
            action="append",
            choices=[READ_TRANSACTIONS, WRITE_TRANSACTIONS],
            help="an access token with this scope instead of an ID token; may be given twice",
        )
        parser.add_argument("--minutes", type=float, default=60, help="how long it is valid")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token; refuse where Cognito issues tokens."""
        if not settings.API_LOCAL_KEY:
            raise CommandError(
                "There is no key to sign with. In development, set API_LOCAL_KEY; in production Cognito issues tokens."
            )
        scopes = options["scope"] or []
        token = local_tokens.issue(
            email=options["email"],
            name=options["name"],
            use="access" if scopes else "id",
            scopes=scopes,
            minutes=options["minutes"],
        )
        self.stdout.write(token)
