"""The files of a template, taken away from their folder: they render alone, as they did there."""

import pytest

from emails.errors import RenderError
from emails.rendering import templates

LETTERHEAD = templates.Letterhead("Shop", mark="S")


@pytest.mark.parametrize("name", templates.names())
def test_files_of_a_template_render_alone_what_the_deployed_ones_render(name):
    files = templates.of_sources(name, templates.sources(name))
    data = templates.sample(name).data
    letterhead = templates.default_letterhead(templates.brand(name))
    assert files.render(data, letterhead) == templates.render(name, data)


def test_only_the_partials_that_are_called_come_along_those_of_partials_too():
    partials = {f"partials/{name}.hbs": text for name, text in PARTIALS.items()}
    files = {
        "body.html.hbs": "{{#if a}}{{> outer}}{{else}}{{#> [in-block]}}x{{/[in-block]}}{{/if}}"
    }
    found = templates.closed(files, partials).keys() - files.keys()
    assert found == {f"partials/{name}.hbs" for name in ("outer", "inner", "in-block")}


PARTIALS = {
    "outer": '{{> "inner"}}{{> @partial-block}}',
    "inner": "{{#*inline 'own'}}x{{/inline}}{{> own}}{{> inner}}",
    "in-block": "y",
    "not-called": "{{> outer}}",
}


def test_if_the_data_chooses_a_partial_all_come_along():
    partials = {f"partials/{name}.hbs": text for name, text in PARTIALS.items()}
    assert templates.closed({"subject.hbs": "{{> (lookup this 'kind')}}"}, partials).keys() > (
        partials.keys()
    )


@pytest.mark.parametrize(
    "files, message",
    [
        ({"subject.hbs": "x"}, "welcome/body.html.hbs: no such template"),
        ({"subject.hbs": "{{x", "body.html.hbs": "x"}, "welcome/subject.hbs: line 1"),
        ({"subject.hbs": "{{> gone}}", "body.html.hbs": "x"}, "The partial gone could not be"),
        ({"subject.hbs": "{{name}}", "body.html.hbs": "x"}, "welcome/subject.hbs: the data has no"),
    ],
)
def test_an_error_names_the_file_as_if_it_were_deployed(files, message):
    with pytest.raises(RenderError, match=message):
        templates.of_sources("welcome", files).render({}, LETTERHEAD)


def test_a_broken_partial_is_refused_before_anything_is_rendered():
    with pytest.raises(RenderError, match="partials/layout.hbs: line 1"):
        templates.of_sources("welcome", {"partials/layout.hbs": "{{#if x}}"})
    with pytest.raises(RenderError, match="body.html.hbs: line 1"):
        templates.closed({"body.html.hbs": "{{#if x}}"}, {})
