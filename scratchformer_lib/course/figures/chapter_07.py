"""Pictures of chapter 07: who reads what in the source, and how a layer of the decoder is put together."""


import ipywidgets
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle, Rectangle

from . import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    PAPER,
    SHARES,
    SOURCE,
    TARGET,
    arrow,
    boxed,
    fitted,
    follow,
    interactive,
    letters,
    readable_on,
    shade,
    show,
    sketch,
    styled,
    tint,
    whole_percent,
)
from .chapter_05 import PARTS, around


def cross_widget(read, numbers):
    """Let the reader point at a German word, and see which English words it reads.

    read: takes a number, returns (english, german, weights): S words, T words, and weights (T, S).
    numbers: whole numbers to choose from; the first is shown first.
    """
    def draw(number, word):
        english, german, weights = _read(read, number)
        fig, axes = sketch(7, 3.3)
        if not english or not german:
            axes.text(3.5, 1.65, "No words to draw.", ha="center", color=MUTED, fontsize=12)
            return fig
        chosen = min(word, len(german)) - 1
        _lines(axes, english, german, weights, chosen)
        _map(axes, english, german, weights, chosen)
        return fig

    def alt(number, word):
        english, german, weights = _read(read, number)
        if not english or not german:
            return "An empty picture: there are no words to draw."
        chosen = min(word, len(german)) - 1
        return (f"The English words '{' '.join(english)}' above the German words '{' '.join(german)}', with lines as "
                f"thick as the weights. German word {chosen + 1}, '{german[chosen]}', reads "
                f"{_in_words(english, weights[chosen])}.")

    number = ipywidgets.SelectionSlider(options=list(numbers), description="number", layout={"width": "420px"})
    word = ipywidgets.IntSlider(value=1, min=1, max=1, description="German word", layout={"width": "420px"})
    follow(word, number, lambda n: len(read(n)[1]))
    interactive(draw, alt, number=number, word=word)


def _read(read, number):
    english, german, weights = read(number)
    weights, shape = np.asarray(weights, dtype=float), (len(german), len(english))
    if weights.shape != shape:
        raise ValueError(f"read({number}) gave weights of shape {weights.shape}; of {shape[0]} German and {shape[1]} "
                         f"English words they are {shape}")
    return list(english), list(german), weights


def _in_words(words, weights):
    if not weights.any():
        return "nothing"
    return ", ".join(f"'{word}' {whole_percent(weight)}" for word, weight in zip(words, weights, strict=True))


def _lines(axes, english, german, weights, chosen):
    """The two sentences above each other on a sketch; lines from each German word to what it reads."""
    (T, S), left, width = weights.shape, 0.8, 3.4
    step = width / max(S, T)
    wide = min(step - 0.07, 1.1)
    size = min(fitted(word, wide - 0.06)[1] for word in [*english, *german])
    x_english = left + width / S * (np.arange(S) + 0.5)
    x_german = left + width / T * (np.arange(T) + 0.5)
    axes.text(0.12, 0.27, f"what the German word '{fitted(german[chosen], 1.1)[0]}' reads", fontsize=11.5,
              weight="bold")
    axes.text(0.12, 1.1, "English", color=shade(SOURCE), va="center_baseline")
    axes.text(0.12, 2.85, "German", color=shade(TARGET), va="center_baseline")
    thick = 13 * np.clip(np.nan_to_num(weights), 0, 1)
    paths = [[[(x, 2.67), (x_english[s], 1.28)] for s in range(S)] for x in x_german]
    for t in np.argsort(np.arange(T) == chosen, kind="stable"):
        color = ACCENT if t == chosen else FAINT
        axes.add_collection(LineCollection(paths[t], linewidths=thick[t], color=color))
    for s, word in enumerate(english):
        boxed(axes, word, x_english[s], 1.1, wide, SOURCE, size=size)
        axes.text(x_english[s], 0.82, whole_percent(weights[chosen, s]), color=shade(ACCENT), weight="bold",
                  ha="center", fontsize=10 if step > 0.5 else 8)
    for t, word in enumerate(german):
        look = {"facecolor": tint(TARGET, 0.6), "edgecolor": ACCENT, "linewidth": 2.5} if t == chosen else {}
        boxed(axes, word, x_german[t], 2.85, wide, TARGET, size=size, **look)


def _map(axes, english, german, weights, chosen):
    """The weights as a heat map on the right of a sketch, the row of one German word framed."""
    (T, S), names = weights.shape, min(max(map(letters, german)), 0.8)
    left = 4.6 + names
    width, height = min(0.7, (6.85 - left) / S), min(0.4, 1.9 / T)
    heads = [fitted(word, 0.8) for word in english]
    size, turned = min(size for _, size in heads), max(letters(word) for word, _ in heads) + 0.08 > width
    top = 1.2
    x, y = left + width * np.arange(S + 1), top + height * np.arange(T + 1)
    axes.text(4.5, 0.27, "all weights", weight="bold")
    axes.pcolormesh(x, y, weights, cmap=SHARES, vmin=0, vmax=1, edgecolors=FAINT, linewidth=1)
    for s, (word, _) in enumerate(heads):
        look = {"rotation": 45, "rotation_mode": "anchor", "ha": "left"} if turned else {"ha": "center"}
        axes.text(x[s] + width / 2, top - 0.1, word, fontsize=size, color=shade(SOURCE), **look)
    for t, word in enumerate(german):
        word, size = fitted(word, names)
        axes.text(left - 0.1, y[t] + height / 2, word, fontsize=size, color=shade(TARGET), ha="right",
                  va="center_baseline")
    for t, s in np.ndindex(weights.shape if width > 0.3 and height > 0.15 else (0, 0)):
        color = readable_on(SHARES(np.clip(weights[t, s], 0, 1))[:3]) if np.isfinite(weights[t, s]) else INK
        axes.text(x[s] + width / 2, y[t] + height / 2, whole_percent(weights[t, s]), color=color, ha="center",
                  va="center_baseline", fontsize=9 if width > 0.4 else 7.5)
    axes.add_patch(Rectangle((left, y[chosen]), S * width, height, fill=False, edgecolor=INK, linewidth=2))


@styled()
def layer_picture():
    """Draw a layer of the decoder: three parts on the stream, the second of which reads the memory."""
    fig, axes = sketch(7, 5.2)
    x, y = 3.15, 4.9
    axes.text(x, y + 0.12, "x, the words that are written", ha="center", va="center_baseline", weight="bold")
    for name, words in (("causal self-attention", "each word looks at itself\nand at the words before it"),
                        ("cross-attention", "each word looks at all\nwords of the source"),
                        ("feed-forward", "each word thinks by itself")):
        middle, y = _part(axes, x, y, name)
        axes.text(4.75, middle, words, va="center", linespacing=1.4)
        if name == "cross-attention":
            _memory(axes, x, middle)
    arrow(axes, (x, y), (x, y - 0.3), ACCENT, linewidth=3.2, mutation_scale=18)
    axes.text(x + 0.2, y - 0.18, "to the next layer", va="center_baseline", color=shade(ACCENT))
    show(fig, "A layer of the decoder, read from the bottom up: causal self-attention, add, norm; cross-attention, "
              "add, norm; feed-forward, add, norm. A residual path goes around each of the three. The queries of the "
              "cross-attention come from the stream; its keys and values come in from the side, from the memory, which "
              "the encoder made of the source.")


def _part(axes, x, y, name):
    """Draw a part of a layer, its residual path, + and norm, upwards from y; returns the part's middle, and the top."""
    fork, box, ring, norm, top = y - np.array([0.14, 0.46, 0.92, 1.37, 1.51])
    stream = {"color": ACCENT, "linewidth": 3.2, "solid_capstyle": "round"}
    axes.plot([x, x], [y, fork], **stream)
    axes.add_patch(Circle((x, fork), 0.06, color=ACCENT, zorder=5))
    arrow(axes, (x, fork), (x, box + 0.16), mutation_scale=10)
    arrow(axes, (x, box - 0.16), (x, ring + 0.13), mutation_scale=10)
    arrow(axes, (x, ring - 0.13), (x, norm + 0.14), ACCENT, linewidth=3.2, mutation_scale=14)
    axes.plot([x, x], [norm - 0.14, top], **stream)
    around(axes, x, fork, ring)
    axes.add_patch(Circle((x, ring), 0.13, facecolor=PAPER, edgecolor=ACCENT, linewidth=2, zorder=3))
    axes.text(x, ring, "+", ha="center", va="center_baseline", fontsize=13, weight="bold", zorder=4)
    color = PARTS["feed-forward" if name == "feed-forward" else "attention"]
    boxed(axes, name, x, box, 1.8, color, 0.32)
    boxed(axes, "norm", x, norm, 1.8, PARTS["norm"], 0.28)
    return box, top


def _memory(axes, x, y):
    """The memory, and its way into the cross-attention at (x, y)."""
    boxed(axes, "memory", 0.75, y, 1.0, SOURCE, 0.5, linewidth=2)
    axes.text(0.75, y + 0.35, "what the encoder\nmade of the source", color=shade(SOURCE), ha="center", va="top",
              fontsize=9, linespacing=1.4)
    arrow(axes, (1.25, y), (x - 0.9, y), SOURCE, linewidth=3.2, mutation_scale=16)
    axes.text(1.7, y - 0.1, "keys, values", ha="center", fontsize=9, color=shade(SOURCE))
    axes.text(x - 0.08, y + 0.24, "queries", ha="right", va="center_baseline", fontsize=9, color=shade(TARGET))
