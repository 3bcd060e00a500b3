import re

import pytest

from sandbox.errors import InvalidMail, MessageRejected
from sandbox.ses import feedback, mailbox, post_office
from sandbox.ses.mailbox import Mail, Mailbox
from sandbox.ses.post_office import PostOffice

REGION = "eu-west-1"


@pytest.fixture
def office():
    return PostOffice(
        verified=["Shop@Example.com", "ada@example.com", "example.org"], sandbox_rules=True
    )


def make_mail(
    *recipients, source="Shop <shop@example.com>", raw=b"Subject: Hello\r\n\r\nHi", **given
):
    return Mail(raw, given_source=source, given_recipients=recipients, **given)


def event_types(*recipients):
    return [
        record["eventType"] for record in feedback.outcomes(make_mail(*recipients), region=REGION)
    ]


def test_verified_recipient_gets_the_mail(office):
    office.accept(make_mail("ada@example.com"), region=REGION)

    assert len(office.mailbox.newest_first()) == 1


def test_unverified_identities_are_named_as_aws_names_them(office):
    with pytest.raises(MessageRejected) as refusal:
        office.accept(
            make_mail("bob@example.com", "ada@example.com", source="Eve <eve@example.com>"),
            region=REGION,
        )

    assert str(refusal.value) == (
        "Email address is not verified. The following identities failed the check in region "
        "EU-WEST-1: eve@example.com, bob@example.com"
    )
    assert office.mailbox.newest_first() == []


@pytest.mark.parametrize(
    "recipient", ["ADA@EXAMPLE.COM", "anybody@Example.ORG", "bounce@simulator.amazonses.com"]
)
def test_case_domain_and_simulator_are_no_obstacle(office, recipient):
    office.accept(make_mail(recipient), region=REGION)

    assert office.mailbox.newest_first()[0].recipients == [recipient]


def test_without_the_rule_only_the_sender_must_be_verified(office):
    office.sandbox_rules = False
    office.accept(make_mail("bob@example.com"), region=REGION)

    with pytest.raises(MessageRejected, match="EU-WEST-1: eve@example.com$"):
        office.accept(make_mail("bob@example.com", source="eve@example.com"), region=REGION)


def test_simulator_is_no_verified_sender(office):
    with pytest.raises(MessageRejected):
        office.accept(
            make_mail("ada@example.com", source="success@simulator.amazonses.com"), region=REGION
        )


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (make_mail(), "Missing required header 'To'."),
        (make_mail("ada@example.com", source=""), "Missing required header 'From'."),
        (make_mail("ada"), "Missing final '@domain'"),
        (make_mail(*(f"{number}@example.org" for number in range(51))), "Recipient count exceeds"),
    ],
)
def test_malformed_mail_is_refused_with_a_reason(office, mail, reason):
    with pytest.raises(InvalidMail, match=reason):
        office.accept(mail, region=REGION)


def test_too_large_mail_is_refused_with_a_reason(office, monkeypatch):
    monkeypatch.setattr(post_office, "MAX_BYTES", 10)

    with pytest.raises(InvalidMail, match="Message length is more than 10 bytes long: '20'"):
        office.accept(make_mail("ada@example.com"), region=REGION)


def test_recipient_named_twice_counts_once():
    mail = make_mail("ada@example.com", "Ada <ADA@example.com>", raw=b"To: ada@example.com\r\n\r\n")

    assert mail.recipients == ["ada@example.com"]


def test_recipients_come_from_the_headers_when_the_call_names_none():
    mail = Mail(b"To: a@example.com, B <b@example.com>\r\nCc: c@example.com\r\n\r\n")

    assert mail.recipients == ["a@example.com", "b@example.com", "c@example.com"]


def test_pending_address_gets_a_mail_with_a_link_that_verifies_it(office):
    identity = office.request_verification("grace@example.net", region=REGION)

    (mail,) = office.mailbox.newest_first()

    assert mail.recipients == ["grace@example.net"]
    assert office.link(identity) in mail.body("text/plain")
    assert not office.identities.covers("grace@example.net")


def test_asking_again_sends_the_same_link_and_verifies_nothing(office):
    first = office.request_verification("grace@example.net", region=REGION)
    again = office.request_verification("GRACE@example.net", region=REGION)

    assert again is first
    assert len(office.mailbox.newest_first()) == 2


def test_domain_waits_without_a_mail(office):
    identity = office.request_verification("example.net", region=REGION)

    assert office.mailbox.newest_first() == []
    assert len(set(identity.dkim_tokens)) == 3


def test_tags_of_header_and_call_are_read():
    mail = make_mail(
        raw=b"X-SES-MESSAGE-TAGS: notification=7, attempt=9\r\n\r\n", given_tags={"attempt": "10"}
    )

    assert mail.tags == {"notification": "7", "attempt": "10"}


def test_instructions_to_ses_are_not_among_the_delivered_headers():
    detail = make_mail(raw=b"X-SES-CONFIGURATION-SET: set\r\nSubject: Hello\r\n\r\n").detail()

    assert detail["headers"] == [{"name": "Subject", "value": "Hello"}]
    assert detail["instructions"] == [{"name": "X-SES-CONFIGURATION-SET", "value": "set"}]


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: \xff\xfe\r\nTo: \xff@example.com\r\n\r\n\xff",
        b"Subject: =?nonsense?q?a?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"",
    ],
)
def test_any_bytes_can_be_shown(raw):
    assert make_mail(raw=raw).detail()["raw"] == raw.decode("utf-8", "replace")


def test_attachment_is_listed_and_not_taken_for_the_body():
    raw = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n"
        b"Content-Disposition: attachment; filename=a.txt\r\n\r\nfile\r\n"
        b"--x\r\nContent-Type: text/plain\r\n\r\nbody\r\n--x--\r\n"
    )

    detail = make_mail(raw=raw).detail()

    assert detail["text"] == "body"
    assert detail["attachments"] == [{"name": "a.txt", "type": "text/plain", "bytes": 4}]


def test_mailbox_keeps_the_newest_mails(monkeypatch):
    monkeypatch.setattr(mailbox, "CAPACITY", 2)
    box = Mailbox()
    mails = [make_mail() for _ in range(3)]

    for mail in mails:
        box.add(mail)

    assert box.newest_first() == [mails[2], mails[1]]
    assert box.get(mails[0].id) is None


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("ada@example.com", ["Delivery"]),
        ("success@simulator.amazonses.com", ["Delivery"]),
        ("bounce@simulator.amazonses.com", ["Bounce"]),
        ("bounce+label@simulator.amazonses.com", ["Bounce"]),
        ("complaint@simulator.amazonses.com", ["Delivery", "Complaint"]),
        ("ooto@simulator.amazonses.com", ["Delivery", "Bounce"]),
        ("suppressionlist@simulator.amazonses.com", ["Bounce"]),
        ("bouncer@customer.example", ["Delivery"]),
    ],
)
def test_simulator_address_decides_the_outcome(recipient, expected):
    assert event_types(recipient) == expected


def test_each_recipient_of_one_mail_has_its_own_outcome():
    assert event_types("ada@example.com", "bounce@simulator.amazonses.com") == [
        "Delivery",
        "Bounce",
    ]


def test_suppressed_recipient_bounces_by_the_account_list():
    mail = make_mail("suppressionlist@simulator.amazonses.com")

    (record,) = feedback.outcomes(mail, region=REGION)

    assert record["bounce"]["bounceType"] == "Permanent"
    assert record["bounce"]["bounceSubType"] == "OnAccountSuppressionList"


def test_event_carries_message_id_destination_and_tags():
    mail = make_mail("ada@example.com", given_tags={"attempt": "9"}, given_configuration_set="set")

    record = feedback.sent(mail, region=REGION)

    assert record["eventType"] == "Send"
    assert record["mail"]["messageId"] == mail.id
    assert record["mail"]["destination"] == ["ada@example.com"]
    assert record["mail"]["tags"]["attempt"] == ["9"]
    assert record["mail"]["tags"]["ses:configuration-set"] == ["set"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ada@bücher.example", "Domain contains illegal character"),
        ("ada@exam\u200bple.com", "Domain contains illegal character"),
        ("ada@example.com%!", "Domain contains illegal character"),
        ("müller@example.com", "Local address contains control or whitespace"),
        ("someuser .xy@example.com", "Local address contains control or whitespace"),
        ("ada", "Missing final '@domain'"),
        ("ada@", "Missing final '@domain'"),
        ("@example.com", "Missing local name"),
    ],
)
def test_address_that_ses_refuses_is_refused_with_its_words(office, address, words):
    with pytest.raises(InvalidMail, match=re.escape(words)):
        post_office.check_address(address)


@pytest.mark.parametrize(
    "given",
    [
        {"source": "shop@bücher.example"},
        {"source": "Café <shop@example.com>"},
        {"recipients": ["ada@bücher.example"]},
    ],
)
def test_mail_with_an_address_outside_ascii_is_refused(office, given):
    source = given.get("source", "Shop <shop@example.com>")

    with pytest.raises(InvalidMail):
        office.accept(
            make_mail(*given.get("recipients", ["ada@example.com"]), source=source), region=REGION
        )

    assert office.mailbox.newest_first() == []


def test_sender_with_an_encoded_name_is_taken(office):
    office.accept(
        make_mail("ada@example.com", source="=?utf-8?b?Q2Fmw6k=?= <shop@example.com>"),
        region=REGION,
    )

    assert office.mailbox.newest_first()[0].source == "Café <shop@example.com>"


@pytest.mark.parametrize("name", ["bücher.example", "ada@bücher.example", "müller@example.com"])
def test_identity_outside_ascii_is_refused(office, name):
    with pytest.raises(InvalidMail):
        office.request_verification(name, region=REGION)
