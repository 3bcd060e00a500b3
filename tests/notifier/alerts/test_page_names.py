"""Consumers name the pages that alerts lead to without loading them; each name means the page of the site."""

import re

import pytest
from django.urls import get_resolver, reverse

from tests.test_registration import ROOT, SETUP, WEB_MODULES, _loaded

WORKER = (
    "import os; os.environ['SERVES_PAGES'] = 'off'; sys.modules['OpenSSL'] = None; "
    f"{SETUP}; import queues.aws_lambda, queues.management.commands.consume_queue; "
    "import notifier.doctor.runs; from queues.doctor import findings; findings.load(); "
    "from django.urls import reverse; reverse('admin:index')"
)


def admin_names(urls):
    _, admin = get_resolver(urls).namespace_dict["admin"]
    return {f"admin:{name}" for name in admin.reverse_dict if isinstance(name, str)}


# Models that the admin does not show have a name here too.
NAMES = sorted(admin_names("notifier.page_names") & admin_names("notifier.urls"))


@pytest.fixture(scope="module")
def loaded():
    return _loaded(WORKER)


@pytest.mark.parametrize("name", NAMES)
def test_page_has_the_same_address_as_on_the_site(name):
    given = ["a1"] if name.endswith(("_change", "_edit", "_group", "_template")) else []

    assert reverse(name, args=given, urlconf="notifier.page_names") == reverse(
        name, args=given, urlconf="notifier.urls"
    )


def test_each_page_that_a_worker_names_is_there(loaded):
    sources = [ROOT / f"{name.replace('.', '/')}.py" for name in loaded - {"notifier.settings"}]
    named = {
        name
        for source in sources
        if source.exists()
        for name in re.findall(r'(?:reverse\(\s*|page\w*=)"([^"]+)"', source.read_text())
    }

    assert {"admin:index", "admin:queues_deadletter_groups", "orders:detail"} <= named
    assert {name for name in named if not name.startswith("orders:")} <= set(NAMES)


def test_worker_names_pages_without_a_library_of_the_pages(loaded):
    assert "notifier.page_names" in loaded
    assert "notifier.urls" not in loaded
    assert WEB_MODULES & loaded == set()
