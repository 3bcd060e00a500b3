"""Serve ``/ses/events/``, where SNS posts SES's events over HTTPS if they cannot be read from a queue.

The queue is better: SNS retries a webhook for an hour, a queue for weeks. Both call ``feedback.take``.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from emails.errors import CertificateUnavailable, Untrusted
from emails.reports import feedback, sns_signature
from emails.ses import provisioning
from queues.errors import QueueUnavailable, Reject

logger = logging.getLogger(__name__)

# The largest message that SNS carries.
MAX_BYTES = 256 * 1024


@csrf_exempt
@require_POST
def ses_events(request: HttpRequest) -> HttpResponse:
    """Take one SNS message. A 4xx answer rejects it for good; after a 5xx SNS tries again."""
    if not settings.SES_WEBHOOK_TOPICS:
        raise Http404("SES_WEBHOOK_TOPICS names no topic")
    body = request.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        return _answer("too large", 413)
    try:
        _take(sns_signature.read(body))
    except Untrusted as exc:
        # The content is not logged: anybody may have written it.
        logger.warning("webhook refused a message: %s", exc)
        return _answer("refused", 403)
    except Reject as exc:
        logger.error("webhook rejected a message that SES cannot have sent: %s", exc)
        return _answer("not an SES event", 400)
    except (CertificateUnavailable, QueueUnavailable) as exc:
        logger.error("webhook cannot take a message now: %s", exc)
        return _answer("try again", 503)
    return _answer("taken", 200)


def _take(message: sns_signature.SnsMessage) -> None:
    match message.kind:
        case "Notification":
            feedback.take(message.message)
        case "SubscriptionConfirmation":
            # Confirm through the API: a URL from a message is never opened.
            provisioning.confirm_subscription(message.topic, message.token or "")
            logger.warning("webhook subscribed to %s", message.topic)
        case _:
            logger.error("somebody ended the webhook's subscription to %s", message.topic)


def _answer(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain")
