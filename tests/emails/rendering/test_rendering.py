import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emails.errors import RenderError
from emails.events import EmailReturned
from emails.rendering import inlining, templates
from emails.sending.trials import EmailTestRequested
from orders.events import CustomerLinkRequested, CustomerRegistered, OrderPlaced, TransactionPosted

# Every template there is, so that a new one is tried without being named here.
NAMES = templates.names()
ORDER: dict[str, Any] = dict(templates.sample("order_confirmation").data)
ALERT: dict[str, Any] = dict(templates.sample("transaction_alert").data)
VERIFY: dict[str, Any] = dict(templates.sample("verify_email").data)
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>{{settings}}\'; --'


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value) for name, value in attrs)

    def handle_data(self, data):
        self.text += data

    def hrefs(self):
        return [value for tag, name, value in self.attributes if name == "href"]


def with_value(context, path, value):
    changed = copy.deepcopy(context)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def texts_in(value, path=()):
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_in(item, (*path, index))


@pytest.fixture
def template(tmp_path, settings):
    """A template of our own: template(subject="…", html="…", text="…") makes the email "trial"."""
    files = {"subject": "subject.hbs", "html": "body.html.hbs", "text": "body.txt.hbs"}
    entry = {**settings.TEMPLATES[1], "DIRS": [tmp_path]}
    settings.TEMPLATES = [settings.TEMPLATES[0], entry]

    def make(**sources):
        (tmp_path / "trial").mkdir(exist_ok=True)
        for part, source in ({"subject": "Hi", "html": "<p>Hi</p>"} | sources).items():
            (tmp_path / "trial" / files[part]).write_text(source)
        return tmp_path / "trial"

    return make


def test_names_lists_templates_and_no_partials():
    assert "order_confirmation" in NAMES
    assert sorted(NAMES) == NAMES
    assert "partials" not in NAMES


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("order_confirmation", OrderPlaced),
        ("support_alert", EmailReturned),
        ("test_email", EmailTestRequested),
        ("sign_in_link", CustomerLinkRequested),
        ("transaction_alert", TransactionPosted),
        ("verify_email", CustomerRegistered),
    ],
)
def test_samples_are_what_the_producer_promises(name, model):
    sample = templates.samples()[name]

    data = model.model_validate(sample.data).model_dump(mode="json")

    assert sample.type == model.event_type
    assert data == sample.data


@pytest.mark.parametrize(
    ("name", "links"), [("order_confirmation", 1), ("sign_in_link", 2), ("verify_email", 2)]
)
def test_link_that_opens_without_a_password_is_kept_from_the_tracking_of_ses(name, links):
    html = templates.render(name, templates.sample(name).data).html

    assert html.count("<a ") == html.count("ses:no-track") == links


def test_unknown_sample_is_an_error():
    with pytest.raises(RenderError, match="nothing: no sample.json"):
        templates.sample("nothing")


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "a"}', '{"types": "a"}'])
def test_broken_sample_is_an_error_that_names_it(content, template):
    (template() / "sample.json").write_text(content)

    with pytest.raises(RenderError, match=r"trial/sample.json: "):
        templates.sample("trial")


def test_order_confirmation_tells_what_was_ordered():
    rendered = templates.render("order_confirmation", ORDER)

    assert rendered.subject == "Your order ORD-000123 is confirmed"
    for part in (Page(rendered.html).text, rendered.text):
        for fact in ["Ada Lovelace", "Blue mug", "$12.50", "$25.00", "$1,233.90", "MUG-01"]:
            assert fact in part
        assert "22 November 2026, 10:00 UTC" in part
        assert "12 St James's Square" in part
    assert ORDER["order_url"] in Page(rendered.html).hrefs()
    assert ORDER["order_url"] in rendered.text


@pytest.mark.parametrize(
    ("kind", "verb", "way"), [("deposit", "credited", "to"), ("withdrawal", "debited", "from")]
)
def test_transaction_alert_says_the_sentence_in_one_piece(kind, verb, way):
    rendered = templates.render("transaction_alert", {**ALERT, "kind": kind})

    assert rendered.subject == f"Transaction Alert: $150.00 {verb}"
    for part in (rendered.html, rendered.text):
        assert f"$150.00 was {verb} {way} your account." in part
        for fact in ["$2,450.00", "TXN-000042", "22 November 2026, 10:00 UTC", "•••• 4821"]:
            assert fact in part


def test_transaction_without_a_description_has_no_empty_row():
    rendered = templates.render("transaction_alert", {**ALERT, "description": ""})

    assert "Description" not in rendered.html + rendered.text


def test_verification_has_a_button_and_the_plain_link():
    rendered = templates.render("verify_email", VERIFY)

    page = Page(rendered.html)
    assert page.hrefs() == [VERIFY["verify_url"]] * 2
    assert VERIFY["verify_url"] in page.text
    assert VERIFY["verify_url"] in rendered.text
    assert "23 November 2026, 10:00 UTC" in rendered.text


@pytest.mark.parametrize("name", NAMES)
def test_html_needs_nothing_from_elsewhere(name):
    page = Page(templates.render(name, templates.sample(name).data).html)

    assert not {"script", "img", "link", "iframe", "form"} & set(page.tags)
    assert ("html", "lang", "en") in page.attributes
    assert not [value for _, name, value in page.attributes if name in ("src", "background")]


@pytest.mark.parametrize("name", NAMES)
def test_css_is_inline_but_for_what_cannot_be(name):
    html = templates.render(name, templates.sample(name).data).html

    style = html[html.index("<style>") : html.index("</style>")]
    assert "@media (prefers-color-scheme: dark)" in style
    assert "@media (max-width: 620px)" in style
    assert "letter-spacing: -0.3px" not in style
    assert 'class="card" bgcolor="#ffffff" style="' in html
    assert '<meta name="color-scheme" content="light dark">' in html


@pytest.mark.parametrize("name", NAMES)
def test_html_fits_where_gmail_cuts(name):
    assert len(templates.render(name, templates.sample(name).data).html.encode()) < 102 * 1024


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name in NAMES for path in texts_in(templates.sample(name).data)],
)
def test_html_in_any_field_stays_text(name, path):
    context = with_value(templates.sample(name).data, path, HOSTILE)

    try:
        rendered = templates.render(name, context)
    except RenderError:
        # Currencies, times and links are checked; everything else is printed or not used.
        assert str(path[-1]).endswith(("currency", "_at", "_url", "link"))
        return

    page = Page(rendered.html)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    if HOSTILE in rendered.text:
        assert HOSTILE in page.text


def test_hostile_name_is_printed_as_it_is():
    rendered = templates.render(
        "order_confirmation", with_value(ORDER, ("customer", "name"), HOSTILE)
    )

    assert HOSTILE in rendered.text
    assert HOSTILE in Page(rendered.html).text


@pytest.mark.parametrize("name", NAMES)
def test_long_texts_are_rendered_whole(name):
    context = templates.sample(name).data
    paths: list[tuple[str | int, ...]] = [
        ("account", "holder_name"),
        ("customer", "name"),
        ("emails", 0, "reason"),
        ("urgent", 0, "headline"),
        ("requested_by",),
    ]
    [path] = [path for path in paths if path[0] in context]

    rendered = templates.render(name, with_value(context, path, "Ö" * 10_000))

    assert "Ö" * 10_000 in rendered.html
    assert "Ö" * 10_000 in rendered.text


def test_link_that_is_not_of_the_web_is_an_error():
    with pytest.raises(RenderError, match="verify_email/body.html.hbs: link: 'javascript:"):
        templates.render("verify_email", {**VERIFY, "verify_url": "javascript:alert(1)"})


def test_missing_variable_names_itself_and_its_template():
    context = {key: value for key, value in VERIFY.items() if key != "expires_at"}

    with pytest.raises(RenderError) as raised:
        templates.render("verify_email", context)

    assert str(raised.value) == "verify_email/body.html.hbs: the data has no expires_at"


@pytest.mark.parametrize("name", ["nothing", "../../templates/admin", "", "partials"])
def test_unknown_template_is_a_render_error(name):
    with pytest.raises(RenderError, match="no such template"):
        templates.render(name, {})


def test_broken_text_part_is_a_render_error(template):
    template(text="{{#if x}}")

    with pytest.raises(
        RenderError, match="trial/body.txt.hbs: line 1, column 10: a block is never"
    ):
        templates.render("trial", {"x": 1})


def test_second_email_of_a_shape_is_inlined_by_the_first(template):
    template(html="<style>b {color: red}</style><p>second email</p><b>{{name}}</b>")
    templates.render("trial", {"name": "Ada"})
    before = inlining._shape.cache_info()

    html = templates.render("trial", {"name": "O'Hara"}).html

    after = inlining._shape.cache_info()
    assert '<b style="color: red;">O\'Hara</b>' in html
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


def test_html_from_the_data_is_inlined_with_the_rest(template):
    template(html="<style>b {color: red}</style><p>{{{note}}}</p>")

    for note in ("<b>one</b>", "<b>two</b>"):
        html = templates.render("trial", {"note": note}).html

        assert f'<p>{note.replace("<b>", """<b style="color: red;">""")}</p>' in html


def test_broken_template_is_a_render_error(template):
    template(html="{{#if x}}")

    with pytest.raises(
        RenderError, match="trial/body.html.hbs: line 1, column 10: a block is never"
    ):
        templates.render("trial", {"x": 1})


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("O'Hara & <Sons>", "O'Hara & <Sons>"),
        ("{{settings.SECRET_KEY}}", "{{settings.SECRET_KEY}}"),
        ("a\r\nBcc: x@example.com", "a Bcc: x@example.com"),
        ("a\u2028b\u2029c\x00d\x85e\x1bf\x7fg", "a b c d e f g"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a\ud800b", "a b"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_subject_is_one_plain_line_whatever_the_data_says(name, subject, template):
    template(subject="  {{name}}\n")

    assert templates.render("trial", {"name": name}).subject == subject


def test_bodies_carry_no_control_characters(template):
    template(html="<p>{{name}}</p>", text="{{name}}")

    rendered = templates.render("trial", {"name": "a\x00b\ud800c\x1bd\te\nf"})

    assert rendered.text == "a\ufffdb\ufffdc\ufffdd\te\nf"
    assert rendered.text in rendered.html


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            ["order_number", "placed_at", "customer", "lines", "total_cents", "currency"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_data_of_any_shape_renders_or_is_a_render_error(changes):
    try:
        rendered = templates.render("order_confirmation", {**ORDER, **changes})
    except RenderError as exc:
        assert str(exc).startswith("order_confirmation/")
    else:
        rendered.html.encode()
        assert len(rendered.subject.splitlines()) <= 1


def test_text_is_made_from_the_html_where_none_is_written(template):
    html = '<h1>Hi {{name}}</h1><p>A <a href="{{url}}">link</a>.</p>'
    template(html=f"<style>p {{color: red}}</style><table><tr><td>{html}</td></tr></table>")

    text = templates.render("trial", {"name": "O'Hara <b>", "url": "https://a.example/?b=c"}).text

    assert text == "# Hi O'Hara <b>\n\nA [link](https://a.example/?b=c).\n"


def test_remote_stylesheets_are_not_fetched(template):
    template(html='<link rel="stylesheet" href="http://127.0.0.1:9/style.css"><p>Hi</p>')

    assert "<p>Hi</p>" in templates.render("trial", {}).html


def test_a_data_key_cannot_replace_a_partial_or_helper():
    context = {**ORDER, "money": "1", "layout": "x", "partial-block": "y", "brand": "Mallory"}

    assert templates.render("order_confirmation", context) == templates.render(
        "order_confirmation", ORDER
    )


ARABIC = "نور الهدى"
ISOLATED = f"\u2068{ARABIC}\u2069"


# UAX #9: without isolates the comma, the number and the words around a right-to-left name change places.
@pytest.mark.parametrize("name", templates.names())
def test_right_to_left_values_are_isolated_in_every_template(name):
    def arabic(value):
        if isinstance(value, dict):
            return {key: arabic(item) for key, item in value.items()}
        if isinstance(value, list):
            return list(map(arabic, value))
        is_name = isinstance(value, str) and re.fullmatch("[A-Z][a-z]+( [A-Z][a-z]+)?", value)
        return ARABIC if is_name else value

    rendered = templates.render(name, arabic(dict(templates.sample(name).data)))

    for part in (rendered.subject, rendered.html, rendered.text):
        assert part.count(ARABIC) == part.count(ISOLATED)


def test_name_before_a_comma_and_an_order_number_is_isolated():
    rendered = templates.render(
        "order_confirmation", {**ORDER, "customer": {"name": ARABIC, "email": "ada@example.com"}}
    )

    assert f"Dear {ISOLATED}, we received your order" in rendered.html
    assert f"Dear {ISOLATED}, we received your order ORD-000123" in rendered.text
    assert rendered.subject.isascii()


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("Ada, 1", "Ada, 1"),
        ("Zoë 🧀", "Zoë 🧀"),
        ("שלום", "\u2068שלום\u2069"),
        ("a\u2069\u202eb", "ab"),
        ("نور\n1", "\u2068نور\u2069\n\u20681\u2069"),
        ("\u202e", ""),
    ],
)
def test_only_what_has_a_direction_is_isolated_and_cannot_end_its_isolate(value, right, template):
    template(text="{{name}} 1", subject="{{name}} 1")

    rendered = templates.render("trial", {"name": value})

    assert rendered.text.removesuffix(" 1") == right
    assert rendered.subject == f"{' '.join(right.split())} 1".strip()


def test_long_subject_is_cut_inside_its_isolate(template):
    template(subject="{{name}} 1")

    subject = templates.render("trial", {"name": "نور" * 100}).subject

    assert len(subject) == 200
    assert subject.endswith("…\u2069")


def test_link_has_no_marks_of_direction(template):
    template(text='{{link "https://shop.example.com/نور"}}')

    assert templates.render("trial", {}).text == "https://shop.example.com/%D9%86%D9%88%D8%B1"
