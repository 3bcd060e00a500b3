"""Amazon SQS: receive events, and send them if no topic is in between.

Sources: the SQS API reference and developer guide. Batches hold at most ten entries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
from django.conf import settings

from queues import characters
from queues.aws import clients, lean_fit, lean_requests, names, received
from queues.aws.early_answers import EarlyAnswers
from queues.aws.failures import error_codes
from queues.aws.lean_requests import Service
from queues.aws.lean_sqs import LeanClient
from queues.aws.received import Received as Received
from queues.errors import QueueUnavailable, ReceiptExpired

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

BATCH_ENTRIES = 10
# A queue may still have the older limit of 256 KiB for a whole batch.
BATCH_BYTES = 256 * 1024
# The event_id attribute of a redriven message that is no envelope: an SQS attribute must not be empty.
NO_EVENT = "none"
# SQS refuses more than twelve hours.
MAX_HIDE_SECONDS = 43_200

_RESULTS = ("Successful", "Failed")
_EXPIRED = {
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
}


# SQS gives every attribute as a text.
_NUMBERS = {"DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "VisibilityTimeout"}


@dataclass(frozen=True)
class Outgoing:
    """A message to send; ``key`` is the caller's own name for it, unique within a batch."""

    key: str
    body: str
    group: str = ""
    deduplication_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unsent:
    """The reason why SQS did not take an entry of a batch; ``refused`` means that it never will."""

    reason: str
    refused: bool


@dataclass(frozen=True)
class Depth:
    """SQS's approximate numbers of messages in a queue."""

    visible: int
    in_flight: int
    delayed: int


class Queue:
    """An SQS queue. Every method raises QueueUnavailable (or QueueMissing) if the call to AWS fails."""

    def __init__(self, alias: str, name_or_url: str) -> None:
        self.alias = alias
        self.named = name_or_url
        self.name = names.read(name_or_url).name
        self._url = name_or_url if "://" in name_or_url else ""
        self._early = EarlyAnswers()

    def __repr__(self) -> str:
        return f"<Queue {self.alias} {self.name}>"

    @property
    def is_fifo(self) -> bool:
        """True for a FIFO queue; SQS, too, knows it by the name's ending."""
        return self.name.endswith(".fifo")

    @property
    def place(self) -> names.AwsName:
        """Where settings say that the queue is; SQS is not asked. A name alone is looked up in AWS_REGION."""
        place = names.read(self.named)
        return place if "://" in self.named else replace(place, region=settings.AWS_REGION)

    @property
    def url(self) -> str:
        """The queue's URL; SQS is asked once. Raises QueueMissing."""
        return self._asked_url(hurried=False)

    def send_batch(
        self, messages: Sequence[Outgoing], *, hurried: bool = False
    ) -> tuple[dict[str, str], dict[str, Unsent]]:
        """Send up to ten messages; returns SQS ids and failures, both by key.

        ``hurried`` gives up after one try of at most three seconds. After an error the messages may still have arrived.
        """
        entries = [self._entry(number, message) for number, message in enumerate(messages)]
        with _translated(self.name):
            answer = client(hurried=hurried).send_message_batch(QueueUrl=self.url, Entries=entries)
            return by_key(messages, answer)

    def receive(self, *, limit: int, wait_seconds: int) -> list[Received]:
        """Receive up to ten messages and hide them for QUEUE_VISIBILITY_SECONDS; waits for the first one.

        Raises QueueUnavailable also for an answer that SQS never gives: unreadable, or empty at once again and again.
        """
        most = min(limit, BATCH_ENTRIES)
        began = time.monotonic()
        with _translated(self.name):
            answer = client().receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=settings.QUEUE_VISIBILITY_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            messages = received.read(answer, limit=most, queue=self.alias)
        if not messages and self._early.is_strange(time.monotonic() - began, wait_seconds):
            raise QueueUnavailable(
                f"{self.name}: empty answers come at once, {wait_seconds} s were asked for",
                code=clients.UNREADABLE,
            )
        if messages:
            self._early.end()
        return messages

    def delete_batch(self, messages: Sequence[Received]) -> list[Received]:
        """Delete up to ten messages; returns those that SQS did not delete, which will come again."""
        entries: Any = [
            {"Id": str(number), "ReceiptHandle": message.receipt}
            for number, message in enumerate(messages)
        ]
        with _translated(self.name):
            answer = client().delete_message_batch(QueueUrl=self.url, Entries=entries)
            deleted, _ = _entries(messages, answer)
        return [message for number, message in enumerate(messages) if number not in deleted]

    def hide(self, message: Received, *, seconds: int) -> None:
        """Let the message come back ``seconds`` from now, 0 is at once; raises ReceiptExpired."""
        with _translated(self.name):
            client().change_message_visibility(
                QueueUrl=self.url,
                ReceiptHandle=message.receipt,
                VisibilityTimeout=min(seconds, MAX_HIDE_SECONDS),
            )

    def give_back(self, message: Received) -> None:
        """Give back a message that was not worked on, so that a consumer gets it at once; raises ReceiptExpired."""
        self.hide(message, seconds=0)

    def hide_batch(self, messages: Sequence[Received], *, seconds: int) -> None:
        """Hide any number of messages for ``seconds``; those whose receipt has expired are skipped."""
        for start in range(0, len(messages), BATCH_ENTRIES):
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": seconds}
                for number, message in enumerate(messages[start : start + BATCH_ENTRIES])
            ]
            with _translated(self.name):
                answer = client().change_message_visibility_batch(
                    QueueUrl=self.url, Entries=entries
                )
                _entries(entries, answer)

    def depth(self) -> Depth:
        """Ask SQS how many messages the queue holds, roughly."""
        found = self.attributes()
        # A queue of which SQS tells nothing is not an empty one.
        with _translated(self.name):
            return Depth(
                visible=int(found["ApproximateNumberOfMessages"]),
                in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
                delayed=int(found.get("ApproximateNumberOfMessagesDelayed", 0)),
            )

    def create(self, attributes: Mapping[str, str]) -> None:
        """Create the queue."""
        with _translated(self.name):
            answer = client().create_queue(
                QueueName=self.name,
                Attributes=dict(attributes),  # type: ignore[arg-type]  # literals
            )
            self._url = received.text(answer["QueueUrl"], "QueueUrl")

    def remove(self) -> None:
        """Delete the queue with all its messages; only for temporary queues."""
        with _translated(self.name):
            client().delete_queue(QueueUrl=self.url)

    def attributes(self, *, hurried: bool = False) -> dict[str, str]:
        """Return all attributes; raises QueueMissing. ``hurried`` makes one try of at most three seconds a call."""
        url = self._asked_url(hurried=hurried)
        with _translated(self.name):
            answer = client(hurried=hurried).get_queue_attributes(
                QueueUrl=url, AttributeNames=["All"]
            )
            return {
                str(name): _checked(name, value) for name, value in answer["Attributes"].items()
            }

    def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Change the given attributes and no others."""
        with _translated(self.name):
            client().set_queue_attributes(
                QueueUrl=self.url,
                Attributes=dict(attributes),  # type: ignore[arg-type]  # literals
            )

    def _asked_url(self, *, hurried: bool) -> str:
        if not self._url:
            with _translated(self.name):
                found = client(hurried=hurried).get_queue_url(QueueName=self.name)
                self._url = received.text(found["QueueUrl"], "QueueUrl")
        return self._url

    def _entry(self, number: int, message: Outgoing) -> Any:
        entry: dict[str, Any] = {
            "Id": str(number),
            "MessageBody": message.body,
            "MessageAttributes": attributes_of(message),
        }
        if message.group:
            entry["MessageGroupId"] = message.group
        if self.is_fifo:
            entry["MessageDeduplicationId"] = message.deduplication_id
        return entry


def queue(alias: str) -> Queue:
    """Return the queue that settings name for this alias."""
    return _queue(alias, settings.QUEUES[alias])


def dead_letter_queue(alias: str) -> Queue:
    """Return the alias's dead-letter queue: the queue's name with ``-dlq``, in the same region and account."""
    source = queue(alias)
    return _queue(alias, names.beside(source.named, _dead_letter_name(source.name)))


def archive_queue() -> Queue | None:
    """Return the queue that gets every event for the archive; None if settings name none."""
    return _queue("archive", settings.ARCHIVE_QUEUE) if settings.ARCHIVE_QUEUE else None


def queues(aliases: Iterable[str] = ()) -> list[Queue]:
    """Return the queues of these aliases; all queues if none is given."""
    return [queue(alias) for alias in (aliases or settings.QUEUES)]


def urls(prefix: str) -> list[str]:
    """List the URLs of up to a thousand queues whose names begin with ``prefix``; raises QueueUnavailable.

    SQS looks in this account and region only.
    """
    with _translated(prefix):
        return client().list_queues(QueueNamePrefix=prefix, MaxResults=1000).get("QueueUrls", [])


def client(*, hurried: bool = False) -> SQSClient:
    """Return the SQS client that all threads of this process share."""
    with clients.making:
        return _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL, settings.SQS_CLIENT, hurried)


def batches(messages: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Cut messages into batches that SQS takes: at most ten entries and 256 KiB."""
    batch: list[Outgoing] = []
    size = 0
    for message in messages:
        bytes_more = len(message.body.encode()) + 1024
        if batch and (len(batch) == BATCH_ENTRIES or size + bytes_more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += bytes_more
    if batch:
        yield batch


def by_key(messages: Sequence[Outgoing], answer: Any) -> tuple[dict[str, str], dict[str, Unsent]]:
    """Map the answer to a batch, whose entries were numbered, to AWS's ids and failures by the messages' keys.

    Raises one of ``clients.ODD`` for an answer that AWS never gives; then nobody knows what was sent.
    """
    taken, rejected = _entries(messages, answer)
    sent = {
        messages[number].key: received.text(ok["MessageId"], "MessageId")
        for number, ok in taken.items()
    }
    failed = {
        messages[number].key: Unsent(
            f"{error.get('Code', '')}: {error.get('Message', '')}",
            # Anything but a plain true might be a no: an event is refused for good only if SQS says so.
            error.get("SenderFault") is True
            and error_codes.blames_the_message(str(error.get("Code", ""))),
        )
        for number, error in rejected.items()
    }
    return sent, failed


def attributes_of(message: Outgoing) -> dict[str, Any]:
    """Return the message's attributes in AWS's form, without empty ones and characters, which AWS rejects."""
    return {
        name: {"DataType": "String", "StringValue": characters.replaced(value)}
        for name, value in message.attributes.items()
        if value
    }


def _entries(
    batch: Sequence[object], answer: Any
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """Return the entries that AWS took, and those that it did not, by their numbers.

    A number that was not sent, or that comes twice, makes the whole answer worthless: raises one of
    ``clients.ODD``.
    """
    found = [{int(entry["Id"]): entry for entry in answer.get(name) or []} for name in _RESULTS]
    count = sum(len(answer.get(name) or []) for name in _RESULTS)
    if len(found[0] | found[1]) < count:
        raise clients.Unreadable("an entry is answered twice")
    if not (found[0] | found[1]).keys() <= set(range(len(batch))):
        raise clients.Unreadable("an entry is answered that was not sent")
    return found[0], found[1]


@cache
def _queue(alias: str, name_or_url: str) -> Queue:
    return Queue(alias, name_or_url)


@clients.remembered
def _client(region: str, endpoint: str | None, kind: str, hurried: bool) -> SQSClient:
    # Repeating a call to SQS is harmless: a duplicate message meets the claim on the notification.
    config: Any = clients.config(hurried=hurried)
    boto3_client = clients.session().client(
        "sqs", region_name=region, endpoint_url=endpoint, config=config
    )
    boto3_client.meta.events.register("after-call.sqs", _require_json)
    if kind != "lean":
        return boto3_client
    return lean_or(boto3_client, tries=config.retries["total_max_attempts"])


def _require_json(http_response: Any, **kwargs: Any) -> None:
    """Raise ResponseParserError for an answer that is no JSON object: botocore takes a web page for an empty answer."""
    if http_response.status_code < 300:
        lean_requests.json_object(http_response.status_code, http_response.content)


def lean_or(client: SQSClient, *, tries: int) -> SQSClient:
    """Return a lean client, or boto3's own where only that can make the calls."""
    endpoint = lean_fit.endpoint(client, "receive_message", tries=tries, QueueUrl="https://sqs/1/q")
    if endpoint is None:
        return client
    return cast("SQSClient", LeanClient(client, Service(endpoint), tries=tries))


def _checked(name: str, value: object) -> str:
    """Return an attribute of a queue as SQS gives them; raises TypeError or ValueError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    if name in _NUMBERS or name.startswith("ApproximateNumber"):
        int(value)
    return value


def _dead_letter_name(name: str) -> str:
    return f"{name.removesuffix('.fifo')}-dlq{'.fifo' if name.endswith('.fifo') else ''}"


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn botocore's errors into ReceiptExpired, QueueMissing or QueueUnavailable."""
    with clients.translated(name, kind="queue"):
        try:
            yield
        except ClientError as exc:
            code, text = clients.described(exc)
            if code in _EXPIRED or (code == "InvalidParameterValue" and "eceipt" in text):
                raise ReceiptExpired(text) from exc
            raise
