"""The same pages by both versions of SES's API, against the local AWS."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.urls import reverse

from emails.errors import IdentityError, NoSuchIdentity
from emails.identities import identities, status_history
from emails.models.identities import IdentityStatus
from emails.ses import account, default_sender, ses_api
from tests.support.responses import said

pytestmark = [pytest.mark.django_db, pytest.mark.processes]

LIST = reverse("admin:emails_identity_changelist")
VERIFY = reverse("admin:emails_identity_verify")
MAIL_FROM = reverse("admin:emails_identity_mail_from")


@pytest.fixture(params=[False, True], ids=["v1", "v2"], autouse=True)
def version(request, settings, local_aws):
    settings.AWS_ENDPOINT_URL = settings.AWS_SES_REGION_ENDPOINT_URL = local_aws.endpoint
    settings.DNS_RESOLVER = local_aws.endpoint.removeprefix("http://")
    settings.USE_SES_V2 = request.param


def new_domain() -> str:
    return f"d{uuid.uuid4().hex[:12]}.example"


def page_of(client: Any, name: str) -> str:
    response = client.get(reverse("admin:emails_identity_change", args=[quote(name)]))
    assert response.status_code == 200
    return str(response.content.decode())


def test_an_address_is_pending_until_its_link_is_opened(admin_client, local_aws):
    address = f"{uuid.uuid4().hex}@example.net"

    admin_client.post(VERIFY, {"name": address})
    assert "Follow the link in the email" in admin_client.get(LIST).content.decode()
    assert identities.get(address)[0].status == "Pending"

    local_aws.verify(address)
    assert status_history.look() >= 1
    seen = IdentityStatus.objects.get(pk=address)
    assert (seen.status, seen.is_witnessed) == ("Success", True)


def test_the_link_is_sent_again(admin_client, local_aws):
    address = f"{uuid.uuid4().hex}@example.net"

    for _ in range(2):
        response = admin_client.post(VERIFY, {"name": address})
        assert "SES is sending a verification link" in said(response)

    assert sum(address in mail["to"] for mail in local_aws.mail()) == 2


def test_a_domain_is_verified_by_the_records_that_its_page_shows(admin_client, local_aws, settings):
    domain = new_domain()
    admin_client.post(VERIFY, {"name": domain})
    page = page_of(admin_client, domain)
    [token, *others] = identities.get(domain)[0].dkim_tokens
    assert len(others) == 2
    assert f"{token}._domainkey.{domain}" in page
    assert ">found<" not in "".join(page.split())

    local_aws.verify(domain)
    admin_client.post(reverse("admin:emails_identity_refresh"))

    page = "".join(page_of(admin_client, domain).split())
    found = 5 if settings.USE_SES_V2 else 6  # version 1 proves ownership by a record too
    assert page.count(">found<") == found
    assert ">missing<" not in page


def test_mail_from_is_shown_with_its_records(admin_client, local_aws):
    domain = new_domain()
    identities.verify(domain)
    local_aws.client("sesv2").put_email_identity_mail_from_attributes(
        EmailIdentity=domain,
        MailFromDomain=f"bounce.{domain}",
        BehaviorOnMxFailure="REJECT_MESSAGE",
    )

    identity, missing = identities.get(domain)
    page = page_of(admin_client, domain)

    assert (identity.mail_from, identity.mail_from_status) == (f"bounce.{domain}", "Pending")
    assert (identity.mail_from_failing, list(missing)) == ("RejectMessage", [])
    assert "feedback-smtp.eu-west-1.amazonses.com" in page
    assert "While its MX record is missing, SES rejects every email." in page


def test_a_mail_from_domain_is_set_on_the_page_and_taken_away_again(admin_client, local_aws):
    domain = new_domain()
    identities.verify(domain)
    local_aws.verify(domain)
    chosen = {"name": domain, "mail_from": f"Bounce.{domain}", "failing": "RejectMessage"}

    admin_client.post(MAIL_FROM, chosen)

    page = page_of(admin_client, domain)
    identity, _ = identities.get(domain)
    assert (identity.mail_from, identity.mail_from_status) == (f"bounce.{domain}", "Pending")
    assert identity.mail_from_failing == "RejectMessage"
    assert "".join(page.split()).count(">missing<") == 2
    local_aws.verify(domain)
    admin_client.post(reverse("admin:emails_identity_refresh"))
    assert ">missing<" not in "".join(page_of(admin_client, domain).split())
    assert identities.get(domain)[0].mail_from_status == "Success"
    admin_client.post(MAIL_FROM, chosen | {"mail_from": ""})
    assert identities.get(domain)[0].mail_from == ""
    assert [entry.change_message for entry in LogEntry.objects.order_by("id")] == [
        f"MAIL FROM set to bounce.{domain}; while its MX record is missing: RejectMessage.",
        "MAIL FROM is amazonses.com again.",
    ]


def test_an_identity_that_ses_has_not_got_is_said_so(admin_client):
    with pytest.raises(NoSuchIdentity, match="SES has no identity nobody@example.net"):
        identities.get("nobody@example.net")


def test_a_deleted_identity_is_gone(admin_client):
    domain = new_domain()
    identities.verify(domain)

    identities.delete(domain)

    with pytest.raises(NoSuchIdentity):
        identities.get(domain)


def test_pages_follow_each_other(monkeypatch, local_aws):
    for module in ("api_v1", "api_v2"):
        monkeypatch.setattr(f"emails.identities.{module}.PAGE_SIZE", 1)
    identities.verify(new_domain())

    first = identities.page()
    second = identities.page(first.next_token)

    assert len(first.identities) == len(second.identities) == 1
    assert first.identities[0].name != second.identities[0].name


def test_the_account_is_described(local_aws):
    # A test in the browser may have left them off.
    local_aws.set_sandbox_rules(True)

    assert account.standing() == {"production": False, "enabled": True, "enforcement": "HEALTHY"}
    quota = account.quota()
    assert (quota["rate"], quota["most"]) == (14, 50_000)
    assert quota["used"] + quota["left"] == 50_000


def test_a_configuration_set_is_described_with_its_destinations(settings, local_aws):
    settings.SES_CONFIGURATION_SET = name = f"set-{uuid.uuid4().hex[:8]}"
    assert account.configuration_set() == {"exists": False, "destinations": []}
    topic = local_aws.client("sns").create_topic(Name=name)["TopicArn"]
    ses = local_aws.client("ses")
    ses.create_configuration_set(ConfigurationSet={"Name": name})
    ses.create_configuration_set_event_destination(
        ConfigurationSetName=name,
        EventDestination={
            "Name": "here",
            "Enabled": True,
            "MatchingEventTypes": ["send", "delivery"],
            "SNSDestination": {"TopicARN": topic},
        },
    )

    assert account.configuration_set() == {
        "exists": True,
        "destinations": [
            {"name": "here", "enabled": True, "types": ["send", "delivery"], "topic": name}
        ],
    }


def test_only_a_verified_address_becomes_the_default_sender(admin_client, local_aws):
    domain = new_domain()
    admin_client.post(VERIFY, {"name": domain})
    choose = reverse("admin:emails_identity_sender", args=["shop"])
    fields = {"address": f"shop@{domain}"}

    assert "nor its domain. Verify one first." in admin_client.post(choose, fields).text
    local_aws.verify(domain)
    admin_client.post(choose, fields)

    assert default_sender.in_force() == f"shop@{domain}"


def test_what_was_sent_is_counted_with_its_bounces_and_complaints(local_aws):
    before = [sum(column) for column in list(zip(*account.statistics(), strict=True))[1:]] or [
        0
    ] * 4
    ses = local_aws.client("ses")
    for fate in ("success", "bounce", "complaint"):
        ses.send_raw_email(
            Source="shop@example.com",
            Destinations=[f"{fate}@simulator.amazonses.com"],
            RawMessage={"Data": b"Subject: x\r\n\r\nx"},
        )

    after = [sum(column) for column in list(zip(*account.statistics(), strict=True))[1:]]

    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 1, 1, 0]


@pytest.mark.parametrize("name", ["bücher.example", "Ada@straße.example"])
def test_ses_is_told_the_names_of_identities_in_ascii(request, name):
    told = []

    def keep(params, **kwargs):
        told.append(params)

    for client, service in ((ses_api.api(), "ses"), (ses_api.api_v2(), "sesv2")):
        client.meta.events.register(f"provide-client-params.{service}", keep)
        request.addfinalizer(
            partial(client.meta.events.unregister, f"provide-client-params.{service}", keep)
        )

    for ask in (
        lambda: identities.verify(name),
        lambda: identities.get(name),
        lambda: identities.statuses([name]),
        lambda: identities.sends_from(name),
        lambda: identities.set_mail_from(name, f"bounce.{name}", failing="UseDefaultValue"),
        lambda: identities.delete(name),
    ):
        with suppress(IdentityError):
            ask()

    assert len(told) >= 4
    assert all(json.dumps(params, ensure_ascii=False).isascii() for params in told)
