import pytest

from emails.checking.findings import Level
from tests.emails.checking.hostile import CASES
from tests.emails.checking.samples import body, found


@pytest.mark.parametrize(("code", "case"), CASES)
def test_hostile_template_is_refused_where_it_is_wrong(code, case):
    files = case if isinstance(case, dict) else body(case)

    errors = [problem for problem in found(files) if problem.level == Level.ERROR]

    assert code in {problem.code for problem in errors}
    assert all(problem.line >= 1 and problem.column >= 1 for problem in errors)


def test_corpus_has_hundreds_of_templates():
    assert len(CASES) >= 200
