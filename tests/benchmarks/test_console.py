import pytest

from benchmarks.grow import admin_pages, table_rows


@pytest.mark.django_db
def test_every_page_that_is_timed_answers_and_is_counted():
    table_rows.fill(kind="sent", first=1, count=8)

    found = dict(admin_pages.timings(letters=8, times=1))

    assert {"overview", "timeline", "before a redrive"} <= found.keys()
    assert {title: timing.queries for title, timing in found.items() if not timing.queries} == {}
