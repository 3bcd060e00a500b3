import pytest

from sandbox.ses import tracking
from sandbox.ses.mailbox import Mail, compose

BOTH = frozenset({tracking.OPEN, tracking.CLICK})
SES = "http://127.0.0.1:1"


def mail(html, tracked=BOTH):
    raw = compose(
        source="shop@example.com",
        destination={"ToAddresses": ["ada@example.com"]},
        reply_to=[],
        subject="Hello",
        text="",
        html=html,
    )
    return Mail(raw, tracked=tracked)


def watched(html, tracked=BOTH):
    return tracking.watched(mail(html, tracked), url=SES).strip()


def test_picture_is_the_last_of_the_body():
    assert watched("<html><body>Hello</body></html>").endswith("></body></html>")
    assert "/_sandbox/open/" in watched("Hello")


def test_mail_is_left_alone_where_nothing_is_asked_for():
    html = '<a href="https://example.com/">Here</a>'

    assert watched(html, frozenset()) == html
    assert watched("") == ""


def test_links_lead_over_ses_and_from_there_to_where_they_led():
    html = '<a class="b" href="https://example.com/?a=1&amp;b=2">1</a> <A HREF=\'http://x.test/\'>2</A>'
    sent = mail(html, frozenset({tracking.CLICK}))

    assert f'<a class="b" href="{SES}/_sandbox/click/{sent.id}/0">1' in tracking.watched(
        sent, url=SES
    )
    assert f"<A HREF='{SES}/_sandbox/click/{sent.id}/1'>2" in tracking.watched(sent, url=SES)
    assert tracking.link(sent, 0) == "https://example.com/?a=1&b=2"
    assert tracking.link(sent, 1) == "http://x.test/"
    assert tracking.link(sent, 2) is None


@pytest.mark.parametrize(
    ("html", "left"),
    [
        (
            '<a ses:no-track href="https://example.com/">1</a>',
            '<a href="https://example.com/">1</a>',
        ),
        ('<a ses:no-track="" href="https://a.test/">1</a>', '<a href="https://a.test/">1</a>'),
        ('<a href="mailto:ada@example.com">1</a>', '<a href="mailto:ada@example.com">1</a>'),
        ('<a name="top">1</a>', '<a name="top">1</a>'),
    ],
)
def test_what_is_no_link_to_a_page_or_not_to_be_tracked_is_left(html, left):
    assert watched(html, frozenset({tracking.CLICK})) == left


def test_without_clicks_there_is_no_way_over_ses():
    assert tracking.link(mail('<a href="https://example.com/">1</a>', frozenset()), 0) is None
