"""Replace boto3's SQS client by a leaner one for the calls that every message costs.

Source: Amazon SQS API reference, "Making requests using the AWS JSON protocol".
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.parsers import JSONParser

from queues.aws import lean_requests
from queues.aws.failures import error_codes
from queues.aws.failures.meanings import Meaning
from queues.aws.lean_requests import Service

_BROKEN = (ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError)


class LeanClient:
    """An SQS client that makes the calls for messages through ``service``, and all others through ``boto3``.

    It makes up to ``tries`` calls if the connection broke, or AWS throttled or failed. Repeating a call to SQS is
    harmless.
    """

    def __init__(self, boto3: Any, service: Service, *, tries: int) -> None:
        self._boto3 = boto3
        self._service = service
        self._tries = tries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._boto3, name)

    def send_message_batch(self, **parameters: Any) -> dict[str, Any]:
        """Send up to ten messages; parameters and answer are boto3's."""
        return self._call("SendMessageBatch", parameters)

    def receive_message(self, **parameters: Any) -> dict[str, Any]:
        """Receive messages; parameters and answer are boto3's."""
        return self._call("ReceiveMessage", parameters)

    def delete_message_batch(self, **parameters: Any) -> dict[str, Any]:
        """Delete up to ten messages; parameters and answer are boto3's."""
        return self._call("DeleteMessageBatch", parameters)

    def change_message_visibility(self, **parameters: Any) -> dict[str, Any]:
        """Change how long a message is hidden; parameters and answer are boto3's."""
        return self._call("ChangeMessageVisibility", parameters)

    def change_message_visibility_batch(self, **parameters: Any) -> dict[str, Any]:
        """Change how long up to ten messages are hidden; parameters and answer are boto3's."""
        return self._call("ChangeMessageVisibilityBatch", parameters)

    def _call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(parameters).encode()
        for number in range(1, self._tries):
            try:
                return self._call_once(operation, body)
            except _BROKEN:
                pass
            except ClientError as exc:
                if not _may_heal(exc):
                    raise
            time.sleep(random.uniform(0, 0.25 * 2**number))  # noqa: S311  # no secret
        return self._call_once(operation, body)

    def _call_once(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"AmazonSQS.{operation}",
        }
        answer = self._service.post(body, headers)
        if answer.status >= 301:
            raise answer.error(JSONParser(), operation)
        return lean_requests.json_object(answer.status, answer.content)


def _may_heal(exc: ClientError) -> bool:
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = exc.response.get("Error", {}).get("Code", "")
    return status >= 500 or error_codes.meaning(code) is Meaning.THROTTLED
