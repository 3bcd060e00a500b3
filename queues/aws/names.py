"""Read the names, URLs and ARNs by which settings and AWS name queues and topics.

Sources: SQS developer guide, "Queue and message identifiers"; API references of SQS, "CreateQueue", and of SNS,
"CreateTopic": the characters and lengths of names; AWS General Reference, "Amazon SQS endpoints": FIPS, dual-stack and
legacy hosts; VPC guide, "Interface endpoints": hosts of PrivateLink. botocore's ``endpoints.json`` has the hosts of all
partitions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_REGION = r"[a-z]{2,4}(?:-[a-z]+)+-\d+"
_ACCOUNT = r"\d{12}"
_HOST = re.compile(rf"(?:^|\.)sqs(?:-fips)?\.({_REGION})\.|^({_REGION})\.queue\.")
# The oldest host of all, of the region us-east-1.
_FIRST_HOST = "queue.amazonaws.com"
_IS_REGION = re.compile(_REGION)
_IS_ACCOUNT = re.compile(_ACCOUNT)
_ARN = re.compile(rf"arn:aws[a-z-]*:(sns|sqs):({_REGION}):({_ACCOUNT}):(.+)")
_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")


@dataclass(frozen=True)
class AwsName:
    """What a name, URL or ARN says; ``region`` and ``account`` are empty where it does not say them."""

    name: str
    region: str = ""
    account: str = ""

    def is_at(self, other: AwsName) -> bool:
        """True if both may be the same queue: the names are equal, and nothing that both say differs."""
        return self.name == other.name and all(
            not ours or not theirs or ours == theirs
            for ours, theirs in ((self.region, other.region), (self.account, other.account))
        )


def read(text: str) -> AwsName:
    """Take apart a name, the URL of a queue, or the ARN of a queue or topic. It checks nothing."""
    if text.startswith("arn:"):
        parts = text.split(":", 5)
        return AwsName(parts[-1], *parts[3:5]) if len(parts) == 6 else AwsName(text)
    if "://" not in text:
        return AwsName(text)
    path = text.split("?")[0].rstrip("/").split("/")
    account = path[-2] if _IS_ACCOUNT.fullmatch(path[-2]) else ""
    return AwsName(path[-1], _region_of(text), account)


def beside(text: str, name: str) -> str:
    """Return the name or URL of another queue at the same place: same host, region and account."""
    if "://" not in text:
        return name
    return f"{text.rstrip('/').rpartition('/')[0]}/{name}"


def is_region(text: str) -> bool:
    """True for what has the form of a region: eu-west-1, us-gov-east-1."""
    return _IS_REGION.fullmatch(text) is not None


def is_queue(text: str) -> bool:
    """True for a queue's name or URL with which requests can be made; an ARN is none, nor is a URL that goes on."""
    if "://" not in text:
        return _QUEUE.fullmatch(text) is not None
    try:
        url = urlsplit(text)
        is_http = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    name = url.path.rpartition("/")[2]
    return is_http and text.endswith(f"/{name}") and _QUEUE.fullmatch(name) is not None


def is_topic(text: str) -> bool:
    """True for a topic's name or ARN."""
    return _TOPIC.fullmatch(text) is not None or is_topic_arn(text)


def is_topic_arn(text: str) -> bool:
    """True for the ARN of a topic."""
    found = _ARN.fullmatch(text)
    return found is not None and found[1] == "sns" and _TOPIC.fullmatch(found[4]) is not None


def _region_of(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    found = _HOST.search(host)
    if found:
        return str(found[1] or found[2])
    return "us-east-1" if host == _FIRST_HOST else ""
