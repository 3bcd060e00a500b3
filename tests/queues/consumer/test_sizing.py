import pytest

from queues import registry
from queues.consumer.sizing import LEAST, MOST, Sizing


@registry.needs
def a_few(alias):
    return 3 if alias == "lamps" else None


@registry.needs
def some_more(alias):
    return 5 if alias == "lamps" else None


@pytest.fixture
def sizing():
    """A function that looks with this need; returns all sizes that were set so far."""
    sizes: list[int] = []
    found: list[int | None] = []
    sizing = Sizing(
        ["lamps"], resize=lambda alias, size: sizes.append(size), needed=lambda alias: found[-1]
    )

    def look(need):
        found.append(need)
        assert sizing.adjust() == 0
        return sizes

    return look


def test_size_follows_what_is_needed(sizing):
    for need in (24, 48, 20):
        sizing(need)

    assert sizing(20) == [24, 48, 20]


def test_size_stays_where_nobody_has_an_idea(sizing):
    assert sizing(None) == []


def test_size_keeps_within_its_bounds(sizing):
    sizing(1000)

    assert sizing(1) == [MOST, LEAST]


def test_each_of_several_processes_takes_its_part():
    sizes = []
    sizing = Sizing(
        ["lamps"],
        resize=lambda alias, size: sizes.append(size),
        processes=4,
        needed=lambda alias: 75,
    )

    sizing.adjust()

    assert sizes == [19]


def test_small_changes_are_left_alone(sizing):
    sizing(40)

    assert sizing(49) == sizing(21) == [40]
    assert sizing(50) == [40, 50]
    assert sizing(25) == [40, 50, 25]


def test_change_is_one_line_in_the_log(sizing, caplog):
    caplog.set_level("INFO")

    sizing(16)
    sizing(17)

    assert caplog.messages == ["resized queue=lamps at_once=16 before=8"]


@pytest.mark.django_db
def test_largest_of_what_upper_apps_need_counts():
    assert registry.needed("lamps") == 5
    assert registry.needed("ses-events") is None
