"""Pictures of chapter 06: a question that goes hop by hop, and which words a stack of layers can reach."""

from functools import cache

import ipywidgets
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.path import Path

from . import (
    ACCENT,
    FAINT,
    INK,
    KEY,
    MUTED,
    PAPER,
    QUERY,
    SHARES,
    arrow,
    cells,
    interactive,
    plain,
    room,
    shade,
    show,
    sketch,
    styled,
    tint,
)


@styled()
def hops_picture(asks, names):
    """Draw whom the question asks about, before and after each layer, and the path from one answer to the next.

    asks: (steps, n), the part "asks about" of the question's row. names: n, in order.
    """
    asks = np.nan_to_num(np.asarray(asks, dtype=float))
    steps, labels = len(asks), ["before", *(f"after layer {i}" for i in range(1, len(asks)))]
    left, height, gap = 1.35, 0.31, 0.24
    width = min(1.25, (6.85 - left) / len(names))
    top = 0.33 + room(names, width)
    fig, axes = sketch(7, top + steps * (height + gap) - gap + 0.12)
    axes.text(left, 0.25, "whom the question asks about", weight="bold")
    x, best = left + width * (np.arange(len(names)) + 0.5), asks.argmax(axis=-1)
    _above(axes, names, x, top, width)
    for i, row in enumerate(asks):
        y = top + i * (height + gap)
        axes.text(left - 0.12, y + height / 2, labels[i], ha="right", va="center_baseline")
        colors = SHARES(np.clip(row, 0, 1))[None, :, :3]
        cells(axes, np.round(row[None], 2) + 0.0, left, y, (width, height), colors,
              form="{:.2f}" if width > 0.42 else "")
        axes.add_patch(Rectangle((left, y), len(names) * width, height, fill=False, edgecolor=tint(MUTED, 0.4)))
        if i:
            arrow(axes, (x[best[i - 1]], y - gap), (x[best[i]], y), ACCENT, linewidth=2, mutation_scale=13)
    said = ", ".join(f"{label} {names[j]} ({row[j]:.2f})" for label, row, j in zip(labels, asks, best, strict=True))
    show(fig, f"Whom the question asks about most: {said}.")


def _above(axes, names, x, y, width, **look):
    """Names above columns that are centered at x and begin at the height y; turned where they are long."""
    turned = room(names, width) > 0.3
    look |= {"rotation": 45, "rotation_mode": "anchor", "ha": "left"} if turned else {"ha": "center"}
    for name, middle in zip(plain(names), x, strict=True):
        axes.text(middle, y - 0.1, name, **look)


MOST_LAYERS = 5
CHECK_MARK = Path([(-0.9, 0), (-0.3, -0.7), (0.9, 0.8)])  # many letters take longer to draw
MASKS = {"all words": "all words", "the past only": "itself and the words before it",
         "neighbors": "itself and one word on each side"}


def reach_widget(encoder, init_encoder, words):
    """Let the reader stack layers, and see which inputs each output reaches; it is tried out, input by input.

    encoder, init_encoder: those of the chapter. words: T; up to 12 read well.
    """
    T = len(words)
    steps = np.arange(T)[None, :] - np.arange(T)[:, None]  # from the word that looks to the one that is looked at
    masks = {"all words": None, "the past only": steps <= 0, "neighbors": np.abs(steps) <= 1}

    @cache
    def reach(layers, mask):
        """(T, T) bools: whether the output of the row changes when the input of the column does."""
        rng = np.random.default_rng(0)
        params = init_encoder(rng, n_layers=layers, d_model=8, n_heads=2, d_ff=16, pre_norm=True)
        x, other = rng.normal(size=(2, T, 8))
        before, changed = encoder(x, params, 2, masks[mask], pre_norm=True), []
        for j in range(T):
            moved = x.copy()
            moved[j] = other[j]
            after = encoder(moved, params, 2, masks[mask], pre_norm=True)
            changed.append(np.abs(after - before).max(axis=-1) > 1e-9)
        return np.array(changed).T

    size = min(0.43, 2.58 / T), min(0.31, 2.58 / T)
    longest = 0.085 * max(map(len, words))
    left, top = 0.4 + longest, 0.58 + room(words, size[0])
    bottom, below = max(top + T * size[1], 2.4), room(words, 2.2 / T) + 0.12

    def draw(layers, mask):
        changed = reach(layers, mask)
        fig, axes = sketch(7, bottom + below)
        axes.text(0.12, 0.27, f"{changed.sum()} of {T * T} pairs reached", fontsize=11.5, weight="bold")
        axes.text(6.88, 0.27, f"in each layer a word looks at {MASKS[mask]}", color=MUTED, ha="right")
        _grid(axes, changed, words, left, top, size)
        _paths(axes, reach(1, mask), layers, words, top, bottom)
        return fig

    def alt(layers, mask):
        changed = reach(layers, mask)
        rows = "; ".join(f"{word} with {', '.join(np.array(words)[row]) or 'none'}"
                         for word, row in zip(words, changed, strict=True))
        return (f"{layers} {'layer' if layers == 1 else 'layers'}, in each of which a word looks at {MASKS[mask]}: "
                f"{changed.sum()} of {T * T} pairs are reached. Each output changes with these inputs: {rows}.")

    interactive(
        draw, alt,
        layers=ipywidgets.IntSlider(value=1, min=1, max=MOST_LAYERS, description="layers", layout={"width": "420px"}),
        mask=ipywidgets.Dropdown(options=list(MASKS), value="neighbors", description="mask"),
    )


def _grid(axes, changed, words, left, top, size):
    """A check mark for each output (row) that changes with an input (column), on a sketch; the first row framed."""
    T, (width, height) = len(words), size
    middle, right, bottom = left + width * (np.arange(T) + 0.5), left + T * width, top + T * height
    axes.text(left, 0.58, "changes when this input does", color=shade(KEY))
    axes.text(0.2, (top + bottom) / 2, "this output", color=shade(QUERY), rotation=90, ha="center", va="center")
    _above(axes, words, middle, top, width, color=shade(KEY))
    axes.pcolormesh(np.linspace(left, right, T + 1), np.linspace(top, bottom, T + 1), 0.45 * changed, cmap=SHARES,
                    vmin=0, vmax=1, edgecolors=FAINT, linewidth=1)
    for i, word in enumerate(plain(words)):
        axes.text(left - 0.1, top + (i + 0.5) * height, word, color=shade(QUERY), ha="right", va="center_baseline")
    i, j = np.nonzero(changed)
    axes.plot(middle[j], top + (i + 0.5) * height, linestyle="", marker=CHECK_MARK, markersize=30 * height,
              markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.8)
    axes.add_patch(Rectangle((left, top), T * width, height, fill=False, edgecolor=ACCENT, linewidth=2))


def _paths(axes, looks, layers, words, top, bottom):
    """Dots for the inputs and for each layer, from the bottom up; traced: what reaches the first output.

    looks: (T, T) bools, whom each word reads in one layer.
    """
    T, step = len(words), (bottom - top - 0.05) / MOST_LAYERS
    x = np.linspace(4.5, 6.7, T)
    y = bottom - step * np.arange(layers + 1)
    on = [np.arange(T) == 0]  # from the last layer down: the words that matter to its first output
    for _ in range(layers):
        on.append(looks[on[-1]].any(axis=0))
    on = np.array(on[::-1])
    axes.text(3.75, 0.58, "all paths to the first output", color=shade(ACCENT), weight="bold")
    lines = {False: [], True: []}  # by whether they are on a path
    for k in range(layers):
        for i, j in np.argwhere(looks):
            lines[on[k + 1, i]].append([(x[j], y[k]), (x[i], y[k + 1])])
    axes.add_collection(LineCollection(lines[False], color=FAINT, linewidth=1))
    axes.add_collection(LineCollection(lines[True], color=ACCENT, linewidth=1.4 if len(lines[True]) < 80 else 0.7))
    for inside, look in ((~on, {"markerfacecolor": PAPER, "markeredgecolor": tint(MUTED, 0.5), "markersize": 7}),
                         (on, {"color": ACCENT, "markersize": 9})):
        k, i = np.nonzero(inside)
        axes.plot(x[i], y[k], "o", **look)
    for k, height in enumerate(y):
        axes.text(4.3, height, f"layer {k}" if k else "input", ha="right", va="center_baseline", fontsize=9)
    turned = room(words, 2.2 / T) > 0.3
    look = {"rotation": 45, "rotation_mode": "anchor", "ha": "right"} if turned else {"ha": "center"}
    for i, word in enumerate(plain(words)):
        axes.text(x[i], bottom + 0.27, word, color=shade(KEY), **look)
