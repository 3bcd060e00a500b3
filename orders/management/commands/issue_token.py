"""``manage.py issue_token``: a token for the API on a machine of one's own, as Cognito would issue it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.api import local_tokens
from orders.api.auth import READ_TRANSACTIONS, WRITE_TRANSACTIONS


class Command(BaseCommand):
    """Print one token and nothing else, so that a shell can keep it."""

    help = "Print a token for the JSON API of this machine: to place orders, or with --scope for the bank."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose it is, and what it may do."""
        parser.add_argument("email", help="whose token it is, for example ada@example.com")
        parser.add_argument("--name", default="", help="how the customer is called")
        parser.add_argument(
            "--scope",
            action="append",
            choices=[READ_TRANSACTIONS, WRITE_TRANSACTIONS],
            help="an access token with this scope instead of an ID token; may be given twice",
        )
        parser.add_argument("--minutes", type=float, default=60, help="how long it is valid")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse where tokens are Cognito's."""
        if not settings.API_LOCAL_KEY:
            raise CommandError(
                "There is no key to sign with: set API_LOCAL_KEY, in development. In production Cognito issues tokens."
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
