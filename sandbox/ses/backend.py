"""moto's SES, corrected: the sandbox's rule, and events for what was sent."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ses import urls
from moto.ses.exceptions import SesError
from moto.ses.models import SESBackend, SESQuota
from moto.sns.models import sns_backends

from sandbox.errors import Refused, UnknownConfigurationSet
from sandbox.ses import feedback, tracking
from sandbox.ses.mailbox import Mail
from sandbox.ses.post_office import PostOffice
from sandbox.ses.statistics import COUNTED, Statistics

logger = logging.getLogger(__name__)

# AWS publishes this to a topic when an event destination is made: a message that is no event.
VALIDATION_TEXT = "Successfully validated SNS topic for Amazon SES event publishing."
SUBJECT = "Amazon SES Email Event Notification"


@dataclass(frozen=True)
class EventDestination:
    """One destination of a configuration set: which events go to which topic. Types are written as in SES version 1."""

    name: str
    event_types: tuple[str, ...]
    topic_arn: str
    enabled: bool


class SandboxSES(SESBackend):  # type: ignore[misc]  # moto is untyped here
    """The SES of one region. ``destinations`` maps configuration set and name to an event destination."""

    _url_module = urls

    def __init__(
        self, region_name: str, account_id: str, *, post_office: PostOffice, delivery_seconds: float
    ) -> None:
        super().__init__(region_name, account_id)
        self.post_office = post_office
        self.delivery_seconds = delivery_seconds
        self.destinations: dict[str, dict[str, EventDestination]] = {}
        self.statistics = Statistics()

    def reset(self) -> None:
        """moto's own reset would call ``__init__`` with region and account alone."""
        self.__init__(  # type: ignore[misc]  # as moto does
            self.region_name,
            self.account_id,
            post_office=self.post_office,
            delivery_seconds=self.delivery_seconds,
        )

    def submit(self, mail: Mail) -> str:
        """Accept the mail and publish its events; returns its id, raises Refused."""
        mail = replace(mail, tracked=self._tracked(mail.configuration_set), region=self.region_name)
        try:
            if mail.configuration_set:
                self.check_configuration_set(mail.configuration_set)
            self.post_office.accept(mail, region=self.region_name)
        except Refused:
            self.rejected_messages_count += 1
            self.statistics.count("Rejects")
            raise
        self.sent_message_count += len(mail.recipients)
        self._count(mail)
        if self.destinations.get(mail.configuration_set) or self._identity_topics(mail):
            threading.Thread(target=self._report, args=(mail,), daemon=True).start()
        return mail.id

    def check_configuration_set(self, name: str) -> None:
        """Raises UnknownConfigurationSet."""
        if name not in self.config_sets:
            raise UnknownConfigurationSet(f"Configuration set <{name}> does not exist.")

    def destinations_of(self, configuration_set: str) -> dict[str, EventDestination]:
        """Return the set's event destinations by name; raises UnknownConfigurationSet."""
        self.check_configuration_set(configuration_set)
        return self.destinations.setdefault(configuration_set, {})

    def put_destination(self, configuration_set: str, destination: EventDestination) -> None:
        """Store the destination and validate its topic, as AWS does."""
        destinations = self.destinations_of(configuration_set)
        topic_arn = destination.topic_arn
        if topic_arn and topic_arn not in sns_backends[self.account_id][self.region_name].topics:
            raise SesError("InvalidSNSDestination", f"SNS topic <{topic_arn}> not found.")
        destinations[destination.name] = destination
        if topic_arn:
            self._publish(topic_arn, VALIDATION_TEXT)

    def delete_configuration_set(self, configuration_set_name: str) -> None:
        """Delete the set with its event destinations."""
        self.check_configuration_set(configuration_set_name)
        self.destinations.pop(configuration_set_name, None)
        super().delete_configuration_set(configuration_set_name)

    def get_send_quota(self) -> SESQuota:
        """Return the quota of a small production account: with a sandbox account.s 200 a day trials would soon end."""
        quota = super().get_send_quota()
        quota.max24_hour_send, quota.max_send_rate = 50_000, 14
        return quota

    def _is_verified_address(self, source: str) -> bool:
        return self.post_office.identities.covers(Mail(b"", given_source=source).sender)

    def __process_sns_feedback__(self, source: str, destinations: Any) -> None:
        """moto's canned feedback has neither real ids nor real dates: off."""

    def _count(self, mail: Mail) -> None:
        self.statistics.count("DeliveryAttempts", len(mail.recipients))
        for record in feedback.outcomes(mail, region=self.region_name):
            if record["eventType"] in COUNTED:
                self.statistics.count(COUNTED[record["eventType"]])

    def set_identity_notification_topic(
        self, identity: str, notification_type: str, sns_topic: str | None
    ) -> None:
        """Store the topic and tell it so, as AWS does."""
        super().set_identity_notification_topic(identity, notification_type, sns_topic)
        if sns_topic:
            text = f"Your Amazon SNS topic gets {notification_type} notifications of {identity}."
            kind = {"notificationType": "AmazonSnsSubscriptionSucceeded", "message": text}
            self._publish(sns_topic, json.dumps(kind))

    def _identity_topics(self, mail: Mail) -> dict[str, str]:
        """Kind of notification to topic; an address that has none goes by its domain's."""
        domain = mail.sender.rpartition("@")[2]
        found: dict[str, str] = self.sns_topics.get(mail.sender) or self.sns_topics.get(domain, {})
        return found

    def _tracked(self, configuration_set: str) -> frozenset[str]:
        wanted = {
            event_type
            for destination in self.destinations.get(configuration_set, {}).values()
            if destination.enabled
            for event_type in destination.event_types
        }
        return frozenset({tracking.OPEN, tracking.CLICK} & wanted)

    def _report(self, mail: Mail) -> None:
        self.publish_record(mail, feedback.sent(mail, region=self.region_name))
        time.sleep(self.delivery_seconds)
        listed = self.post_office.suppressed
        for record in feedback.outcomes(mail, region=self.region_name, listed=listed):
            self.publish_record(mail, record)

    def publish_record(self, mail: Mail, record: feedback.Record) -> None:
        """Tell whoever asked for this kind of event."""
        event_type = record["eventType"].lower()
        for destination in list(self.destinations.get(mail.configuration_set, {}).values()):
            if destination.enabled and event_type in destination.event_types:
                self._publish(destination.topic_arn, json.dumps(record))
        if topic := self._identity_topics(mail).get(record["eventType"]):
            self._publish(topic, json.dumps(feedback.of_identity(record)))

    def _publish(self, topic_arn: str, message: str) -> None:
        topics = sns_backends[self.account_id][self.region_name]
        try:
            topics.publish(message, arn=topic_arn, subject=SUBJECT)
        except ServiceException as exc:
            logger.warning("event not published topic=%s: %s", topic_arn, exc)
