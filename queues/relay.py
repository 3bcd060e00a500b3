"""Publish what the outbox holds."""

from __future__ import annotations


def publish_now(pk: int) -> None:
    """Placeholder until the relay lands in this session."""
