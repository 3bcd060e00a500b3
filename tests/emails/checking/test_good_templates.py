import pytest

from emails.rendering import templates
from tests.emails.checking.good import CASES
from tests.emails.checking.samples import BARE, FULL, GOOD, body, found


def files_of(case):
    return case if isinstance(case, dict) else body(case)


@pytest.mark.parametrize("case", CASES)
def test_good_template_has_no_error(case):
    problems = found(files_of(case), sample=FULL)

    assert [str(problem) for problem in problems if problem.code != "no-preheader"] == []


@pytest.mark.parametrize("data", [FULL, BARE], ids=["full", "bare"])
@pytest.mark.parametrize("case", CASES)
def test_template_without_an_error_renders_whatever_the_schema_allows(case, data):
    files = {**GOOD, **files_of(case)}
    letterhead = templates.default_letterhead("shop")

    rendered = templates.of_sources("test", files).render(data, letterhead)

    assert rendered.subject and "{{name}}" not in rendered.html.replace("{{nme}}", "")


def test_there_are_many_good_templates():
    assert len(CASES) >= 60
