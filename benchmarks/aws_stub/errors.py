"""Errors that an action may end with instead of an answer.

StubError
├── AwsError    an error as AWS words it
└── Cut         the connection is closed without an answer
"""

from __future__ import annotations


class StubError(Exception):
    """The base."""


class AwsError(StubError):
    """Code, text and HTTP status as the SDK reads them."""

    def __init__(self, code: str, text: str, *, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


class Cut(StubError):
    """The caller cannot know what became of its request."""
