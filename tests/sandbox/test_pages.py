from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.urls import reverse

from sandbox.control import ControlApi
from sandbox.ses.mailbox import Mail
from sandbox.ses.post_office import PostOffice

MARKUP = (
    b"Subject: <b>Hi</b>\r\nContent-Type: text/html\r\nX-SES-MESSAGE-TAGS: attempt=7\r\n\r\n"
    b"<script>alert(1)</script><p>Hello</p>"
)


class QuietHandler(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format, *arguments):
        """Log nothing: a test's output is for its failures."""


def serve(app, settings):
    server = make_server("127.0.0.1", 0, app, handler_class=QuietHandler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    settings.AWS_ENDPOINT_URL = f"http://127.0.0.1:{server.server_port}"
    return server


def stop(server):
    server.shutdown()
    server.server_close()


@pytest.fixture
def office(settings):
    office = PostOffice(verified=["shop@example.com"], sandbox_rules=True, url="http://127.0.0.1:1")
    server = serve(ControlApi(office), settings)
    yield office
    stop(server)


def deliver(office, *, to="ada@example.com", raw=MARKUP):
    mail = Mail(raw, given_source="Shop <shop@example.com>", given_recipients=(to,))
    office.mailbox.add(mail)
    return mail


def page(client, name, *arguments, **query):
    return client.get(reverse(f"sandbox:{name}", args=arguments), query).content.decode()


def test_empty_mailbox_says_what_to_do(client, office):
    assert "Place an order" in page(client, "mailbox")


def test_mailbox_lists_mails_with_their_subjects_escaped(client, office):
    mail = deliver(office)

    html = page(client, "mailbox")

    assert "&lt;b&gt;Hi&lt;/b&gt;" in html
    assert reverse("sandbox:mail", args=[mail.id]) in html


def test_search_finds_recipient_and_subject(client, office):
    deliver(office, to="ada@example.com")
    deliver(office, to="grace@example.com", raw=b"Subject: Invoice\r\n\r\n")

    assert "ada@example.com" not in page(client, "mailbox", q="GRACE")
    assert "ada@example.com" not in page(client, "mailbox", q="invoice")
    assert "Nothing found" in page(client, "mailbox", q="nobody")


def test_mail_is_framed_and_its_html_runs_nothing(client, office):
    mail = deliver(office)

    answer = client.get(reverse("sandbox:mail_html", args=[mail.id]))

    assert f'src="{reverse("sandbox:mail_html", args=[mail.id])}"' in page(client, "mail", mail.id)
    assert "alert(1)" not in page(client, "mail", mail.id)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy
    assert "allow-scripts" not in policy and "allow-same-origin" not in policy


def test_links_of_a_mail_open_outside_the_frame_without_changing_its_layout(client, office):
    raw = b"Content-Type: text/html\r\n\r\n<!doctype html><html><head><title>Hi</title></head>"
    mail = deliver(office, raw=raw)

    html = page(client, "mail_html", mail.id)

    assert html.startswith('<!doctype html><html><head><base target="_blank"><title>')


@pytest.mark.parametrize(
    ("tab", "shown"),
    [
        ("text", "no text part"),
        ("headers", "Tag attempt"),
        ("source", "&lt;script&gt;alert(1)"),
        ("nonsense", "no text part"),
    ],
)
def test_mail_has_a_tab_for_each_view(client, office, tab, shown):
    mail = deliver(office)

    assert shown in page(client, "mail", mail.id, tab=tab)


def test_missing_mail_is_not_found(client, office):
    assert client.get(reverse("sandbox:mail", args=["none"])).status_code == 404


def test_pending_address_shows_its_link_and_domain_its_records(client, office):
    address = office.request_verification("grace@example.net", region="eu-west-1")
    domain = office.request_verification("example.net", region="eu-west-1")

    html = page(client, "verifications")

    assert f'href="{office.link(address)}"' in html
    assert all(token in html for token in domain.dkim_tokens)


def test_dns_records_found_verifies_the_domain(client, office):
    office.request_verification("example.net", region="eu-west-1")

    client.post(reverse("sandbox:verify"), {"identity": "example.net"})

    assert office.identities.covers("anybody@example.net")


def test_rule_is_switched_off_and_on(client, office):
    client.post(reverse("sandbox:rules"))
    assert office.sandbox_rules is False

    client.post(reverse("sandbox:rules"), {"sandbox_rules": "on"})
    assert office.sandbox_rules is True


def test_mailbox_is_emptied(client, office):
    deliver(office)

    client.post(reverse("sandbox:empty"))

    assert office.mailbox.newest_first() == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["verify", "rules", "empty"])
def test_changes_need_a_post_with_a_csrf_token(client, office, name):
    client.handler.enforce_csrf_checks = True

    assert client.get(reverse(f"sandbox:{name}")).status_code == 405
    assert client.post(reverse(f"sandbox:{name}")).status_code == 403


def test_pages_say_that_the_local_aws_does_not_run(client, settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    answer = client.get(reverse("sandbox:mailbox"))

    assert answer.status_code == 503
    assert "The local AWS does not run" in answer.content.decode()


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Internal Server Error"])
def test_pages_say_that_another_aws_has_no_mailbox(client, settings, status):
    def other_aws(environ, start_response):
        start_response(status, [("Content-Type", "text/html")])
        return [b"<html>"]

    server = serve(other_aws, settings)

    assert "This endpoint has no mailbox" in page(client, "mailbox")
    stop(server)


def test_pages_say_that_the_real_aws_has_no_mailbox(client, settings):
    settings.AWS_ENDPOINT_URL = None

    assert "This endpoint has no mailbox" in page(client, "verifications")
