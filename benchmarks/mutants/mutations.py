"""Break one line of a module in every way that may matter: each mutant is one edit of its source.

Left out: what only prints (logs), annotations, locks of threads, which no test sees missing for certain, and what only
PostgreSQL runs.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.mutants import sql_text

_SWAPPED = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: (" in ", " not in "),
    ast.NotIn: (" not in ", " in "),
    ast.Is: (" is ", " is not "),
    ast.IsNot: (" is not ", " is "),
}
_CONTRARY = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_LOOKUPS = {"lt": "lte", "lte": "lt", "gt": "gte", "gte": "gt"}
_CONTRARY_LOOKUPS = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt"}
# Whether an instant is within or just outside a time can be seen by nobody, so there the contrary is taken.
_IS_TIME = re.compile(r"clock|monotonic|\bnow\b|since|until|seconds|_at\b|\bleft\b", re.IGNORECASE)
# Keywords of these calls are columns: conditions and changes of rows.
_OF_ROWS = {"filter", "exclude", "update", "create", "Q"}
# Blocks that make their statements one: without them each stands alone.
_BLOCKS = {"atomic", "transaction", "suppress"}
# Calls of these names print, or only interrupt in tests.
_SILENT = {"logger", "failpoint"}
_STATES = {"State", "Outcome", "ItemOutcome", "Outbox", "Verdict", "Task", "Source", "Bucket"}


@dataclass(frozen=True)
class Mutant:
    """One edit of a module: ``start`` and ``end`` are offsets in its UTF-8 bytes.

    ``lines`` are those that a test must run to see it; ``names`` the names of the module's level that it is part of.
    """

    path: str
    kind: str
    start: int
    end: int
    new: str
    lines: range
    names: frozenset[str] = field(default_factory=frozenset)

    def applied(self, source: bytes) -> bytes:
        """Return the source with this edit."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    def changed(self, source: bytes) -> tuple[str, str]:
        """Return the whole lines that it changes, before and after, without the space around them."""
        first = source.rfind(b"\n", 0, self.start) + 1
        last = source.find(b"\n", self.end)
        before, after = source[first:last], source[first : self.start] + self.new.encode()
        return before.decode().strip(), (after + source[self.end : last]).decode().strip()


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Return all mutants of a module that can be parsed, each once."""
    finder = _Finder(path, source)
    finder.visit(finder.tree)
    found: dict[bytes, Mutant] = {}
    for mutant in finder.found:
        text = mutant.applied(source)
        if text in found or text == source:
            continue
        with suppress(SyntaxError, ValueError):
            ast.parse(text)
            found[text] = mutant
    return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.new))


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self.found: list[Mutant] = []
        self.tree = ast.parse(source)
        self._path, self._source = path, source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._lines, self._names = range(0), frozenset[str]()
        self._returns: list[str] = []
        self._members = _members(self.tree)

    # Where in the source.

    def _span(self, node: ast.AST) -> tuple[int, int]:
        place: ast.expr = node  # type: ignore[assignment]  # every node that comes here has a place
        end_line, end = place.end_lineno or place.lineno, place.end_col_offset or 0
        return (
            self._starts[place.lineno - 1] + place.col_offset,
            self._starts[end_line - 1] + end,
        )

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _add(self, kind: str, start: int, end: int, new: str) -> None:
        self.found.append(Mutant(self._path, kind, start, end, new, self._lines, self._names))

    def _replace(self, kind: str, node: ast.AST, new: str) -> None:
        self._add(kind, *self._span(node), new)

    def _drop_each(self, kind: str, nodes: list[ast.AST], *, even_last: bool = False) -> None:
        """Drop each of the elements of a list, with its comma."""
        spans = sorted(map(self._span, nodes))
        if len(spans) == 1 and not even_last:
            return
        for number, (start, end) in enumerate(spans):
            if number + 1 < len(spans):
                self._add(kind, start, spans[number + 1][0], "")
            elif number:
                self._add(kind, spans[number - 1][1], end, "")
            else:
                rest = self._source[end:]
                comma = len(rest) - len(rest.lstrip(b" \n"))
                self._add(
                    kind, start, end + (comma + 1 if rest[comma : comma + 1] == b"," else 0), ""
                )

    # Statements.

    def visit(self, node: ast.AST) -> None:
        """Remember the lines of each statement; leave out what only prints."""
        if isinstance(node, ast.stmt):
            before = self._lines, self._names
            if self._returns or not isinstance(node, ast.FunctionDef | ast.ClassDef):
                self._lines = _own_lines(node)
            if not self._returns:
                self._names |= _assigned(node)
            super().visit(node)
            self._lines, self._names = before
        elif not (isinstance(node, ast.Call) and _first_name(node) in _SILENT):
            super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Visit the body; decorators and defaults are seen by whoever runs any of it."""
        body = node.body[1:] if ast.get_docstring(node) else node.body
        outer, names = self._lines, self._names
        self._names = frozenset() if body else names
        self._lines = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
        for decorator in node.decorator_list:
            if "property" not in self._text(decorator) and "method" not in self._text(decorator):
                start, end = self._span(decorator)
                self._add("drop decorator", start - 1, end, "")
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(default)
        self._returns.append(ast.unparse(node.returns) if node.returns else "")
        for statement in body:
            self.visit(statement)
        self._returns.pop()
        self._lines, self._names = outer, names

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Visit what is in it."""
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Skip the annotation."""
        if node.value:
            self._may_drop_attribute(node, node.target)
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Drop what changes an object; without a name of its own the function would not run at all."""
        self._may_drop_attribute(node, node.targets[0])
        self.visit(node.value)

    def _may_drop_attribute(self, node: ast.stmt, target: ast.expr) -> None:
        if isinstance(target, ast.Attribute | ast.Subscript) and self._returns:
            self._replace("drop statement", node, "pass")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Drop it."""
        self._replace("drop statement", node, "pass")
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Drop a call; a text that stands alone is a docstring."""
        if isinstance(node.value, ast.Constant) or _first_name(node.value) in _SILENT:
            return
        if self._returns:
            self._replace("drop statement", node, "pass")
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Drop it."""
        self._replace("drop statement", node, "pass")
        if isinstance(node.exc, ast.Call):
            for keyword in node.exc.keywords:
                self.visit(keyword.value)

    def visit_Continue(self, node: ast.Continue) -> None:
        """Drop it."""
        self._replace("drop statement", node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        """Drop it."""
        self._replace("drop statement", node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        """Return something else of the same type."""
        if node.value is None:
            self._replace("drop statement", node, "pass")
            return
        returns, text = self._returns[-1], self._text(node.value)
        new = {"bool": f"not ({text})", "int": "0", "str": '""'}.get(returns.strip("'"))
        if new is None and returns.endswith("None") and returns != "None":
            new = "None"
        if returns == "bool" and (
            _has_contrary(node.value) or isinstance(node.value, ast.Constant)
        ):
            new = None
        if new and new != text:
            self._replace("change return value", node.value, new)
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        """Negate its condition, unless it only decides whether something is logged."""
        if not (_is_silent(node) or self._text(node.test) == "TYPE_CHECKING"):
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        """Negate its condition."""
        self._negate(node.test)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        """Do without the block."""
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and _last_name(call.func) in _BLOCKS:
                self._replace("drop block", call, '__import__("contextlib").nullcontext()')
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        """Catch one thing less."""
        for handler in node.handlers:
            if handler.type:
                self._replace("drop except branch", handler.type, "()")
                if isinstance(handler.type, ast.Tuple):
                    self._drop_each("drop exception", list(handler.type.elts))
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        """Drop a case, unless it is the last."""
        if isinstance(node.pattern, ast.MatchClass | ast.MatchValue) and not node.guard:
            _, end = self._span(node.pattern)
            self._add("drop case", end, end, " if False")
        for statement in node.body:
            self.visit(statement)

    # Expressions.

    def _negate(self, test: ast.expr) -> None:
        """Negate it; a single comparison is swapped for its contrary when it is visited, a ``not`` dropped."""
        if not (isinstance(test, ast.Constant | ast.UnaryOp) or _has_contrary(test)):
            self._replace("negate condition", test, f"not ({self._text(test)})")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """Negate its condition."""
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Negate its conditions."""
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Drop each term."""
        for value in node.values:
            others = [f"({self._text(other)})" for other in node.values if other is not value]
            word = " and " if isinstance(node.op, ast.And) else " or "
            self._replace("drop term", node, f"({word.join(others)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Drop each side of a condition for rows; swap plus and minus."""
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            for side in (node.left, node.right):
                self._replace("drop term", node, f"({self._text(side)})")
        elif isinstance(node.op, ast.Add | ast.Sub) and not _is_text(node):
            word, new = ("+", "-") if isinstance(node.op, ast.Add) else ("-", "+")
            self._swap("swap sign", node.left, node.right, word, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Drop a ``not`` or a ``~``."""
        if isinstance(node.op, ast.Not | ast.Invert):
            self._replace("drop not", node, f"({self._text(node.operand)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Swap the comparison for its neighbour or its contrary."""
        if len(node.ops) == 1:
            word, new = _SWAPPED[type(node.ops[0])]
            if _IS_TIME.search(self._text(node)):
                new = _CONTRARY.get(word, new)
            self._swap("swap comparison", node.left, node.comparators[0], word, new)
        self.generic_visit(node)

    def _swap(self, kind: str, left: ast.expr, right: ast.expr, word: str, new: str) -> None:
        """Swap the operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        between = self._source[start:end].decode()
        self._add(kind, start, end, between.replace(word, new, 1))

    def visit_Call(self, node: ast.Call) -> None:
        """Drop conditions and changes of rows, swap their lookups, swap min and max."""
        name = _last_name(node.func)
        if name in _OF_ROWS:
            named = [
                keyword for keyword in node.keywords if keyword.arg and not _is_of_one(keyword)
            ]
            self._drop_each("drop keyword", [*node.args, *named], even_last=name != "create")
            for keyword in named:
                self._swap_lookup(keyword)
        elif name in ("min", "max"):
            self._replace("swap min and max", node.func, "max" if name == "min" else "min")
        if name in ("execute", "executemany"):
            # Without one of its parameters no statement runs at all.
            return
        self.generic_visit(node)

    def _swap_lookup(self, keyword: ast.keyword) -> None:
        column, _, lookup = (keyword.arg or "").rpartition("__")
        if column and lookup in _LOOKUPS:
            start, _ = self._span(keyword)
            end = start + len(keyword.arg or "")
            swapped = _CONTRARY_LOOKUPS if _IS_TIME.search(column) else _LOOKUPS
            self._add("swap comparison", start, end, f"{column}__{swapped[lookup]}")

    def visit_Dict(self, node: ast.Dict) -> None:
        """Drop each entry; leave out what only PostgreSQL runs."""
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "postgresql":
                continue
            if key and len(node.keys) > 1 and isinstance(key, ast.Constant):
                self._drop_entry(key, value)
            self.visit(value)

    def _drop_entry(self, key: ast.expr, value: ast.expr) -> None:
        start, end = self._span(key)[0], self._span(value)[1]
        rest = self._source[end:]
        comma = len(rest) - len(rest.lstrip(b" \n)"))
        if rest[comma : comma + 1] == b",":
            self._add("drop entry", start, end + comma + 1, "")

    def visit_List(self, node: ast.List) -> None:
        """Drop each element."""
        self._drop_each("drop element", [*node.elts])
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        """Drop each element."""
        self._drop_each("drop element", [*node.elts])
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        """Drop each element of a constant; of others the shape would not fit."""
        if self._names and len(node.elts) > 2:
            self._drop_each("drop element", [*node.elts])
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Take another state than this one."""
        others = self._members.get(ast.unparse(node.value), [])
        if _last_name(node.value) in _STATES and node.attr in others and len(others) > 1:
            other = others[(others.index(node.attr) + 1) % len(others)]
            self._replace("change state", node, f"{self._text(node.value)}.{other}")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Change a number or a boolean, and the parts of SQL."""
        if isinstance(node.value, bool):
            self._replace("change constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            new = {0.0: "1", 1.0: "2"}.get(node.value, f"({self._text(node)} * 10)")
            self._replace("change constant", node, new)
        elif isinstance(node.value, str):
            self._change_sql(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Change the parts of SQL; the places of what stands in braces are not known before Python 3.12."""
        self._change_sql(node)

    def _change_sql(self, node: ast.expr) -> None:
        offset, _ = self._span(node)
        for kind, start, end, new in sql_text.changes(self._text(node)):
            self._add(kind, offset + start, offset + end, new)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Leave a place in a tuple alone: what stands at another place is of another type."""
        if not isinstance(node.slice, ast.Constant):
            self.visit(node.slice)
        self.visit(node.value)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Visit the body."""
        self.visit(node.body)


def _own_lines(node: ast.stmt) -> range:
    """Return the lines of a statement without those of the statements in it."""
    inner = getattr(node, "body", None)
    last = inner[0].lineno - 1 if inner else node.end_lineno or node.lineno
    if isinstance(node, ast.Match):
        last = node.subject.end_lineno or node.lineno
    if isinstance(node, ast.Try):
        return range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return range(node.lineno, max(last, node.lineno) + 1)


def _assigned(node: ast.stmt) -> frozenset[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return frozenset(target.id for target in targets if isinstance(target, ast.Name))


def _first_name(node: ast.expr) -> str:
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_of_one(keyword: ast.keyword) -> bool:
    """Return True for the key of a table with one row: without it the same row is found."""
    return keyword.arg == "pk" and isinstance(keyword.value, ast.Constant)


def _is_silent(node: ast.If) -> bool:
    return not node.orelse and all(
        isinstance(statement, ast.Expr) and _first_name(statement.value) in _SILENT
        for statement in node.body
    )


def _has_contrary(node: ast.expr) -> bool:
    """Return True for a comparison whose swapped form is its negation."""
    same = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], same)


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr | ast.List)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def _members(tree: ast.AST) -> dict[str, list[str]]:
    """Return the states that a module names, by the class that they belong to."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.isupper():
            found[ast.unparse(node.value)].add(node.attr)
    return {name: sorted(members) for name, members in found.items()}
