"""The outbox: ``record`` saves an event in the caller's transaction, and the relay publishes it."""

from queues.outbox.recording import record

__all__ = ["record"]
