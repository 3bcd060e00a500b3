"""The one place where moto is changed: its backends and its APIs are replaced by ours."""

from __future__ import annotations

from functools import partial

from moto.ses import urls as ses_urls
from moto.ses.models import ses_backends
from moto.sesv2 import urls as sesv2_urls
from moto.sns import models as sns_models
from moto.sqs import models as sqs_models

from sandbox.ses.api_v1 import SesApi
from sandbox.ses.api_v2 import SesV2Api
from sandbox.ses.backend import SandboxSES
from sandbox.ses.post_office import PostOffice
from sandbox.sns import SandboxSubscription, SandboxTopic
from sandbox.sqs import SandboxQueue, SandboxSQS

# Actions of version 2 that moto does not have.
_NEW_PATHS = (
    "{0}/v2/email/account$",
    "{0}/v2/email/suppression/addresses$",
    "{0}/v2/email/suppression/addresses/(?P<EmailAddress>[^/]+)$",
    "{0}/v2/email/identities/(?P<EmailIdentity>[^/]+)/mail-from$",
    "{0}/v2/email/configuration-sets/(?P<ConfigurationSetName>[^/]+)/event-destinations$",
    "{0}/v2/email/configuration-sets/(?P<ConfigurationSetName>[^/]+)/event-destinations/(?P<Name>[^/]+)$",
)


def apply(post_office: PostOffice, *, delivery_seconds: float) -> None:
    """Fix moto for the rest of this process, before its first request."""
    sqs_models.Queue = SandboxQueue
    sqs_models.sqs_backends.backend = SandboxSQS
    sns_models.Topic, sns_models.Subscription = SandboxTopic, SandboxSubscription
    ses_backends.backend = partial(
        SandboxSES, post_office=post_office, delivery_seconds=delivery_seconds
    )
    ses_urls.url_paths = dict.fromkeys(ses_urls.url_paths, SesApi.dispatch)
    sesv2_urls.url_paths = dict.fromkeys([*sesv2_urls.url_paths, *_NEW_PATHS], SesV2Api.dispatch)
