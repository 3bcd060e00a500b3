"""The tables of this app: notifications, SES's reports about them, identities, suppressions, and the account."""

from emails.models.account import Breaker, EventChannel, SenderCheck, SendRate
from emails.models.identities import Brand, Identity, IdentityStatus, SesAnswer
from emails.models.notifications import Attempt, DeliveryEvent, Notification, NotificationQuerySet
from emails.models.reputation import Guard, Incident
from emails.models.suppressions import (
    Suppression,
    SuppressionImport,
    SuppressionQuerySet,
    SuppressionSync,
)

__all__ = [
    "Brand",
    "Attempt",
    "Breaker",
    "DeliveryEvent",
    "EventChannel",
    "Guard",
    "Identity",
    "IdentityStatus",
    "Incident",
    "Notification",
    "NotificationQuerySet",
    "SendRate",
    "SenderCheck",
    "SesAnswer",
    "Suppression",
    "SuppressionImport",
    "SuppressionQuerySet",
    "SuppressionSync",
]
