"""What a checkup does, whoever carries it out: the doctor's examinations, or a round trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from notifier import probing
from queues.doctor import findings
from queues.doctor.findings import Verdict
from queues.doctor.roundtrip import Step
from queues.doctor.runs import Results


def examine(arguments: Mapping[str, Any], say: Results) -> str:
    """``send``: whether to send a bounce as well. Each result is a Finding."""
    found = []
    for finding in findings.examine(send=arguments.get("send", False)):
        found.append(finding)
        say(asdict(finding))
    return findings.worst(found)


def roundtrip(arguments: Mapping[str, Any], say: Results) -> str:
    """``alias`` and perhaps ``email``. Each result is a Step."""

    def tell(step: Step) -> None:
        say(asdict(step))

    is_well = probing.trip(arguments["alias"], tell)
    if is_well and arguments.get("email"):
        is_well = probing.send_email(arguments["email"], tell)
    return Verdict.GOOD if is_well else Verdict.ERROR
