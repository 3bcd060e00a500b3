import pytest

from emails.checking.signatures import SIGNATURES
from emails.rendering import templates
from emails.rendering.template_helpers import HELPERS


def test_every_helper_has_a_signature():
    assert SIGNATURES.keys() == HELPERS.keys()


@pytest.mark.parametrize("name", SIGNATURES)
def test_example_prints_what_it_says(name):
    signature = SIGNATURES[name]
    files = {"subject.hbs": "s", "body.html.hbs": "x", "body.txt.hbs": signature.example}
    letterhead = templates.default_letterhead("shop")

    text = templates.of_sources("t", files).render(signature.data, letterhead).text

    assert text == signature.output
