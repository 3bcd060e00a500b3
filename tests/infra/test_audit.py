import json

from infra import audit

DJANGO = {"name": "django", "version": "5.2.1", "vulns": []}
UNKNOWN = {"name": "six", "skip_reason": "Dependency not found on PyPI"}
JINJA = {
    "name": "jinja2",
    "version": "3.1.1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"], "aliases": ["CVE-2024-22195"]}],
}


def judge(*packages):
    return audit.verdict(json.dumps({"dependencies": packages, "fixes": []}), "")


def test_known_vulnerability_fails_and_says_what_mends_it():
    code, text = judge(DJANGO, JINJA)

    assert code == 1
    assert "jinja2 3.1.1: PYSEC-1, CVE-2024-22195; fixed in 3.1.6" in text


def test_nothing_known_passes_and_says_of_how_many():
    assert judge(DJANGO) == (0, "audit: 1 of 1 packages looked up")


def test_what_could_not_be_looked_up_is_said():
    assert judge(DJANGO, UNKNOWN) == (0, "audit: 1 of 2 packages looked up; not found: six")


def test_index_without_advisories_is_not_taken_for_good_news():
    code, text = judge(UNKNOWN, UNKNOWN)

    assert code == 0
    assert "nothing was found out" in text


def test_machine_without_network_passes_and_says_so():
    code, text = audit.verdict("", "Traceback\nConnectionError: Could not connect to PyPI")

    assert (code, text) == (
        0,
        "audit: nobody could be asked about vulnerabilities (ConnectionError: Could not connect to PyPI)",
    )
