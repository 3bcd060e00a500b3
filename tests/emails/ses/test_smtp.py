import email
import email.policy
import threading

import pytest
from django.core.checks import run_checks
from django.core.mail import mail_admins

from emails.errors import InDoubt, NotSent, Refused, Throttled, Unavailable
from emails.models import Breaker, Notification
from emails.rendering.mime import Email
from emails.sending import breakers, claims
from emails.ses import smtp, transport
from tests.support.aws.smtp_server import HOST, PASSWORD, USER, Server
from tests.support.owed import only, place

State = Notification.State


@pytest.fixture
def tmp_trust(tmp_path, monkeypatch):
    """The machine trusts the server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    smtp.forget_connections()
    yield tmp_path
    smtp.forget_connections()


def speak_smtp(settings, server):
    settings.EMAIL_TRANSPORT = "smtp"
    settings.EMAIL_HOST, settings.EMAIL_PORT = HOST, server.port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = USER, PASSWORD
    settings.EMAIL_TIMEOUT = 5


@pytest.fixture
def server(settings, tmp_trust):
    server = Server(tmp_trust)
    speak_smtp(settings, server)
    yield server
    smtp.forget_connections()
    server.stop()


@pytest.fixture
def plain_server(settings, tmp_trust):
    server = Server(tmp_trust, offers_tls=False)
    speak_smtp(settings, server)
    yield server
    smtp.forget_connections()
    server.stop()


def letter(subject="Hello", body=".one\r\n..two\r\nthree", to="ada@example.com"):
    return Email(subject=subject, body=body, from_email="Shop <shop@example.com>", to=[to])


def says(text):
    return lambda server: text


def cuts(server):
    """Called by the server itself, in the middle of a command."""
    for conversation in server.open:
        conversation.cut()
    return "421 nobody hears this"


@pytest.mark.django_db
def test_event_becomes_one_email_with_its_tags_and_the_id_of_the_answer(server, aws, consume):
    place()

    consume()

    [content] = server.accepted
    sent = email.message_from_bytes(content, policy=email.policy.default)
    notification = only()
    assert server.recipients == ["ada@example.com"]
    assert sent["X-SES-CONFIGURATION-SET"] == "notifier"
    assert sent["X-SES-MESSAGE-TAGS"] == f"nid={notification.pk}, att=1"
    assert (notification.state, notification.provider_message_id) == (
        State.SENT,
        "0102000000000001-0000-000000",
    )
    assert aws.accepted == []


def test_text_with_dots_arrives_as_it_was_written(server):
    transport.send(letter())

    text = email.message_from_bytes(server.accepted[0], policy=email.policy.default).get_content()
    assert text.splitlines() == [".one", "..two", "three"]


def test_second_email_uses_the_connection_of_the_first(server):
    for _ in range(3):
        transport.send(letter())

    assert len(server.accepted) == 3
    assert [asked.count("AUTH") for asked in server.connections] == [1]


def test_emails_at_once_use_a_connection_each_and_keep_them(server):
    threads = [threading.Thread(target=transport.send, args=(letter(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    opened = len(server.connections)

    transport.send(letter())

    assert len(server.accepted) == 5
    assert len(server.connections) == opened <= 4


def test_connection_that_the_server_ended_meanwhile_is_replaced(server):
    transport.send(letter())
    server.cut_connections()

    transport.send(letter())

    assert len(server.accepted) == len(server.connections) == 2


def test_connection_that_has_sent_enough_is_replaced(server):
    transport.send(letter())
    full = iter(["421 Too many messages for this connection"])
    server.answers["MAIL"] = lambda server: next(full, None)

    transport.send(letter())

    assert len(server.accepted) == len(server.connections) == 2


def test_idle_connection_is_closed(server, settings):
    transport.send(letter())

    assert smtp._idle.close_old(seconds=0) == 1
    assert smtp.close_idle() == 0


@pytest.mark.parametrize("times", [1, 2])
def test_server_without_starttls_gets_neither_password_nor_email(plain_server, times):
    for _ in range(times):
        with pytest.raises(Unavailable, match="STARTTLS.*Neither the password nor") as raised:
            transport.send(letter())

    assert raised.value.breaker == "configuration"
    assert plain_server.accepted == []
    assert {command for asked in plain_server.connections for command in asked} == {"EHLO"}


def test_server_that_nobody_trusts_gets_neither_password_nor_email(server, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    smtp.forget_connections()

    with pytest.raises(Unavailable, match="certificate verify failed"):
        transport.send(letter())

    assert server.accepted == []
    assert all("AUTH" not in asked for asked in server.connections)


def test_wrong_password_is_trouble_of_our_own(server, settings):
    settings.EMAIL_HOST_PASSWORD = "wrong"

    with pytest.raises(Unavailable, match="Credentials Invalid") as raised:
        transport.send(letter())

    assert (raised.value.breaker, raised.value.code) == ("configuration", "SMTP 535")


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "BODY"])
def test_connection_cut_before_the_data_ended_is_certainly_not_sent(server, command):
    server.answers[command] = cuts

    with pytest.raises(NotSent):
        transport.send(letter())

    assert server.accepted == []


def test_connection_cut_while_the_data_is_written_is_certainly_not_sent(server):
    def begin(server):
        cuts(server)
        return "354 End data with <CR><LF>.<CR><LF>"

    server.answers["BODY"] = begin

    with pytest.raises(NotSent):
        # More than the network takes without the server.
        transport.send(letter(body="all work and no play\r\n" * 500_000))

    assert server.accepted == []


def test_connection_cut_after_the_data_ended_is_in_doubt(server):
    server.answers["DATA"] = cuts

    with pytest.raises(InDoubt):
        transport.send(letter())


def test_server_that_never_answers_the_data_leaves_a_doubt(server, settings):
    silence = threading.Event()

    def wait(server):
        silence.wait(5)

    server.answers["DATA"] = wait
    settings.EMAIL_TIMEOUT = 0.5

    try:
        with pytest.raises(InDoubt, match="timed out"):
            transport.send(letter())
    finally:
        silence.set()


def test_email_that_a_slow_server_would_take_too_late_is_not_sent(server):
    transport.send(letter())
    [(_, backend)] = smtp._idle._backends
    connection = backend.connection
    assert connection is not None

    def be_late(server):
        connection.deadline = 0

    server.answers["BODY"] = be_late

    with pytest.raises(NotSent, match="too slow"):
        transport.send(letter())

    assert len(server.accepted) == len(server.connections) == 1


def test_nobody_listening_is_certainly_not_sent(server, settings):
    settings.EMAIL_PORT = 9

    with pytest.raises(NotSent) as raised:
        transport.send(letter())

    assert raised.value.code in smtp.NEVER_LEFT


NOT_VERIFIED = (
    "554 Message rejected: Email address is not verified. The following identities failed the check in region "
    "EU-WEST-1: {}"
)


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
@pytest.mark.parametrize(
    ("answer", "error", "detail"),
    [
        ("454 Throttling failure: Maximum sending rate exceeded.", Throttled, ""),
        ("421 Too many concurrent SMTP connections", Throttled, ""),
        ("554 Message rejected: Email sending for the account is paused.", Unavailable, "account"),
        ("554 Message rejected: Account has been suspended", Unavailable, "account"),
        ("554 Email sending is disabled for the configuration set", Unavailable, "account"),
        ("454 Throttling failure: Daily message quota exceeded.", Unavailable, "quota"),
        ("451 Temporary service failure", NotSent, "SMTP 451"),
        ("530 Authentication required", Unavailable, "configuration"),
        (
            "554 Access denied: User `arn:aws:iam::1:user/x' is not authorized to perform `ses:SendRawEmail'",
            Unavailable,
            "configuration",
        ),
        ("554 Message rejected: Sending paused for this account.", Unavailable, "account"),
        (
            "554 Transaction failed: Configuration set does not exist: x",
            Unavailable,
            "configuration",
        ),
        (NOT_VERIFIED.format("shop@example.com"), Unavailable, "configuration"),
        (NOT_VERIFIED.format("ada@example.com"), NotSent, "MessageRejected"),
        ("554 Message rejected: too many recipients", Refused, "SMTP 554"),
        ("552 Message is too long.", Refused, "SMTP 552"),
    ],
)
def test_each_answer_of_ses_means_what_it_means_by_the_api(server, command, answer, error, detail):
    server.answers[command] = says(answer)

    with pytest.raises(error) as raised:
        transport.send(letter())

    assert raised.type is error
    assert detail in (getattr(raised.value, "breaker", ""), raised.value.code) or not detail
    assert server.accepted == []


def test_refused_email_leaves_the_connection_for_the_next(server):
    refusals = iter(["554 Message rejected: no"])
    server.answers["DATA"] = lambda server: next(refusals, None)
    with pytest.raises(Refused):
        transport.send(letter())

    transport.send(letter())

    assert len(server.connections) == len(server.accepted) == 1


@pytest.mark.parametrize("answer", ["250 2.0.0 Ok: queued as 4F5AC2", "250 thank you"])
def test_answer_of_another_server_is_acceptance_all_the_same(server, answer):
    server.answers["DATA"] = says(answer)

    assert transport.send(letter()) in ("4F5AC2", "none given")


@pytest.mark.parametrize("answer", ["999 what", "hello", "251 elsewhere"])
def test_answer_that_makes_no_sense_leaves_a_doubt(server, answer):
    server.answers["DATA"] = says(answer)

    with pytest.raises(InDoubt):
        transport.send(letter())


@pytest.mark.parametrize(
    "message", [letter(subject="two\nlines"), letter(to="nobody")], ids=["subject", "recipient"]
)
def test_email_that_cannot_be_written_is_refused_and_the_next_is_sent(server, message):
    if message.to == ["nobody"]:
        server.answers["RCPT"] = says("501 Invalid RCPT TO address provided")
    with pytest.raises(Refused):
        transport.send(message)
    server.answers.clear()

    transport.send(letter())

    assert len(server.accepted) == 1


@pytest.mark.django_db
def test_doubt_of_smtp_is_a_doubt_and_is_not_sent_again(server, aws, consume):
    server.answers["DATA"] = cuts
    place()

    consume()
    server.answers.clear()
    consume()

    assert only().state == State.IN_DOUBT
    assert server.accepted == []


@pytest.mark.django_db
def test_breaker_closes_when_the_server_lets_us_in_again(server, aws, settings):
    settings.EMAIL_HOST_PASSWORD = "wrong"
    settings.BREAKER_PROBE_SECONDS = 1
    breakers.trip("configuration", code="SMTP 535", reason="no")

    Breaker.objects.update(probe_at="2020-01-01T00:00Z")
    assert breakers.probe() == 0
    assert "Credentials Invalid" in Breaker.objects.get().reason

    settings.EMAIL_HOST_PASSWORD = PASSWORD
    Breaker.objects.update(probe_at="2020-01-01T00:00Z")
    assert breakers.probe() == 1


@pytest.mark.django_db
def test_probe_does_not_wait_for_rights_that_smtp_does_not_need(server, settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    breakers.trip("account", code="x", reason="no")
    Breaker.objects.update(probe_at="2020-01-01T00:00Z")

    assert breakers.probe() == 1


def test_claim_outlasts_the_longest_call(server, settings):
    settings.EMAIL_TIMEOUT = 30

    assert claims.longest_call_seconds() == 60
    assert "emails.E006" in [found.id for found in run_checks(tags=["delivery"])]


def test_alerts_go_the_same_way(server, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.ADMINS = [("ops@example.com", "ops@example.com")]

    mail_admins("quota", "used up")

    assert server.recipients == ["ops@example.com"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"EMAIL_TRANSPORT": "smpt"}, "emails.E011"),
        ({"EMAIL_TRANSPORT": "smtp", "EMAIL_HOST_USER": "u"}, "emails.E012"),
        (
            {
                "EMAIL_TRANSPORT": "smtp",
                "EMAIL_HOST_USER": "u",
                "EMAIL_HOST_PASSWORD": "p",
                "EMAIL_PORT": 465,
            },
            "emails.E013",
        ),
    ],
)
def test_settings_that_cannot_send_are_refused(settings, values, expected):
    for name, value in values.items():
        setattr(settings, name, value)

    assert [found.id for found in run_checks(tags=["delivery"])] == [expected]
