"""What the answer to a request says to whoever made it."""

from __future__ import annotations

from typing import Any

from django.contrib.messages import get_messages


def said(response: Any) -> str:
    """The messages that the next page shows, as one text."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))
