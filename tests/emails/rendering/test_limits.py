import pytest

from emails.errors import RenderError
from emails.rendering import templates

ITEMS = [{"name": "x" * 50} for _ in range(1000)]
TOO_LONG = "longer than 1,000,000 characters"
TOO_SLOW = "takes too long"
TOO_OFTEN = "called too often"


def render(source, *, data=None, text="x", **partials):
    files = {"subject.hbs": "s", "body.html.hbs": source}
    files |= {"body.txt.hbs": text} if text else {}
    files |= {f"partials/{name}.hbs": partial for name, partial in partials.items()}
    letterhead = templates.default_letterhead("shop")
    return templates.of_sources("t", files).render({"items": ITEMS, **(data or {})}, letterhead)


def chain(link):
    """Nine partials, each of which calls the next nine times."""
    partials = {f"a{number}": link.replace("NEXT", f"a{number + 1}") * 9 for number in range(9)}
    return {**partials, "a9": "x"}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{#each items}}{{#each @root.items}}x{{/each}}{{/each}}", TOO_LONG),
        (
            "{{#each items}}{{#each @root.items}}{{#each @root.items}}{{/each}}{{/each}}{{/each}}",
            TOO_SLOW,
        ),
        (
            "{{#items}}{{#@root.items}}{{#@root.items}}x{{/@root.items}}{{/@root.items}}{{/items}}",
            TOO_SLOW,
        ),
        ("{{#each items}}" + "z" * 100_000 + "{{/each}}", TOO_LONG),
        ("{{#each items}}{{name}}" + "z" * 100_000 + "{{/each}}", TOO_LONG),
    ],
)
def test_lists_inside_each_other_end_in_an_error(source, problem):
    with pytest.raises(RenderError, match=rf"^t/body\.html\.hbs: .*({problem}|{TOO_SLOW})"):
        render(source)


@pytest.mark.parametrize("link", ["{{> NEXT}}", "{{#if items}}{{> NEXT}}{{/if}}"])
def test_partials_that_call_each_other_ever_more_often_end_in_an_error(link):
    with pytest.raises(RenderError, match=TOO_OFTEN):
        render("{{> a0}}", **chain(link))


def test_long_values_end_in_an_error():
    with pytest.raises(RenderError, match=TOO_LONG):
        render("{{long}}" * 300, data={"long": "y" * 60_000})


def test_indents_of_partials_end_in_an_error():
    partials = {f"a{n}": f"\n{' ' * 2000}{{{{> a{n + 1}}}}}\n" for n in range(40)}

    with pytest.raises(RenderError, match=TOO_LONG):
        render("\n {{> a0}}\n", **partials, a40="x\n" * 1000)


def test_text_part_and_subject_have_the_same_limits():
    with pytest.raises(RenderError, match=r"^t/body\.txt\.hbs: .*takes too long"):
        render("x", text="{{#each items}}{{#each @root.items}}{{name}}{{/each}}{{/each}}")


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<table><td>", "<p>{{long}}", "<a href='"])
@pytest.mark.parametrize("text", ["x", ""], ids=["written text", "text from HTML"])
def test_deep_markup_does_not_end_the_process(tag, text):
    count = 4000 // tag.count("<")

    rendered = render(tag * count + "{{long}}", text=text, data={"long": "x"})

    assert rendered.html


@pytest.mark.parametrize("tag", ["<div>", "{{#each items}}<div>{{/each}}" * 11, "</p>"])
def test_too_many_tags_are_an_error(tag):
    with pytest.raises(RenderError, match="more than 10,000 tags"):
        render(tag * (1 if "each" in tag else 10_001))


@pytest.mark.parametrize(
    "selector", ["p:nth-last-child(2n) ~ p ~ p", "div:has(p):not(.a)", "p ~ p"]
)
def test_style_sheets_that_take_long_are_an_error(selector):
    with pytest.raises(RenderError, match="the style sheet takes too long"):
        render(
            f"<style>{f'{selector} {{ color: red }}' * 500}</style>" + "<div><p>x</p></div>" * 400
        )


def test_a_thousand_items_are_rendered():
    rows = "<table>{{#each items}}<tr><td>{{name}}</td><td>{{@index}}</td></tr>{{/each}}</table>"

    rendered = render(f"<style>td {{ color: red }}</style>{rows}")

    assert rendered.html.count('<td style="color: red;">') == 2000
