import re

from tests.docs.pages import ROOT

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 3_000_000
# Drawn from figures by `make bench WRITE=on`.
DRAWN = {"performance.svg"}


def test_make_pictures_renews_every_picture_and_no_other():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    names = re.search(r"^PICTURES := (.*)$", makefile, re.MULTILINE)
    recordings = re.findall(r"test-artifacts/(\S+\.webp)", makefile)

    assert names
    renewed = {f"{name}.png" for name in names[1].split()} | set(recordings)
    assert renewed | DRAWN == {path.name for path in IMAGES.iterdir()}


def test_no_picture_is_too_large_to_load():
    assert {path.name for path in IMAGES.iterdir() if path.stat().st_size > MOST_BYTES} == set()
