import json

import pytest
from django.core import checks
from pydantic import TypeAdapter, ValidationError

from queues.errors import BadData
from queues.events.envelope import Event
from queues.events.links import Url
from queues.models import OutboxEvent
from tests.support.builders import make_order

url = TypeAdapter(Url)


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.BASE_URL = "https://shop.example.com"
    settings.LINK_HOSTS = ["carrier.example.org", "127.0.0.1:8000"]


@pytest.mark.parametrize(
    "link",
    [
        "https://shop.example.com",
        "https://shop.example.com/orders/1/?key=a@b:c#d",
        "https://SHOP.Example.com:443/",
        "https://shop.example.com?next=//evil.example.net",
        "https://shop.example.com/größe",
        "https://carrier.example.org/track/1",
        "http://127.0.0.1:8000/",
    ],
)
def test_link_to_an_allowed_host_is_taken(link):
    assert url.validate_python(link) == link


# Each is read by some browser or mail program as another host than a careless check reads (WHATWG URL standard).
@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example.net/",
        "https://shop.example.com@evil.example.net/",
        "https://shop.example.com:443@evil.example.net/",
        "https://user:secret@shop.example.com/",
        "https://evil.example.net\\@shop.example.com/",
        "https:\\\\evil.example.net/",
        "https://shop.example.com\\.evil.example.net/",
        "https:///evil.example.net/",
        "https:evil.example.net",
        "//evil.example.net/",
        "https://shop.example.com:8443/",
        "https://shop.example.com:/",
        "https://shop.example.com:99999/",
        "http://127.0.0.1/",
        "https://shop.example.com./",
        "https://shop.example.com.evil.example.net/",
        "https://evilshop.example.com/",
        "https://example.com/",
        "https://shop.exаmple.com/",  # noqa: RUF001  # a Cyrillic letter
        "https://shop。example.com/",
        "https://shop.example.com／.evil.example.net/",  # noqa: RUF001
        "https://xn--shop-example.com/",
        "https://shop%2eexample.com/",
        "https://shop.example.com%2f.evil.example.net/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://shop.example.com/\r\nx",
        "https://shop.example.com/\x00",
        "https://shop.\texample.com/",
        " https://shop.example.com/",
        "https://shop.example.com/ ",
        "javascript:alert(1)//https://shop.example.com/",
        "data:text/html,x",
        "ftp://shop.example.com/",
        "",
    ],
)
def test_link_anywhere_else_is_refused(link):
    with pytest.raises(ValidationError):
        url.validate_python(link)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "link",
    ["https://evil.example.net/phish", "https://shop.example.com@evil.example.net/?key=s3cret"],
)
def test_foreign_event_with_a_link_elsewhere_names_field_and_host(link):
    make_order()
    envelope = json.loads(OutboxEvent.objects.latest("pk").body)
    envelope["data"]["order_url"] = link

    with pytest.raises(BadData, match=r"order_url: .* evil\.example\.net: its host") as refused:
        Event.from_json(json.dumps(envelope))

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("entry", ["https://a.example", "a.example/", "*.a.example", "", "a b"])
def test_entry_that_is_no_host_is_an_error_at_start(entry, settings):
    settings.LINK_HOSTS = [entry]

    assert "queues.LINK_HOSTS" in [found.id for found in checks.run_checks(tags=["delivery"])]
