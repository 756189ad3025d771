"""A learner at work: chapter 01 in a real JupyterLab, in a real browser."""
import base64
import hashlib
import shutil
from pathlib import Path

import pytest
from lab import chromium, lab

from scratchformer_lib.course import reference

ROOT = Path(__file__).resolve().parents[1]
author = reference("author")

RIGHT = """def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)"""
WRONG_AXIS = """def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)"""
TEMPERATURE = "def with_temperature(x, temperature, axis=-1):\n    return softmax(x / temperature, axis)"

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium or Chrome on the PATH for the browser tests")


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """JupyterLab on fresh learner's notebooks; nothing here touches those of the checkout."""
    root = tmp_path_factory.mktemp("course")
    (root / "chapters").mkdir()
    for chapter in author.Project(ROOT).chapters:
        text = author.written(author.learner_notebook(chapter))
        (root / "chapters" / f"{chapter.path.stem}.ipynb").write_text(text, encoding="utf-8")
    with lab(root) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    yield folder
    shutil.copytree(folder, ROOT / ".pytest_cache" / "pictures", dirs_exist_ok=True)       # for whoever wants to look


def card(jupyter, cell):
    return jupyter.cell(cell).inner_text()


def picture(jupyter, cell):
    source = jupyter.cell(cell).locator("img").first.get_attribute("src")
    return hashlib.sha256(base64.b64decode(source.partition(",")[2])).hexdigest()


def widget_cell(jupyter, function):
    return next(cell["id"] for cell in jupyter.cells() if f"figures.{function}(" in cell["source"])


def test_chapter_01_from_not_attempted_to_the_lit_map(jupyter, pictures):
    from_not_attempted_to_passed(jupyter, pictures)
    the_temperature_slider_changes_the_picture_and_not_its_size(jupyter, pictures)
    the_map_lights_up_with_what_is_solved(jupyter)


def from_not_attempted_to_passed(jupyter, pictures):
    jupyter.open("chapters/01_softmax.ipynb")
    checks = [cell for cell in jupyter.run_all() if cell.id.endswith("-check")]
    assert [cell.error for cell in checks] == [f"NotPassed: {cell.id[3:-6]}: not attempted" for cell in checks]
    assert "not attempted" in card(jupyter, "01-softmax-check")

    jupyter.set_source("01-softmax", WRONG_AXIS)
    assert jupyter.run("01-softmax").error is None
    assert jupyter.run("01-softmax-check").error == "NotPassed: softmax: wrong"
    shown = card(jupyter, "01-softmax-check")
    assert "Your columns add up to 1; the rows should." in shown
    assert "Case 2 of 10, scores of shape (T=3, S=4)" in shown
    assert jupyter.cell("01-softmax-check").locator("table").count() == 2
    jupyter.screenshot(pictures / "wrong.png", "01-softmax-check", whole=True)

    jupyter.set_source("01-softmax", RIGHT)
    jupyter.run("01-softmax")
    assert jupyter.run("01-softmax-check").error is None
    assert "softmax is right" in card(jupyter, "01-softmax-check")
    assert "Saved to my_code/softmax.py" in card(jupyter, "01-softmax-check")


def the_temperature_slider_changes_the_picture_and_not_its_size(jupyter, pictures):
    jupyter.set_source("01-with_temperature", TEMPERATURE)
    jupyter.run("01-with_temperature")
    cell = widget_cell(jupyter, "temperature_widget")
    assert jupyter.run(cell).error is None
    jupyter.settle()
    before, size = picture(jupyter, cell), jupyter.cell(cell).locator("img").first.bounding_box()
    old, new = jupyter.nudge(cell)
    assert old != new
    assert picture(jupyter, cell) != before
    after = jupyter.cell(cell).locator("img").first.bounding_box()
    assert (after["width"], after["height"]) == (size["width"], size["height"])
    for theme in ("dark", "light"):
        jupyter.theme(theme)
        jupyter.screenshot(pictures / f"temperature-{theme}.png", cell, whole=True)
    for key in ("Home", "End"):
        jupyter.nudge(cell, key)
        assert "No picture" not in card(jupyter, cell)


def the_map_lights_up_with_what_is_solved(jupyter):
    first = jupyter.run_all()[0]
    (drawn,) = [data["image/svg+xml"] for data in (o.get("data", {}) for o in first.outputs) if "image/svg+xml" in data]
    assert "1 of 4" in card(jupyter, first.id)
    assert drawn.lstrip().startswith("<svg") and 'role="img"' in drawn


def test_the_broadcasting_widget_takes_every_pair_of_shapes(jupyter, pictures):
    jupyter.open("chapters/00_welcome.ipynb")
    jupyter.run_all()
    cell = widget_cell(jupyter, "broadcasting_widget")
    select = jupyter.cell(cell).locator("select")
    options = select.first.locator("option").all_inner_texts()
    seen = set()
    for option in options:
        select.first.select_option(option)
        jupyter.settle()
        assert "No picture" not in card(jupyter, cell)
        seen.add(picture(jupyter, cell))
    assert len(seen) == len(options)
    jupyter.screenshot(pictures / "chapter_00.png")
