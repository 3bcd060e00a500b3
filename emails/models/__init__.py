"""The tables of this app: notifications, templates, SES's reports, identities, suppressions, and the account."""

from emails.models.account import Breaker, EventChannel, SenderCheck, SendRate
from emails.models.canaries import Canary, CanaryEmail
from emails.models.identities import Brand, Identity, IdentityStatus, SesAnswer
from emails.models.notifications import Attempt, DeliveryEvent, Notification, NotificationQuerySet
from emails.models.rehearsals import Rehearsal, RehearsalCase, RehearsalQuerySet
from emails.models.reputation import Guard, Incident
from emails.models.suppressions import (
    Suppression,
    SuppressionImport,
    SuppressionQuerySet,
    SuppressionSync,
)
from emails.models.templates import Edition, EmailTemplate, TemplateDraft, TemplateVersion

__all__ = [
    "Brand",
    "Attempt",
    "Breaker",
    "Canary",
    "CanaryEmail",
    "DeliveryEvent",
    "Edition",
    "EmailTemplate",
    "EventChannel",
    "Guard",
    "Identity",
    "IdentityStatus",
    "Incident",
    "Notification",
    "NotificationQuerySet",
    "Rehearsal",
    "RehearsalCase",
    "RehearsalQuerySet",
    "SendRate",
    "SenderCheck",
    "SesAnswer",
    "Suppression",
    "SuppressionImport",
    "SuppressionQuerySet",
    "SuppressionSync",
    "TemplateDraft",
    "TemplateVersion",
]
