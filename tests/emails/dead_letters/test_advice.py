import pytest
from django.urls import reverse

from queues.answers import Cause
from queues.dead_letters.advice import advise
from tests.support.dead_letters import UNVERIFIED

pytestmark = pytest.mark.django_db

IDENTITIES = reverse("admin:emails_identity_changelist")
FIRST_PAGE = reverse("admin:index")
SENDER = "shop@example.com"


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("MessageRejected", UNVERIFIED + "ada@example.com", "SES sandbox: the recipient is"),
        ("MessageRejected", UNVERIFIED + SENDER, "SES: our sender, permissions"),
        ("MessageRejected", "Illegal address", "SES rejected the email for good"),
        ("Throttling", "Daily message quota exceeded.", "SES: the daily sending quota"),
        ("AccountSendingPaused", "paused", "SES: sending was paused"),
        ("MessageRejected", "Sending paused for this account.", "SES: sending was paused"),
        ("AccessDenied", "not authorized", "SES: a permission"),
        ("ConfigurationSetDoesNotExist", "none", "SES: our sender, permissions"),
        ("InvalidSignatureException", "no", "SES: AWS does not take our credentials"),
        ("NoCredentialsError", "Unable to locate credentials", "SES: AWS does not take our"),
        ("SSOTokenLoadError", "no token", "SES: AWS does not take our credentials"),
        ("OptInRequired", "no subscription", "SES: the AWS account has not got"),
        ("RequestTimeTooSkewed", "late", "SES: the clock"),
        ("EndpointConnectionError", "Could not connect", "This machine cannot reach SES"),
        ("404", "Not Found", "SES at this endpoint has no version 2"),
        ("NotImplemented", "sesv2", "SES at this endpoint has no version 2"),
        ("RenderError", "order_confirmation/subject.hbs: no x", "The template and the data"),
        ("UnknownSesEvent", "no eventType", "SES reported something"),
        ("BadData", f"address {SENDER} not verified", "The data does not fit"),
        ("UnknownType", "no handler", "No handler for this type"),
        ("Died", "", "The consumer died each time"),
        ("NoRecord", "", "No failure was recorded"),
        ("OperationalError", "locked", "The database did not answer"),
        ("KeyError", "'x'", "An unexpected error in a handler"),
        ("", "", "No cause is known"),
    ],
)
def test_a_cause_is_said_in_words(code, reason, words):
    advice = advise(Cause(code, reason))

    assert advice.words.startswith(words)
    assert advice.todo


def test_one_address_is_filled_in_where_it_is_to_be_verified():
    one = Cause("MessageRejected", UNVERIFIED + "ada+1@example.com", is_of_one=True)
    several = Cause("MessageRejected", UNVERIFIED + "ada@example.com, bob@example.com", True)

    assert advise(one).address == f"{IDENTITIES}?name=ada%2B1%40example.com"
    assert advise(several).address == IDENTITIES


def test_a_broken_template_is_one_click_away():
    advice = advise(Cause("RenderError", "order_confirmation/subject.hbs: no x"))

    assert advice.address == reverse("admin:emails_emailtemplate_edit", args=["order_confirmation"])
    assert advice.permission == "emails.edit_template"


@pytest.mark.parametrize("reason", ["", "../../etc/passwd", "gone/subject.hbs: no such template"])
def test_a_template_that_is_not_there_has_no_address(reason):
    assert advise(Cause("RenderError", reason)).address == ""


def test_what_heals_by_itself_leads_to_the_first_page():
    assert advise(Cause("Throttling", "Daily message quota exceeded.")).address == FIRST_PAGE


@pytest.mark.django_db
def test_the_address_from_the_advice_waits_in_the_form(admin_client, aws):
    page = admin_client.get(f"{IDENTITIES}?name=ada%40example.com").content.decode()

    assert 'value="ada@example.com"' in page
