"""A bar chart as SVG, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LABELS, FIGURES = 860, 340, 60
ROW, BAR, TOP = 26, 16, 48

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.ours { fill: #4f46e5 } .peer { fill: #8b949e } .ceiling { fill: none; stroke: #8b949e; stroke-dasharray: 4 3 }
.strong { font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.ours { fill: #818cf8 } .peer { fill: #7d8590 } .ceiling { stroke: #7d8590 }
}
"""


@dataclass(frozen=True)
class Bar:
    """One bar. A ceiling is drawn as an outline: it does less than the others."""

    title: str
    value: float
    is_ours: bool = False
    is_ceiling: bool = False


def svg(title: str, bars: Sequence[Bar]) -> str:
    """The longest bar comes first; its length is the scale."""
    rows = sorted(bars, key=lambda bar: -bar.value)
    height = TOP + ROW * len(rows) + 8
    most = rows[0].value if rows else 1.0
    drawn = "\n".join(_row(bar, number, most) for number, bar in enumerate(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n'
        f'<text class="title" x="8" y="26">{escape(title)}</text>\n{drawn}\n</svg>\n'
    )


def _row(bar: Bar, number: int, most: float) -> str:
    top = TOP + ROW * number
    length = max(2.0, (WIDTH - LABELS - FIGURES) * bar.value / most)
    kind = "ours" if bar.is_ours else "ceiling" if bar.is_ceiling else "peer"
    digits = 0 if bar.value >= 10 else 1
    strong = ' class="strong"' if bar.is_ours else ""
    return (
        f'<text{strong} x="{LABELS - 10}" y="{top + 13}" text-anchor="end">{escape(bar.title)}</text>'
        f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        f'<text{strong} x="{LABELS + length + 6:.1f}" y="{top + 13}">{bar.value:.{digits}f}</text>'
    )
