import pytest

from tests.test_browser_shop import choose, fill_in, wait_for_delivery

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def place_orders(site):
    for number, products in enumerate([("Desk lamp", "Green tea"), ("Headphones",)]):
        page = site.open()
        choose(page, *products)
        fill_in(page, email="ada@example.com" if number == 0 else "bob@example.net")
        page.get_by_role("button", name="Place order").click()
        if number == 0:
            wait_for_delivery(page)
    return page.url
