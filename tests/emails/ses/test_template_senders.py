"""A template may have a brand, a sender and a reply address of its own, and a brand a logo."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from emails.models import Edition, EmailTemplate, Notification
from emails.rendering import templates
from emails.ses import brands, default_sender, ses_api
from emails.versions import editions, in_force
from tests.emails.ses.test_brands import EMPTY, SAVE, accepted, html_of  # noqa: F401  # a fixture
from tests.support.builders import make_order

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
DATA = templates.sample(NAME).data
SENDER = "orders@shop.example"
FORM = reverse("admin:emails_emailtemplate_sender", args=[NAME])
NOTHING = dict.fromkeys(["brand", "address", "display_name", "reply_to"], "")
LOGO = "https://cdn.example.com/logo.png"


def choose(**fields):
    brands.choose(NAME, **{"brand": "", "sender": "", "reply_to": ""} | fields)


def test_an_email_has_the_brand_sender_and_replies_of_its_template(accepted, aws, admin_client):  # noqa: F811
    aws.verify(SENDER)
    fields = {
        "brand": "bank",
        "address": SENDER,
        "display_name": "Grüße, Shop",
        "reply_to": "desk@shop.example",
    }

    page = admin_client.post(FORM, fields, follow=True).text
    email = accepted(make_order)

    assert f"{NAME} is now sent as Grüße, Shop &lt;{SENDER}&gt;" in page
    assert str(email["From"]) == f"Grüße, Shop <{SENDER}>".replace("Grüße, Shop", '"Grüße, Shop"')
    assert email["Reply-To"] == "desk@shop.example"
    assert "Notifier Bank" in html_of(email)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message.partition(". Before")[0]) == (
        NAME,
        f"Changed brand, address, display_name, reply_to. Brand bank, sent as Grüße, Shop <{SENDER}>",
    )


def test_what_is_empty_is_as_the_brand_says(settings):
    brands.save("bank", by="ada", reply_to="bank@bank.example", address="a@bank.example")
    assert default_sender.of(NAME) == settings.SES_FROM_EMAIL
    choose(brand="bank")
    assert default_sender.of(NAME) == "Notifier Bank <a@bank.example>"
    assert brands.reply_to(NAME) == "bank@bank.example"
    choose(sender=SENDER)
    assert default_sender.of(NAME) == f"Notifier Shop <{SENDER}>"
    assert default_sender.of("transaction_alert") == "Notifier Bank <a@bank.example>"


def test_a_sender_that_ses_has_not_verified_is_refused(admin_client, aws):
    page = admin_client.post(FORM, NOTHING | {"address": SENDER}).text

    assert f"SES has verified neither {SENDER} nor its domain." in page
    assert not EmailTemplate.objects.exists()


def test_a_name_needs_an_address_and_a_brand_must_be_known(admin_client, aws):
    page = admin_client.post(FORM, NOTHING | {"display_name": "Shop", "brand": "nobody"}).text

    assert "A sender with a name of its own needs an address." in page
    assert "nobody is not one of the available choices" in page
    assert not EmailTemplate.objects.exists()


def test_only_staff_who_may_choose_senders_see_the_form(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ada", is_staff=True))

    assert client.get(FORM).status_code == 403
    assert client.post(FORM, NOTHING).status_code == 403


def test_there_is_no_form_for_what_is_no_template(admin_client):
    for name in ("missing", "partials"):
        assert admin_client.get(FORM.replace(NAME, name)).status_code == 404


def test_the_form_shows_what_was_chosen(admin_client):
    choose(sender='"A \\"B\\", C" <orders@shop.example>', brand="bank")

    form = admin_client.get(FORM).context["form"]

    assert form.initial == {
        "brand": "bank",
        "address": SENDER,
        "display_name": 'A "B", C',
        "reply_to": "",
    }


def test_the_senders_of_templates_are_watched_like_those_of_brands(aws):
    choose(sender=f"Shop <{SENDER}>")

    assert SENDER in default_sender.addresses_in_force()
    assert ses_api.unverified_senders() == [SENDER]


def test_emails_cost_no_query_for_their_sender(django_assert_num_queries):
    choose(brand="bank", sender=SENDER)
    default_sender.of(NAME)

    with django_assert_num_queries(0):
        for _ in range(10):
            default_sender.of(NAME), brands.reply_to(NAME), in_force.letterhead(NAME)


def test_an_email_keeps_the_letterhead_that_it_was_sent_on(accepted):  # noqa: F811
    accepted(make_order)
    email = Notification.objects.get()
    before = in_force.render_recorded(email)
    choose(brand="bank")
    brands.save("shop", by="ada", logo=LOGO)
    editions.forget()

    assert in_force.render_recorded(Notification.objects.get()) == before


def test_editions_of_earlier_and_later_releases_are_read():
    edition = Edition.objects.get(pk=in_force.edition(NAME))
    for change in ({"logo_of_next_year": "x"}, {}):
        saved = {"name": "Shop", "mark": "S"} | change
        Edition.objects.filter(pk=edition.pk).update(letterhead=saved)
        editions.forget()

        assert "Shop" in editions.render_again(edition.pk, DATA).html


@pytest.fixture
def logo(settings, admin_client):
    settings.LINK_HOSTS = ["cdn.example.com"]

    def save(**fields):
        save_shop = SAVE.replace("bank", "shop")
        return admin_client.post(save_shop, EMPTY | {"logo": LOGO} | fields)

    return save


def test_a_logo_stands_for_the_letter_and_the_name(logo):
    assert "<img" not in in_force.render(NAME, DATA).html
    assert logo(logo_alt='The "Shop"', logo_width="90").status_code == 302

    html = in_force.render(NAME, DATA).html

    assert f'src="{LOGO}"' in html
    assert 'alt="The &quot;Shop&quot;"' in html
    assert 'width="90"' in html
    assert 'class="mark"' not in html
    assert "<img" not in in_force.render("transaction_alert", ALERT).html


ALERT = templates.sample("transaction_alert").data


def test_a_logo_without_text_and_width_has_the_name_of_the_brand(logo):
    logo()

    assert 'alt="Notifier Shop" width="120"' in in_force.render(NAME, DATA).html


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://cdn.example.com/logo.png", "must begin with https://"),
        ("https://evil.example/logo.png", "A link may not lead to evil.example"),
        ("javascript:alert(1)", "must begin with https://"),
        ("https://cdn.example.com/a b.png", "A link may not lead to"),
    ],
)
def test_a_logo_from_elsewhere_is_refused(logo, address, problem):
    response = logo(logo=address)

    assert response.status_code == 200
    assert problem in response.text


def test_a_logo_that_is_too_wide_is_refused(logo):
    assert "less than or equal to 400" in logo(logo_width="900").text
