import pytest

from queues.events import postal


@pytest.mark.parametrize(
    ("country", "is_first"),
    [
        ("United Kingdom", True),
        (" U.K.", True),
        ("usa", True),
        ("Germany", False),
        ("France", False),
        ("", False),
    ],
)
def test_the_town_stands_before_the_postal_code_where_the_country_has_it_so(country, is_first):
    assert postal.is_town_first(country) is is_first
