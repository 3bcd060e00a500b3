"""Record what a browser shows as an animated picture: one frame for each act, with a sentence below it."""

from __future__ import annotations

import io
import os

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Locator, Page

from tests.support.browser import PICTURES

SIZE = (960, 600)
CAPTION = 44
SECONDS = 1.6
_INK, _PAPER, _RING = "#ffffff", "#14162b", "#e11d48"


class Recording:
    """The frames so far. Without PICTURES nothing is kept, and acts are only carried out."""

    def __init__(self, name: str) -> None:
        self._path = PICTURES / f"{name}.webp"
        self._is_on = "PICTURES" in os.environ
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []

    def show(self, page: Page, caption: str, *, seconds: float = SECONDS) -> None:
        """Keep what the page shows now."""
        if self._is_on:
            self._keep(page, caption, seconds)

    def click(self, target: Locator, caption: str, *, seconds: float = SECONDS) -> None:
        """Show where somebody clicks, then click."""
        target.scroll_into_view_if_needed()
        if self._is_on:
            self._keep(target.page, caption, seconds, ring=target)
        target.click()

    def save(self) -> int:
        """Write the animated picture; returns its size in bytes, 0 if nothing was kept."""
        if not self._frames:
            return 0
        self._path.parent.mkdir(exist_ok=True)
        first, *rest = self._frames
        first.save(
            self._path,
            save_all=True,
            append_images=rest,
            duration=self._milliseconds,
            loop=0,
            quality=70,
            method=6,
        )
        return self._path.stat().st_size

    def _keep(
        self, page: Page, caption: str, seconds: float, *, ring: Locator | None = None
    ) -> None:
        shot = page.screenshot(animations="disabled", caret="hide")
        picture = Image.open(io.BytesIO(shot)).convert("RGB")
        box = ring.bounding_box() if ring else None
        if box:
            corners = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
            left, top, right, bottom = corners
            shape = (left - 6, top - 6, right + 6, bottom + 6)
            ImageDraw.Draw(picture).rounded_rectangle(shape, radius=10, outline=_RING, width=4)
        frame = Image.new("RGB", (SIZE[0], SIZE[1] + CAPTION), _PAPER)
        frame.paste(picture.resize(SIZE, Image.Resampling.LANCZOS))
        font = ImageFont.load_default(size=20)
        ImageDraw.Draw(frame).text(
            (16, SIZE[1] + CAPTION // 2), caption, font=font, fill=_INK, anchor="lm"
        )
        self._frames.append(frame)
        self._milliseconds.append(int(seconds * 1000))
