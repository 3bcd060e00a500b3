"""Two versions of a template, side by side."""

from emails.editing import differences


def sides(old, new):
    [file] = differences.between({"a": old}, {"a": new})
    return [
        row.hidden
        or (
            (row.left.number, row.left.before, row.left.changed, row.left.after),
            (row.right.number, row.right.before, row.right.changed, row.right.after),
        )
        for row in file.rows
    ]


def test_a_changed_line_marks_what_differs_in_it():
    assert sides("Dear {{name}},\n", "Hello {{name}},\n") == [
        ((1, "", "Dear", " {{name}},"), (1, "", "Hello", " {{name}},"))
    ]


def test_lines_far_from_a_change_are_counted_not_shown():
    lines = "".join(f"{number}\n" for number in range(20))

    rows = sides(lines, lines.replace("10\n", "ten\n"))

    assert rows[0] == 7 and rows[-1] == 6
    assert len(rows) == 2 + 3 + 1 + 3


def test_an_added_line_has_nothing_on_the_other_side():
    assert sides("a\n", "a\nb\n")[-1] == ((None, "", "", ""), (2, "", "b", ""))


def test_a_line_break_that_only_one_side_has_at_its_end_is_told():
    [(left, right)] = sides("a\n", "a")

    assert left == (1, "a", "", "")
    assert right == (1, "a", " (no line break)", "")


def test_files_that_only_one_side_has_are_compared_with_nothing():
    found = differences.between({"a": "x", "b": "x"}, {"a": "x", "partials/c.hbs": "x"})

    assert [file.name for file in found] == ["b", "partials/c.hbs"]
