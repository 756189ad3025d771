"""Watching a training: one display, few drawings, and the last one is right."""
import gc
import io
from types import SimpleNamespace

import nbclient
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure

from scratchformer_lib.course import reference
from scratchformer_lib.training import Step

watching = reference("watching")
RAW, MEAN, VALIDATION = {"color": watching.tint(watching.ACCENT, 0.4)}, {"color": watching.ACCENT}, \
    {"color": watching.INK, "marker": "D"}


class Notebook:
    """A notebook that keeps what is displayed, and a clock that stands until it is told to move."""

    def __init__(self):
        self.kernel, self.execution_count, self.clock = True, 1, 0.0
        self.displays = []              # for each display the list of its states, (data, metadata)
        self.figures = []               # as they were drawn

    def display(self, data, metadata, raw, display_id):
        states = [(data, metadata)]
        self.displays.append(states)
        return SimpleNamespace(update=lambda data, metadata, raw: states.append((data, metadata)))

    def draw(self, fig):
        self.figures.append(fig)
        return b"PNG"

    def texts(self):
        return [text.get_text() for text in self.figures[-1].axes[0].texts]

    def line(self, color, marker="None"):
        """The points of a line below the progress and the names, from left to right."""
        (found,) = [line.get_xydata() for line in self.figures[-1].axes[0].lines
                    if line.get_color() == color and line.get_marker() == marker
                    and np.nanmin(line.get_ydata(), initial=9) > 0.9]
        return found[np.argsort(found[:, 0], kind="stable")]

    def train(self, on_step, losses, first=1, n_steps=None, seconds=0.01, validations=None):
        """Steps of 100 labels each. validations: by step."""
        n_steps = n_steps or first + len(losses) - 1
        for step, loss in enumerate(losses, first):
            self.clock += seconds
            validation = (validations or {}).get(step)
            on_step(Step(step, n_steps, loss, 0.1, 100, validation, {}))


@pytest.fixture
def notebook(monkeypatch):
    notebook = Notebook()
    monkeypatch.setattr(watching, "get_ipython", lambda: notebook)
    monkeypatch.setattr(watching, "display", notebook.display)
    monkeypatch.setattr(watching.figures, "png", notebook.draw)
    monkeypatch.setattr(watching.figures, "quick_png", notebook.draw)
    monkeypatch.setattr(watching.time, "perf_counter", lambda: notebook.clock)
    return notebook


def test_a_training_is_one_display_drawn_every_half_second_and_at_the_end(notebook):
    notebook.train(watching.watch(), np.linspace(3, 1, 1000), seconds=0.002)
    (states,) = notebook.displays
    assert len(states) == 1 + 3 + 1     # 2 seconds
    data, metadata = states[-1]
    assert data["text/plain"].startswith("100%") and " 1000/1000 " in data["text/plain"]
    assert "after step 1,000 of 1,000" in metadata["image/png"]["alt"]
    assert {metadata["image/png"]["width"] for _, metadata in states} == {700}
    assert len({metadata["image/png"]["height"] for _, metadata in states}) == 1


def test_it_says_how_far_and_how_fast(notebook):
    notebook.train(watching.watch(), [3.0, 2.5, 2.0, 1.5], n_steps=10, seconds=2, validations={2: 2.25})
    data, metadata = notebook.displays[0][-1]
    assert notebook.texts()[:2] == ["step 4 of 10", "50 tokens/s   00:06 gone, 00:12 left"]
    assert {"loss 1.5", "mean of the last 5: 2.25", "validation 2.25"} <= set(notebook.texts())
    for words in ("4/10", "00:06<00:12", "loss 1.5", "validation 2.25", "50 tokens/s"):
        assert words in data["text/plain"]
    assert "loss 1.5, validation 2.25" in metadata["image/png"]["alt"]


def test_losses_means_and_validations_stand_where_they_belong(notebook):
    notebook.train(watching.watch(), [4.0, 2.0, 3.0, 1.0], n_steps=7, seconds=1, validations={2: 2.0, 4: 1.0})
    left, right = watching.LEFT, watching.RIGHT
    x = left + (right - left) * np.array([0, 1, 2, 3]) / 6
    raw, validations = notebook.line(**RAW), notebook.line(**VALIDATION)
    np.testing.assert_allclose(raw[:, 0], x)
    np.testing.assert_allclose(validations, raw[[1, 3]])            # the same numbers at the same steps
    inch = (raw[0, 1] - raw[1, 1]) / 2                              # of a loss of 1
    np.testing.assert_allclose(notebook.line(**MEAN)[:, 1], raw[1, 1] + inch * (np.array([4, 3, 3, 2.5]) - 2))


def test_a_loss_that_spans_much_is_drawn_on_a_logarithmic_scale(notebook):
    notebook.train(watching.watch(), [1.0, 0.1, 0.01])
    heights = notebook.line(**RAW)[:, 1]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])
    assert {"1", "0.1", "0.01"} <= set(notebook.texts())


def test_a_training_that_goes_on_begins_where_it_was(notebook):
    notebook.train(watching.watch(), [0.5] * 11, first=501, n_steps=521, seconds=1)
    assert notebook.texts()[:2] == ["step 511 of 521", "100 tokens/s   00:10 gone, 00:10 left"]
    raw = notebook.line(**RAW)
    assert raw[0, 0] == watching.LEFT and raw[-1, 0] == pytest.approx((watching.LEFT + watching.RIGHT) / 2)


def test_a_training_that_ends_early_leaves_what_was_drawn_half_a_second_before_at_most(notebook):
    notebook.train(watching.watch(), np.ones(777), n_steps=1000, seconds=0.01)
    step = int(notebook.texts()[0].split()[1])
    assert 777 - 51 <= step <= 777
    assert notebook.displays[0][-1][0]["text/plain"].startswith(f" {step // 10}%")


@pytest.mark.parametrize("change", [{}, {"first": 1, "n_steps": 9}])
def test_the_same_watch_on_a_new_training_starts_over_in_a_new_display(notebook, change):
    on_step = watching.watch()
    notebook.train(on_step, [3.0, 2.0, 1.0])
    notebook.train(on_step, [9.0], seconds=1, **change)
    assert len(notebook.displays) == 2
    assert notebook.displays[0][-1][0]["text/plain"].startswith("100%")
    assert "mean of the last 5: 9" in notebook.texts()


def test_going_on_in_another_cell_is_shown_there(notebook):
    on_step = watching.watch()
    notebook.train(on_step, [3.0, 2.0], n_steps=4, seconds=1)
    notebook.execution_count = 2
    notebook.train(on_step, [2.0, 1.0], first=3)
    assert len(notebook.displays) == 2 and notebook.texts()[0] == "step 4 of 4"


@pytest.mark.parametrize("losses", [[0.0, 0.0], [np.nan], [1.0, np.inf, 1e30], [-1.0, 2.0], [5.0]])
def test_any_loss_can_be_drawn(notebook, losses):
    notebook.train(watching.watch(), losses, seconds=1, validations={len(losses): np.inf})
    assert notebook.texts()[0] == f"step {len(losses)} of {len(losses)}"


def test_a_long_training_is_drawn_with_few_points(notebook):
    losses = np.ones(30_000)
    losses[12_345] = 2.0
    notebook.train(watching.watch(), losses, seconds=1e-5)
    raw = notebook.line(**RAW)
    assert len(raw) <= 2 * watching.MOST
    place = raw[np.argmin(raw[:, 1]), 0]                            # the highest
    x = watching.LEFT + (watching.RIGHT - watching.LEFT) * 12_345 / 30_000
    assert place == pytest.approx(x, abs=0.01)


def test_figures_do_not_pile_up(notebook):
    def figures():
        notebook.figures.clear()
        gc.collect()
        return sum(isinstance(thing, Figure) for thing in gc.get_objects())

    before = figures()
    notebook.train(watching.watch(), [1.0] * 20, seconds=1)
    assert len(notebook.figures) == 20 and figures() <= before


@pytest.mark.parametrize("terminal", [True, False])
def test_outside_of_a_notebook_it_is_a_bar_in_the_terminal(monkeypatch, terminal):
    written = io.StringIO()
    written.isatty = lambda: terminal
    monkeypatch.setattr("sys.stderr", written)
    on_step = watching.watch()
    for n_steps in (5, 5, 3):
        for step in range(1, n_steps + 1):
            on_step(Step(step, n_steps, 0.25, 0.1, 100, None, {}))
    bars = [line.split("\r")[-1] for line in written.getvalue().split("\n")[:-1]]
    assert [bar.count("100%") for bar in bars] == [1, 1, 1] * terminal
    assert all("loss 0.25" in bar for bar in bars)


def test_in_a_real_notebook_the_picture_stays(tmp_path):
    code = """
        from scratchformer_lib.course import watch
        from scratchformer_lib.training import SGD, fit
        import numpy as np
        run = fit(lambda params, labels, rng=None: ((params["x"] - labels.mean())**2), {"x": np.array(3.0)},
                  lambda rng: (np.ones((4, 2)),), 200, np.random.default_rng(0), SGD(), rate=0.01, on_step=watch())
    """
    cell = nbformat.v4.new_code_cell("\n".join(line.strip() for line in code.strip().splitlines()))
    made = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(made, timeout=60, kernel_name="python3").execute(cwd=tmp_path)
    (output,) = cell.outputs
    assert output.output_type == "display_data" and set(output.data) == {"image/png", "text/plain"}
    assert output.data["text/plain"].startswith("100%")
    assert "after step 200 of 200" in output.metadata["image/png"]["alt"]
