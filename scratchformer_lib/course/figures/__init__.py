"""The pictures of the course: one style, one palette, one way to show a figure and one to make it move."""

import base64
import io
from contextlib import suppress
from html import escape
from pathlib import Path

import ipywidgets
import matplotlib
import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

# Colors of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by color-blind readers. GOOD and BAD never
# stand alone: a mark or a word says it too.
QUERY, KEY, VALUE = "#0072B2", "#E69F00", "#009E73"
SOURCE, TARGET = "#56B4E9", "#CC79A7"
GOOD, BAD = "#00664B", "#D55E00"
INK, MUTED, FAINT, PAPER = "#22313F", "#6F7B87", "#E3E6E8", "#FCFCFA"
ACCENT = "#5B4B9A"  # shares, weights, and what is being talked about
SHARES = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#D8D2EE", "#9D8FD1", ACCENT, "#3A2C73"])
SIGNED = LinearSegmentedColormap.from_list("signed", [KEY, "#FFFFFF", QUERY])  # below zero, zero, above

STYLE = matplotlib.rc_params_from_file(Path(__file__).with_name("scratchformer.mplstyle"), use_default_template=False)
DOTS_PER_INCH = 100  # of the page; the PNG has twice as many, for sharp letters on a high-resolution screen


def styled():
    """A decorator, and a `with` block: what is drawn inside looks like the course."""
    return matplotlib.rc_context(STYLE)


def show(fig, alt):
    """Show a figure in the notebook, and close it; outside a notebook nothing happens.

    fig: a matplotlib figure, or an SVG drawing (a str).
    alt: a sentence that says what the picture shows, for readers who cannot see it.
    """
    if isinstance(fig, str):
        data, metadata = {"image/svg+xml": fig}, {"image/svg+xml": {"alt": alt}}
    else:
        data, metadata = {"image/png": base64_of(png(fig))}, {"image/png": {"alt": alt, **size_of(fig)}}
        plt.close(fig)
    _publish(data | {"text/plain": alt}, metadata)


def png(fig):
    """Draw a figure as the bytes of a small, sharp PNG file."""
    picture = _pixels(fig)
    # 256 colors halve the file; they are chosen on every fourth pixel, which takes a third of the time.
    sample = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.NEAREST)
    palette = sample.quantize(256, dither=Image.Dither.NONE)
    return _file(picture.quantize(palette=palette, dither=Image.Dither.NONE))


def quick_png(fig):
    """The same in half the time, three times as long: for pictures that nobody keeps."""
    return _file(_pixels(fig), compress_level=1)


def _pixels(fig):
    with styled():
        fig.set_dpi(2 * DOTS_PER_INCH)
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _file(picture, **options):
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def interactive(draw, alt, **controls):
    """Show a picture under the controls that it depends on; it is drawn again when one of them changes.

    draw: takes the controls' values by name, returns a figure, always of the same size.
    alt: a sentence that says what the picture shows, or a function of the values that returns one.
    controls: ipywidgets by name.
    An error in the first drawing is the caller's; a later one is shown where the picture was.
    """
    widget, data, metadata = _interactive(draw, alt, controls)
    # Where no kernel runs (GitHub), the first picture stands in for the widget.
    _publish({"application/vnd.jupyter.widget-view+json": _view(widget)} | data, metadata)


def _interactive(draw, alt, controls):
    def picture(values, encode):
        with styled():
            fig = draw(**values)
        sentence = alt(**values) if callable(alt) else alt
        image, size = base64_of(encode(fig)), size_of(fig)
        plt.close(fig)
        return image, size, sentence

    def values():
        return {name: control.value for name, control in controls.items()}

    shown = values()
    image, size, sentence = picture(shown, png)
    frame = ipywidgets.HTML(_framed(_img(image, sentence), size))

    def redraw(_):
        nonlocal shown
        if values() == shown:
            return
        shown = values()
        try:
            image, _, sentence = picture(shown, quick_png)
            frame.value = _framed(_img(image, sentence), size)
        except Exception as error:
            words = escape(f"No picture for these values. {_in_words(error)}")
            frame.value = _framed(f'<p style="padding: 0 1em">{words}</p>', size)

    for control in controls.values():
        control.style.description_width = "initial"
        control.observe(redraw, "value")
    widget = ipywidgets.VBox([*controls.values(), frame])
    return widget, {"image/png": image, "text/plain": sentence}, {"image/png": {"alt": sentence, **size}}


def _img(image, sentence):
    return f'<img alt="{escape(sentence)}" src="data:image/png;base64,{image}" style="width: 100%; display: block">'


def _framed(content, size):
    """The frame keeps its size whatever is in it, so that the page below does not jump."""
    return (
        f'<div style="width: {size["width"]}px; max-width: 100%; aspect-ratio: {size["width"]} / {size["height"]}; '
        f'background: {PAPER}; color: {INK}; line-height: 1.4; overflow: hidden">{content}</div>'
    )


def _in_words(error):
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _view(widget):
    return {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}


def _publish(data, metadata):
    if get_ipython() is not None:
        display(data, metadata=metadata, raw=True)


def base64_of(data):
    return base64.b64encode(data).decode("ascii")


def size_of(fig):
    width, height = fig.get_size_inches() * DOTS_PER_INCH
    return {"width": round(width), "height": round(height)}


def sketch(width, height):
    """An empty figure to draw boxes on: (figure, axes), coordinates in inches from the top left."""
    fig = Figure(figsize=(width, height))
    axes = fig.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return fig, axes


def cells(axes, values, left=0.0, top=0.0, size=(0.5, 0.4), colors="#FFFFFF", ink=None, form="{:g}", **text):
    """Draw a matrix as a grid of boxes with the numbers written into them.

    values: (rows, columns), numbers or words.
    left, top: where its corner goes; size: width and height of a cell.
    colors: one color, or an array of colors of shape (rows, columns, 3 or 4).
    ink: the color of the numbers; black or white, whichever reads better, if None.
    """
    values = np.asarray(values)
    rows, columns = values.shape
    if np.ndim(colors) < 3:
        colors = np.broadcast_to(to_rgb(colors), (rows, columns, 3))
    width, height = size
    for i in range(rows):
        for j in range(columns):
            x, y = left + j * width, top + i * height
            axes.add_patch(Rectangle((x, y), width, height, facecolor=colors[i, j], edgecolor=PAPER, linewidth=1.5))
            word = values[i, j] if values.dtype.kind == "U" else form.format(values[i, j])
            color = ink or readable_on(colors[i, j])
            axes.text(x + width / 2, y + height / 2, word, color=color, ha="center", va="center_baseline", **text)


def heat(axes, values, rows, columns, colors=SHARES, limits=(0, 1), form="{:.2f}", size=9):
    """Draw a matrix as colored squares, its rows and columns named, and with the numbers where there are few.

    values: (rows, columns). rows, columns: names, in order. form: how a number is written, "" for not at all.
    limits: the values of the palest and of the darkest color.
    """
    values = np.asarray(values, dtype=float)
    axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    for (i, j), value in np.ndenumerate(values if form else np.empty((0, 0))):
        place = (value - limits[0]) / (limits[1] - limits[0])
        ink = readable_on(colors(min(max(place, 0), 1))[:3]) if np.isfinite(value) else INK
        axes.text(j, i, form.format(value), color=ink, size=size, ha="center", va="center")


def place(fig, left, top, width, height):
    """Axes whose place is given in inches from the top left of the figure."""
    full_width, full_height = fig.get_size_inches()
    return fig.add_axes((left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height))


def room(names, width):
    """The inches that columns of a width need above them for their names; long names are turned, see `word_map`."""
    longest = max(map(len, names), default=0)
    return 0.3 if longest * 0.085 + 0.05 < width else 0.2 + 0.06 * longest


def word_map(axes, values, rows, columns, cell, colors=SHARES, limits=(0, 1), most=8):
    """A heat map with words at its sides; the numbers are written where they fit, at most `most` by `most`.

    values: (rows, columns). cell: width and height of a cell in inches.
    """
    number = "{:.2f}" if limits[0] >= 0 else "{:.1f}" if cell[0] < 0.42 else "{:.2f}"
    fits = max(values.shape) <= most and cell[0] >= 0.27
    size = 9 if cell[0] >= 0.42 else 8 if cell[0] >= 0.29 else 7
    exact = np.round(values, 1 if ".1f" in number else 2) + 0.0  # no "-0.00"
    heat(axes, exact if fits else values, plain(rows), plain(columns), colors, limits, number * fits, size)
    axes.grid(which="minor", color=FAINT, linewidth=1)
    axes.spines[:].set(visible=True, color=FAINT)
    if room(columns, cell[0]) > 0.3:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="left", rotation_mode="anchor")


def plain(words):
    """The words as matplotlib shows them letter for letter: a dollar sign begins no formula."""
    return [word.replace("$", r"\$") for word in words]


def end_labels(axes, lines, gap=0.19):
    """Name lines at the right of their axes, near their ends, and never one name upon another.

    lines: for each line (x, y, name, color), x and y of its end. gap: between names, in inches.
    """
    gap /= axes.get_position().height * axes.figure.get_figheight()
    to_axes = axes.transData + axes.transAxes.inverted()
    lines = sorted(lines, key=lambda line: line[1])
    places = np.clip([to_axes.transform(line[:2])[1] for line in lines], 0, 1)
    for _ in range(100):  # neighbors push each other apart
        push = np.maximum(gap - np.diff(places), 0) / 2
        places[1:] += push
        places[:-1] -= push
        places = np.clip(places, 0, 1)
    for (x, y, name, color), place in zip(lines, places, strict=True):
        thin = {"arrowstyle": "-", "color": color, "linewidth": 1, "linestyle": ":", "relpos": (0, 0.5)}
        axes.annotate(name, (x, y), (1.06, place), textcoords="axes fraction", color=shade(color), va="center",
                      annotation_clip=False, arrowprops=thin)


def readable_on(color):
    """Dark letters on a light color, white letters on a dark one."""
    return INK if np.dot(to_rgb(color), (0.299, 0.587, 0.114)) > 0.55 else "#FFFFFF"


def tint(color, amount):
    """A color mixed with white; amount 0 is white, 1 the color itself."""
    return tuple(1 - amount * (1 - np.array(to_rgb(color))))


def shade(color):
    """The same color, dark enough to write in."""
    return tuple(0.62 * np.array(to_rgb(color)))


def arrow(axes, start, end, color=MUTED, **style):
    """An arrow from start to end, both (x, y)."""
    style = {"arrowstyle": "-|>", "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0} | style
    axes.annotate("", end, start, arrowprops={"color": color, **style})


def percent(share):
    """A share as a text, to a tenth of a percent."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def whole_percent(share):
    """A share as a text, to a percent."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def follow(slider, control, length):
    """Let an IntSlider end at length(the control's value); where that fails it stays, and the picture says why."""
    def limit(_=None):
        with suppress(Exception):
            slider.max = max(length(control.value), slider.min)

    control.observe(limit, "value")
    limit()


def boxed(axes, word, x, y, width, color, height=0.36, size=10, **look):
    """Draw a word in a box centered at (x, y); a long one is written small, and a very long one is cut.

    size: of the font, at most. look: of the box.
    """
    look = {"facecolor": tint(color, 0.3), "edgecolor": color, "linewidth": 1.3, "zorder": 3} | look
    axes.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height,
                                  boxstyle="round,pad=0,rounding_size=0.07", **look))
    word, size = fitted(word, width - 0.06, size)
    axes.text(x, y, word, fontsize=size, ha="center", va="center_baseline", zorder=4)


def fitted(word, width, size=10):
    """As much of a word as fits into a width in inches, and the font size at which it does, 7 to size."""
    if letters(word) > width * 10 / 7:
        ends = np.cumsum([letters(letter) for letter in word])
        word = word[:max(np.sum(ends <= width * 10 / 7 - 0.1), 1)] + "\N{HORIZONTAL ELLIPSIS}"
    return *plain([word]), min(size, max(7, 10 * width / (letters(word) or 1)))


def letters(word):
    """About how many inches a word takes at font size 10."""
    return sum(0.05 if letter in "fijlrtI.,:;'" else 0.138 if letter in "mwMW@%" or letter > "\u1100" else 0.088
               for letter in word)


def running_mean(values, n):
    """At each place the mean of the last n values; at the beginning, of those that there are."""
    return np.convolve(values, np.ones(n))[:len(values)] / np.minimum(np.arange(1, len(values) + 1), n)
