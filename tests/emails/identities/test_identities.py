from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from emails.errors import IdentityError
from emails.identities import answers, identities, status_history
from emails.models.identities import IdentityStatus, SesAnswer
from emails.ses import ses_api
from tests.support.responses import said
from tests.support.rows import staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:emails_identity_changelist")
ADD = reverse("admin:emails_identity_add")
VERIFY = reverse("admin:emails_identity_verify")
DELETE = reverse("admin:emails_identity_delete")
REFRESH = reverse("admin:emails_identity_refresh")
SENDER_CHOICE = reverse("admin:emails_identity_sender", args=["shop"])
SENDER_RESET = reverse("admin:emails_identity_sender_reset", args=["shop"])
TEST = reverse("admin:emails_identity_test")
MAIL_FROM = reverse("admin:emails_identity_mail_from")
FAILING = {"failing": "UseDefaultValue"}

Answer = Callable[..., None]


def error(code: str, text: str) -> str:
    return (
        '<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
    )


class _Raw:
    def __init__(self, body: str) -> None:
        self._body = body.encode()

    def stream(self) -> Iterator[bytes]:
        yield self._body


@pytest.fixture(autouse=True)
def _by_version_1(settings) -> None:
    """In this process version 2 verifies at once and has no DNS records; ``test_identities_versions.py`` has both."""
    settings.USE_SES_V2 = False


@pytest.fixture
def ses_answers(aws) -> Iterator[Answer]:
    """Make SES answer an operation like this instead; the last word counts."""
    events: Any = ses_api.api().meta.events
    registered: list[tuple[str, Callable[..., AWSResponse]]] = []

    def answer(operation: str, status: int, body: str) -> None:
        def send(**kwargs: Any) -> AWSResponse:
            return AWSResponse("http://ses", status, HTTPHeaders(), _Raw(body))

        name = f"before-send.ses.{operation}"
        for earlier in [each for each in registered if each[0] == name]:
            registered.remove(earlier)
            events.unregister(*earlier)
        registered.append((name, send))
        events.register_first(*registered[-1])

    yield answer
    for name, send in registered:
        events.unregister(name, send)


def status_is(ses_answers: Answer, name: str, status: str) -> None:
    """Make SES tell this status of the identity; moto verifies each at once."""
    entry = (
        f"<entry><key>{name}</key><value><VerificationStatus>{status}</VerificationStatus>"
        "<VerificationToken>token</VerificationToken></value></entry>"
    )
    operation = "GetIdentityVerificationAttributes"
    body = f"<VerificationAttributes>{entry}</VerificationAttributes>"
    ses_answers(operation, 200, f"<R><{operation}Result>{body}</{operation}Result></R>")


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def test_an_address_is_verified_and_listed(admin_client, ses_answers):
    status_is(ses_answers, "ada@example.com", "Pending")

    response = admin_client.post(VERIFY, {"name": "ada@Example.COM"})

    assert "SES is sending a verification link to ada@example.com." in said(response)
    assert "ada@example.com" in text_of(admin_client.get(LIST))
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.action_flag) == ("ada@example.com", ADDITION)


def test_a_domain_shows_the_dns_records_of_ownership_dkim_spf_and_dmarc(admin_client, aws):
    response = admin_client.post(VERIFY, {"name": "example.org"})

    page = text_of(admin_client.get(response.url))
    assert "_amazonses.example.org" in page
    assert page.count("._domainkey.example.org") == 6  # as text and as the label of its button
    assert "v=spf1 include:amazonses.com ~all" in page
    assert "_dmarc.example.org" in page
    assert LogEntry.objects.get().object_id == "example.org"


def test_asking_again_says_what_ses_says_now_and_never_to_publish_what_is_published(
    admin_client, ses_answers
):
    status_is(ses_answers, "example.org", "Pending")
    first = admin_client.post(VERIFY, {"name": "example.org"})
    admin_client.get(first.url)
    again = admin_client.post(VERIFY, {"name": "example.org"})
    status_is(ses_answers, "example.org", "Success")
    verified = admin_client.post(VERIFY, {"name": "example.org"})

    assert said(first) == "Publish these DNS records for example.org."
    assert said(again).endswith("SES is checking DNS for the records of example.org again.")
    assert said(verified).endswith("example.org is verified. SES sends from it.")


def test_a_pending_identity_shows_within_seconds_that_it_is_verified(admin_client, ses_answers):
    status_is(ses_answers, "example.org", "Pending")
    page = admin_client.post(VERIFY, {"name": "example.org"}).url
    assert 'data-refresh="' in text_of(admin_client.get(page))
    status_is(ses_answers, "example.org", "Success")
    SesAnswer.objects.update(tried_at=timezone.now() - timedelta(seconds=6))

    live = text_of(admin_client.get(f"{page}progress/"))

    assert "every address of this domain" in live
    assert "data-refresh" not in text_of(admin_client.get(page))


def test_a_verified_identity_is_not_asked_about_again_so_soon(admin_client, aws):
    admin_client.get(LIST)
    SesAnswer.objects.update(tried_at=timezone.now() - timedelta(seconds=6))
    aws.verify("new@example.com")

    assert "new@example.com" not in text_of(admin_client.get(LIST))


BACK = "/admin/queues/deadletter/groups/"


def test_a_link_fills_in_what_to_verify_and_leads_back(admin_client, aws):
    form = text_of(admin_client.get(f"{ADD}?name=example.org&next={BACK}"))
    assert 'value="example.org"' in form
    assert f'name="next" value="{BACK}"' in form

    page = admin_client.post(VERIFY, {"name": "example.org", "next": BACK}).url

    assert f'href="{BACK}"' in text_of(admin_client.get(page))
    assert "Back to the dead letters" in text_of(admin_client.get(page))


def test_the_way_back_leads_to_no_other_site(admin_client, aws):
    evil = "https://evil.example/"

    form = text_of(admin_client.get(f"{ADD}?name=example.org&next={evil}"))
    page = admin_client.post(VERIFY, {"name": "example.org", "next": evil}).url

    assert f'value="{evil}' not in form
    assert "evil" not in page
    assert f'href="{evil}' not in text_of(admin_client.get(f"{page}?next={evil}"))


@pytest.mark.parametrize("name", ["", "no such thing", "a@b@c", "a@b.c\nBcc: d@e.f", "x" * 300])
def test_what_is_no_identity_is_refused_before_ses_is_asked(admin_client, aws, name):
    response = admin_client.post(VERIFY, {"name": name})

    assert response.status_code == 302
    assert said(response)
    assert [identity.name for identity in identities.page().identities] == ["shop@example.com"]
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("typed", [None, "", "shop", "shop@example.com.evil"])
def test_deleting_asks_first_and_takes_the_whole_name(admin_client, aws, typed):
    fields = {"name": "shop@example.com"} | ({} if typed is None else {"typed": typed})

    page = text_of(admin_client.post(DELETE, fields))

    assert "Delete shop@example.com from SES?" in page
    assert "Without this identity all sending stops" in page
    assert identities.page().identities


def test_a_deleted_identity_is_gone_from_ses(admin_client, aws):
    admin_client.get(LIST)

    admin_client.post(DELETE, {"name": "shop@example.com", "typed": "shop@example.com"})

    assert not identities.page().identities
    assert "SES has no identities" in text_of(admin_client.get(LIST))
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.action_flag) == ("shop@example.com", DELETION)


def test_an_identity_has_an_address_that_the_log_can_link_to(admin_client, aws):
    admin_client.post(VERIFY, {"name": "ada@example.com"})

    address = LogEntry.objects.get().get_admin_url()

    assert address == reverse("admin:emails_identity_change", args=[quote("ada@example.com")])
    assert "ada@example.com" in text_of(admin_client.get(address))


def test_an_identity_that_ses_has_not_got_leads_back_to_the_list(admin_client, ses_answers):
    ses_answers(
        "GetIdentityVerificationAttributes",
        200,
        "<R><GetIdentityVerificationAttributesResult><VerificationAttributes/>"
        "</GetIdentityVerificationAttributesResult></R>",
    )

    response = admin_client.get(
        reverse("admin:emails_identity_change", args=[quote("who@example.com")])
    )

    assert response.url == LIST
    assert "SES has no identity who@example.com." in said(response)


def test_a_missing_right_is_named(admin_client, ses_answers):
    ses_answers("ListIdentities", 403, error("AccessDenied", "User x is not authorized"))

    page = text_of(admin_client.get(LIST))

    assert "Not available here: the IAM permission ses:ListIdentities is missing." in page
    assert "SES has no identities" not in page


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "<html><h1>Internal Server Error"),
        (500, "<!doctype html><h1>Internal Server Error"),
        (400, error("InvalidAction", "Could not find")),
    ],
)
def test_an_endpoint_that_lacks_the_operation_is_said_so(admin_client, ses_answers, status, body):
    ses_answers("ListIdentities", status, body)

    assert "this endpoint does not answer ListIdentities" in text_of(admin_client.get(LIST))


def test_identities_are_listed_without_what_ses_will_not_say_of_them(admin_client, ses_answers):
    ses_answers("GetIdentityDkimAttributes", 403, error("AccessDenied", "no"))

    page = text_of(admin_client.get(LIST))

    assert "shop@example.com" in page
    assert "the IAM permission ses:GetIdentityDkimAttributes is missing" in page


def test_throttling_asks_for_patience(ses_answers):
    ses_answers("ListIdentities", 400, error("Throttling", "Rate exceeded"))

    with pytest.raises(IdentityError, match="once a second"):
        identities.page()


def test_a_refusal_to_verify_is_not_logged_as_done(admin_client, ses_answers):
    ses_answers("VerifyEmailIdentity", 403, error("AccessDenied", "no"))

    response = admin_client.post(VERIFY, {"name": "ada@example.com"})

    assert "the IAM permission ses:VerifyEmailIdentity is missing" in said(response)
    assert not LogEntry.objects.exists()


def test_the_next_page_begins_where_ses_says(admin_client, ses_answers):
    ses_answers(
        "ListIdentities",
        200,
        "<R><ListIdentitiesResult><Identities><member>shop@example.com</member></Identities>"
        "<NextToken>here&amp;there</NextToken></ListIdentitiesResult></R>",
    )

    page = text_of(admin_client.get(LIST))

    assert 'name="after" value="here&amp;there"' in page


ACTS = {
    VERIFY: ("verify_identity", {"name": "new@example.com"}),
    DELETE: ("delete_identity", {"name": "shop@example.com", "typed": "shop@example.com"}),
    MAIL_FROM: ("set_mail_from", {"name": "example.org", "mail_from": "b.example.org"} | FAILING),
    SENDER_CHOICE: ("set_default_sender", {"address": "shop@example.com"}),
    TEST: ("send_test_email", {"recipient": "ada@example.com"}),
}


@pytest.mark.parametrize("held", [permission for permission, _ in ACTS.values()])
@pytest.mark.parametrize("address", ACTS)
def test_an_act_takes_its_own_permission_and_a_post(client, aws, address, held):
    needed, fields = ACTS[address]
    ses_api.api().verify_domain_identity(Domain="example.org")
    client.force_login(staff("view_identity", held))

    got, posted = client.get(address, fields), client.post(address, fields)

    assert got.status_code in (403, 405)
    assert posted.status_code == (302 if held == needed else 403)
    assert LogEntry.objects.count() == (held == needed)


@pytest.mark.parametrize("held", [permission for permission, _ in ACTS.values()])
def test_only_forms_that_the_reader_may_use_are_shown(client, aws, held):
    client.force_login(staff("view_identity", held))

    page = text_of(client.get(LIST))

    assert (f'action="{VERIFY}"' in page) == (held == "verify_identity")
    assert (f'action="{TEST}"' in page) == (held == "send_test_email")


def test_the_list_takes_a_permission(client, aws):
    client.force_login(staff("verify_identity"))

    assert client.get(LIST).status_code == 403


def test_the_page_shows_what_ses_said_until_somebody_asks_again(admin_client, aws):
    admin_client.get(LIST)
    aws.verify("new@example.com")

    assert "new@example.com" not in text_of(admin_client.get(LIST))
    response = admin_client.post(REFRESH, {"next": f"{LIST}?window=14d"})

    assert response.url == f"{LIST}?window=14d"
    page = text_of(admin_client.get(LIST))
    assert "new@example.com" in page
    assert "SES reported this just now." in page


def test_asking_again_leads_to_no_other_host(admin_client, aws):
    assert admin_client.post(REFRESH, {"next": "https://evil.example/"}).url == LIST


def test_what_ses_said_before_is_shown_while_it_does_not_answer(admin_client, ses_answers):
    admin_client.get(LIST)
    SesAnswer.objects.update(tried_at=timezone.now() - timedelta(hours=1))
    ses_answers("ListIdentities", 403, error("AccessDenied", "no"))

    page = text_of(admin_client.get(LIST))

    assert "the IAM permission ses:ListIdentities is missing" in page
    assert "shop@example.com" in page


def test_a_problem_is_asked_for_again_within_a_minute(ses_answers, aws):
    asked = []

    def ask():
        asked.append(1)
        raise IdentityError("no")

    answers.to("a question", ask)
    answers.to("a question", ask)
    SesAnswer.objects.update(tried_at=timezone.now() - timedelta(minutes=1))
    answer = answers.to("a question", ask)

    assert len(asked) == 2
    assert (answer.value, answer.problem, answer.age) == (None, "no", "")


LACKS = {
    "GetSendStatistics": "the IAM permission ses:GetSendStatistics is missing",
    "GetSendQuota": "the IAM permission ses:GetSendQuota is missing",
    "DescribeConfigurationSet": "the IAM permission ses:DescribeConfigurationSet is missing",
    "GetIdentityMailFromDomainAttributes": "the IAM permission ses:GetIdentityMailFromDomainAttributes",
}


@pytest.mark.parametrize("operation", LACKS)
def test_each_panel_says_which_right_it_lacks(admin_client, ses_answers, operation):
    ses_answers(operation, 403, error("AccessDenied", "no"))

    page = text_of(admin_client.get(LIST))

    assert LACKS[operation] in page
    assert "shop@example.com" in page


def test_an_endpoint_that_lacks_get_account_says_so_of_that_alone(admin_client, aws):
    page = text_of(admin_client.get(LIST))

    assert "this endpoint does not answer GetAccount" in page
    assert "recipients a second at most" in page


def test_a_mail_from_domain_that_ses_will_not_tell_is_not_guessed(admin_client, ses_answers):
    ses_answers("GetIdentityMailFromDomainAttributes", 403, error("AccessDenied", "no"))

    page = text_of(
        admin_client.get(reverse("admin:emails_identity_change", args=[quote("shop@example.com")]))
    )

    assert "SES did not tell." in page
    assert "amazonses.com</span>" not in page


@pytest.mark.parametrize(
    "mail_from", ["example.org", "bounce.example.com", "no domain", "xexample.org", "a@example.org"]
)
def test_a_mail_from_domain_must_be_below_its_identity(admin_client, aws, mail_from):
    ses_api.api().verify_domain_identity(Domain="example.org")

    response = admin_client.post(
        MAIL_FROM, {"name": "example.org", "mail_from": mail_from} | FAILING
    )

    assert "is not" in said(response)
    assert identities.get("example.org")[0].mail_from == ""
    assert not LogEntry.objects.exists()


def test_setting_mail_from_without_its_right_names_the_right(admin_client, ses_answers):
    ses_answers("SetIdentityMailFromDomain", 403, error("AccessDenied", "no"))

    response = admin_client.post(MAIL_FROM, ACTS[MAIL_FROM][1])

    assert "the IAM permission ses:SetIdentityMailFromDomain is missing" in said(response)
    assert not LogEntry.objects.exists()


def test_a_status_is_dated_from_when_it_was_seen_first(admin_client, aws):
    admin_client.get(LIST)

    [seen] = IdentityStatus.objects.all()

    assert (seen.name, seen.status, seen.is_witnessed) == ("shop@example.com", "Success", False)
    assert "so when first seen" in text_of(admin_client.get(LIST))


def test_a_verification_is_noticed_though_nobody_looks(aws):
    status_history.note({"new@example.com": "Pending"})
    answers.to("a question", list)
    aws.verify("new@example.com")

    assert status_history.look() == 1

    assert not SesAnswer.objects.exists()
    seen = IdentityStatus.objects.get()
    assert (seen.status, seen.is_witnessed) == ("Success", True)
    assert status_history.look() == 0


def test_an_identity_that_is_gone_is_watched_no_more(aws, ses_answers):
    status_history.note({"gone@example.com": "Pending"})
    ses_answers(
        "GetIdentityVerificationAttributes",
        200,
        "<R><GetIdentityVerificationAttributesResult><VerificationAttributes/>"
        "</GetIdentityVerificationAttributesResult></R>",
    )

    status_history.look()

    assert not IdentityStatus.objects.exists()


@pytest.mark.parametrize("name", ["x" * 3000, "a\0b", "a\n@b", "%", "🦊.example", "'--"])
def test_a_rubbish_address_of_an_identity_is_said_so(admin_client, aws, name):
    response = admin_client.get(reverse("admin:emails_identity_change", args=[quote(name)]))

    # Django itself finds no address with a NUL in it.
    assert response.status_code == (404 if "\0" in name else 302)
    assert "\0" in name or "SES has no identity" in said(response)


@pytest.mark.parametrize("page", ["add", "history"])
def test_pages_that_need_a_table_do_not_exist(admin_client, aws, page):
    address = f"{LIST}shop_40example.com/{page}/"

    assert admin_client.get(address).status_code == 404
