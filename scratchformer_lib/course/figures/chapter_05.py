"""Pictures of chapter 05: the parts of a block, how they are put together, and what flows through them."""

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from . import (
    ACCENT,
    BAD,
    INK,
    KEY,
    MUTED,
    PAPER,
    QUERY,
    SOURCE,
    VALUE,
    arrow,
    end_labels,
    interactive,
    shade,
    show,
    sketch,
    styled,
    tint,
)

# The parts of a block have their colors in every picture of this chapter.
PARTS = {"attention": QUERY, "feed-forward": VALUE, "norm": KEY, "input": MUTED}


@styled()
def activations(relu, gelu, exact):
    """Draw ReLU and GELU, and how far the formula with tanh is from the exact GELU.

    relu, gelu, exact: take numbers (n,), return as many.
    """
    x = np.linspace(-4, 4, 401)
    fig = Figure(figsize=(7, 2.9))
    left, right = fig.add_axes((0.05, 0.12, 0.46, 0.75)), fig.add_axes((0.63, 0.12, 0.35, 0.75))
    left.axhline(0, color=MUTED, linewidth=1)
    left.plot(x, relu(x), color=SOURCE, linewidth=3.5)
    left.plot(x, gelu(x), color=ACCENT)
    left.plot(x, exact(x), color=INK, linestyle=(0, (1, 2.2)), linewidth=2.6)
    left.set(xlim=(-4, 4), ylim=(-0.5, 4), title="what comes out", yticks=range(5))
    for y, words, color in ((3.35, "ReLU", SOURCE), (2.85, "GELU", ACCENT), (2.35, "dotted: exact GELU", INK)):
        left.text(-3.7, y, words, color=shade(color), weight="bold")
    error = np.asarray(gelu(x)) - exact(x)
    right.axhline(0, color=MUTED, linewidth=1)
    right.plot(x, 1000 * error, color=ACCENT)
    right.set(xlim=(-4, 4), title="GELU \N{MINUS SIGN} exact, in thousandths")
    right.set_ylim(*np.array([-1.15, 1.15]) * max(1000 * np.abs(error).max(), 0.01))
    show(fig, f"ReLU and GELU from -4 to 4: at -1 ReLU is {relu(x)[150]:.3f} and GELU {gelu(x)[150]:.3f}. The "
              f"GELU drawn is within {np.abs(error).max():.5f} of the exact one.")


@styled()
def norm_picture(before, after, names):
    """Draw the vectors of a few words before and after LayerNorm, with their means and standard deviations.

    before, after: (n, D). names: n words.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    n, D = before.shape
    height, left = 0.5 + 0.92 * n, 0.6 + 0.09 * max(len(name) for name in names)
    fig = Figure(figsize=(7, height))
    grid = fig.subplots(n, 2, sharex=True, squeeze=False, gridspec_kw={
        "left": left / 7, "right": 0.985, "top": 1 - 0.62 / height, "bottom": 0.12 / height, "hspace": 0.62,
        "wspace": 0.17})
    for column, vectors, name, color in zip(grid.T, (before, after), ("before", "after LayerNorm"), (MUTED, ACCENT),
                                            strict=True):
        reach = 1.08 * np.abs(vectors).max() or 1
        for axes, vector in zip(column, vectors, strict=True):
            mean, deviation = vector.mean(), vector.std()
            axes.axhspan(mean - deviation, mean + deviation, color=tint(color, 0.18), linewidth=0)
            axes.axhline(mean, color=color, linewidth=1, linestyle="--")
            axes.axhline(0, color=MUTED, linewidth=1)
            axes.bar(range(D), vector, width=0.65, color=tint(color, 0.8))
            axes.set(xlim=(-0.6, D - 0.4), ylim=(-reach, reach))
            axes.set_xticks([])
            axes.locator_params(axis="y", nbins=3)
            axes.spines["bottom"].set_visible(False)
            axes.text(0, 1.04, f"mean {_short(mean)}, standard deviation {_short(deviation)}", fontsize=9,
                      transform=axes.transAxes, color=shade(color))
        fig.text(column[0].get_position().x0, 1 - 0.1 / height, name, va="top", weight="bold")
    band = "band: mean \N{PLUS-MINUS SIGN} standard deviation"
    fig.text(grid[0, 0].get_position().x1, 1 - 0.1 / height, band, va="top", ha="right", fontsize=9, color=MUTED)
    for axes, name in zip(grid[:, 0], names, strict=True):
        fig.text(0.015, (axes.get_position().y0 + axes.get_position().y1) / 2, name, va="center", weight="bold")
    pairs = ", ".join(f"'{name}' from mean {_short(b.mean())} and standard deviation {_short(b.std())} to "
                      f"{_short(a.mean())} and {_short(a.std())}"
                      for name, b, a in zip(names, before, after, strict=True))
    show(fig, f"Vectors before and after LayerNorm, as bars; {pairs}.")


def _short(number):
    return f"{round(number, 2) + 0.0:.2f}"  # no -0.00


@styled()
def dropout_picture(x, dropped, mean_of_many, n_draws):
    """Draw numbers, what one dropout makes of them, and the mean of many.

    x, dropped, mean_of_many: (D,). n_draws: how many that mean is of.
    """
    rows = [np.asarray(row, dtype=float) for row in (x, dropped, mean_of_many)]
    places, gone = np.arange(len(rows[0])), (rows[1] == 0) & (rows[0] != 0)
    low, high = min(0, *map(np.min, rows)), max(0, *map(np.max, rows))
    fig = Figure(figsize=(7, 3.4))
    grid = fig.subplots(3, 1, sharex=True, gridspec_kw={
        "left": 0.07, "right": 0.985, "top": 0.91, "bottom": 0.03, "hspace": 0.42})
    titles = ("x", "one draw: \N{MULTIPLICATION SIGN} was dropped, the others are enlarged",
              f"the mean of {n_draws:,} draws")
    for axes, row, title, color in zip(grid, rows, titles, (MUTED, ACCENT, ACCENT), strict=True):
        axes.bar(places, row, width=0.66, color=tint(color, 0.75))
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.set_ylim(low - 0.08 * (high - low or 1), high + 0.08 * (high - low or 1))
        axes.locator_params(axis="y", nbins=4)
        axes.set_title(title, fontsize=10, pad=5, weight="bold")
        if row is not rows[0]:
            axes.bar(places, rows[0], width=0.66, facecolor="none", edgecolor=INK, linewidth=1, linestyle=":")
    grid[1].plot(places[gone], np.zeros(gone.sum()), "x", color=BAD, markersize=8, markeredgewidth=2.2, clip_on=False)
    grid[1].text(1, 1.06, "dotted: x", ha="right", color=MUTED, transform=grid[1].transAxes)
    off = np.abs(rows[2] - rows[0]).max()
    show(fig, f"{len(places)} numbers; one draw of dropout, in which {gone.sum()} are 0 and the others enlarged, "
              f"and the mean of {n_draws:,} draws, within {off:.2f} of the numbers.")


@styled()
def reach_picture(changed, names):
    """Draw which words' outputs changed when the input of one word was changed, part by part.

    changed: a dict from a part ("attention") to (T,) bools. names: T words.
    """
    left, top, height = 0.35 + 0.085 * max(map(len, changed)), 0.75, 0.42
    width = min(0.95, (6.85 - left) / len(names))
    fig, axes = sketch(7, top + len(changed) * height + 0.15)
    axes.text(left, 0.28, "whose output changes?", weight="bold")
    for j, name in enumerate(names):
        axes.text(left + (j + 0.5) * width, top - 0.1, name, ha="center", weight="bold")
    for i, (part, moved) in enumerate(changed.items()):
        y = top + i * height
        axes.text(left - 0.12, y + height / 2, part, ha="right", va="center_baseline")
        for j, move in enumerate(np.asarray(moved, dtype=bool)):
            look = {"facecolor": ACCENT, "edgecolor": ACCENT} if move else {
                "facecolor": PAPER, "edgecolor": tint(MUTED, 0.5)}
            axes.add_patch(Rectangle((left + j * width + 0.03, y + 0.03), width - 0.06, height - 0.06, **look))
            word, look = ("changed", {"color": PAPER, "weight": "bold"}) if move else ("same", {"color": MUTED})
            axes.text(left + (j + 0.5) * width, y + height / 2, word, fontsize=9, ha="center", va="center_baseline",
                      **look)
    said = "; ".join(f"{part}: {', '.join(n for n, move in zip(names, moved, strict=True) if move) or 'none'}"
                     for part, moved in changed.items())
    show(fig, f"Whose output changes when one word's input is changed. {said}.")


POST = ("fork", "attention", "+", "norm", "fork", "feed-forward", "+", "norm")  # from the bottom up
PRE = ("fork", "norm", "attention", "+", "fork", "norm", "feed-forward", "+")


@styled()
def block_picture():
    """Draw the two ways to build a block: norms on the stream (post-norm), and norms in the branches (pre-norm)."""
    fig, axes = sketch(7, 5.27)
    columns = ((0.3, POST, "post-norm", "the stream passes through every norm",
                ("x = norm(x + attention(x))", "x = norm(x + feed_forward(x))")),
               (3.85, PRE, "pre-norm", "the stream meets nothing but +",
                ("x = x + attention(norm(x))", "x = x + feed_forward(norm(x))")))
    for left, parts, name, words, lines in columns:
        axes.text(left, 0.32, name, fontsize=12, weight="bold")
        axes.text(left, 0.58, words, color=shade(ACCENT))
        _block(axes, left + 1.2, parts, 4.4)
        for i, line in enumerate(lines):
            axes.text(left, 4.9 + 0.2 * i, line, family="DejaVu Sans Mono", fontsize=9.5)
    axes.plot([3.55, 3.55], [0.2, 5.07], color=tint(MUTED, 0.4), linewidth=1)
    show(fig, "Two blocks, read from the bottom up. Post-norm: attention, add, norm, feed-forward, add, norm; the "
              "residual paths go around attention and feed-forward, and the norms stand on the stream. Pre-norm: norm, "
              "attention, add, norm, feed-forward, add; the residual paths go around the norms as well, so that the "
              "stream runs from bottom to top with nothing but additions on it.")


def _block(axes, x, parts, y):
    """Draw the parts of a block upwards from y, above each other at x; thick is the stream, thin the branches."""
    stream = {"color": ACCENT, "linewidth": 3.2, "solid_capstyle": "round"}
    axes.text(x, y + 0.16, "x", ha="center", va="center_baseline", weight="bold")
    fork = None
    for part in (*parts, "out"):
        tall = {"fork": 0.0, "+": 0.26, "out": 0.0}.get(part, 0.32)
        gap = {"fork": 0.16, "out": 0.3}.get(part, 0.19)
        y -= gap
        if fork is None:
            axes.plot([x, x], [y + gap, y], **stream)
        else:
            arrow(axes, (x, y + gap), (x, y), linewidth=1.5, mutation_scale=10)
        if part == "fork":
            fork = y
            axes.add_patch(Circle((x, y), 0.06, color=ACCENT, zorder=5))
        elif part == "+":
            around(axes, x, fork, y - tall / 2)
            ring = {"facecolor": PAPER, "edgecolor": ACCENT, "linewidth": 2, "zorder": 3}
            axes.add_patch(Circle((x, y - tall / 2), tall / 2, **ring))
            axes.text(x, y - tall / 2, "+", ha="center", va="center_baseline", fontsize=13, weight="bold", zorder=4)
            fork = None
        elif part != "out":
            color = PARTS[part]
            axes.add_patch(FancyBboxPatch((x - 0.75, y - tall), 1.5, tall, boxstyle="round,pad=0,rounding_size=0.07",
                                          facecolor=tint(color, 0.35), edgecolor=color, linewidth=1.3, zorder=3))
            axes.text(x, y - tall / 2, part, ha="center", va="center_baseline", zorder=4)
        y -= tall
    arrow(axes, (x, y + 0.1), (x, y - 0.08), ACCENT, linewidth=3.2, mutation_scale=18)


def around(axes, x, low, high, out=1.1, bend=0.12):
    """The residual path: from the stream at the height low around the boxes to the + at the height high."""
    axes.text(x + out + 0.08, (low + high) / 2, "residual path", rotation=270, va="center", color=shade(ACCENT),
              fontsize=9)
    corners = [(x, low), (x + out - bend, low), (x + out, low), (x + out, low - bend), (x + out, high + bend),
               (x + out, high), (x + out - bend, high), (x + 0.14, high)]
    codes = [Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO, Path.CURVE3, Path.CURVE3, Path.LINETO]
    axes.add_patch(FancyArrowPatch(path=Path(corners, codes), arrowstyle="-|>", mutation_scale=18, color=ACCENT,
                                   linewidth=3.2, shrinkA=0, shrinkB=0, fill=False, capstyle="round"))


LOOKS = {"post-norm": (SOURCE, "s"), "pre-norm": (ACCENT, "o"), "no residual": (BAD, "v"), "no norm": (INK, "^")}


@styled()
def depth_picture(depths, signals, gradients):
    """Draw how large the signal and the gradient are after more and more blocks.

    depths: (n,), numbers of blocks. signals, gradients: dicts from a kind of block ("post-norm") to (n,) sizes; one
    that is 0, infinite or NaN has no point.
    """
    fig = Figure(figsize=(7, 3.0))
    for left, title, sizes in ((0.075, "size of the signal", signals), (0.58, "size of the gradient", gradients)):
        axes = fig.add_axes((left, 0.165, 0.265, 0.7))
        axes.set_yscale("log")
        axes.set_title(title)
        axes.set_xlabel("blocks")
        axes.grid(True, axis="y")
        ends = []
        for kind, values in sizes.items():
            color, marker = LOOKS.get(kind, (MUTED, "."))
            values = np.asarray(values, dtype=float)
            drawn = np.isfinite(values) & (values > 0)
            x, y = np.asarray(depths)[drawn], values[drawn]
            axes.plot(x, y, color=color, marker=marker, markersize=5, markevery=(0.1, 0.15), linewidth=1.6)
            ends += [(x[-1], y[-1], kind, color)] if len(x) else []
        axes.set_xlim(0, max(depths))
        end_labels(axes, ends)
    said = [f"{kind}: {'; '.join(f'{name} {_size(sizes[kind][-1])}' for name, sizes in both if kind in sizes)}"
            for both in [(("signal", signals), ("gradient", gradients))] for kind in signals]
    show(fig, f"The size of the signal and of the gradient by the number of blocks; after {depths[-1]}, "
              f"{', '.join(said)}.")


def _size(value):
    return f"{value:.2g}" if np.isfinite(value) else "not a finite number"


def stream_widget(transformer_block, x, blocks, n_heads, tokens):
    """Let the reader follow one word's vector through pre-norm blocks, contribution by contribution.

    transformer_block: the block; x: (T, D), what goes into the first one; blocks: their parameters, as init_block
    draws them; n_heads: H; tokens: T words.
    """
    names, stream = ["input"], [np.asarray(x)]
    for i, params in enumerate(blocks):
        silent = {name: np.zeros_like(params["feed_forward"][name]) for name in ("W_2", "b_2")}
        half = params | {"feed_forward": params["feed_forward"] | silent}  # nothing but attention adds
        stream += [transformer_block(stream[-1], each, n_heads, pre_norm=True) for each in (half, params)]
        names += [f"{i + 1} attention", f"{i + 1} feed-forward"]
    stream = np.array(stream)  # (steps, T, D)
    added = np.diff(stream, axis=0, prepend=0)
    lengths, total = np.linalg.norm(added, axis=-1), np.linalg.norm(stream, axis=-1)

    def in_words(step):
        return " of block ".join(names[step].split()[::-1]) if step else "the input"

    def draw(step, word):
        fig, axes = sketch(7, 4.05)
        color = PARTS[names[step].split()[-1]]
        axes.text(0.12, 0.3, f"'{tokens[word]}' after step {step}: {in_words(step)}", fontsize=11.5, weight="bold")
        top = max(np.abs(stream[:, word]).max(), np.abs(added[:, word]).max()) or 1
        axes.text(0.12, 0.66, "what this step adds", color=shade(color), weight="bold")
        _signed(axes, added[step, word], top, 1.43, color)
        axes.text(0.12, 2.3, "the stream", color=shade(ACCENT), weight="bold")
        axes.text(1.1, 2.3, "line: before this step", color=MUTED)
        _signed(axes, stream[step, word], top, 3.07, ACCENT, stream[step, word] - added[step, word])
        longest = max(lengths[:, word].max(), total[:, word].max()) or 1
        _lengths(axes, names, lengths[:step + 1, word], total[step, word], longest)
        return fig

    def alt(step, word):
        return (f"The residual stream of '{tokens[word]}' after step {step}, {in_words(step)}: it adds a vector of "
                f"length {lengths[step, word]:.2f}, and the stream then has length {total[step, word]:.2f}.")

    slider = ipywidgets.IntSlider(value=1, min=0, max=2 * len(blocks), description="step", layout={"width": "420px"})
    words = ipywidgets.Dropdown(options=[(f"{t}: {token}", t) for t, token in enumerate(tokens)], description="word")
    interactive(draw, alt, step=slider, word=words)


def _signed(axes, values, top, zero, color, before=None):
    """Bars (D,) up and down from the height zero on a sketch; lines where they were before."""
    left, step, tall = 0.6, 3.8 / len(values), 0.6 / top
    x = left + step * (np.arange(len(values)) + 0.5)
    for level in (-top, 0, top):
        y = zero - tall * level
        axes.plot([left, left + 3.8], [y, y], color=tint(MUTED, 1 if level == 0 else 0.35), linewidth=1, zorder=0)
        axes.text(left - 0.08, y, f"{level:.2g}", ha="right", va="center_baseline", fontsize=9, color=MUTED)
    axes.vlines(x, zero, zero - tall * values, color=tint(color, 0.8), linewidth=72 * 0.72 * step)
    if before is not None:
        axes.hlines(zero - tall * before, x - 0.42 * step, x + 0.42 * step, color=INK, linewidth=1.5, zorder=3)
        for column, middle in enumerate(x):
            axes.text(middle, zero + 0.78, str(column), ha="center", fontsize=9, color=MUTED)


def _lengths(axes, names, lengths, total, top):
    """Bars of the lengths of what was added so far and of the stream, on a sketch; top: the longest there will be."""
    left, height, wide = 5.75, min(0.3, 2.75 / len(names)), 0.75 / top
    axes.text(4.65, 0.66, "lengths", weight="bold")
    rows = [*zip(names, [*lengths, *[None] * (len(names) - len(lengths))], strict=True), ("the stream", total)]
    for i, (name, length) in enumerate(rows):
        y = 0.85 + (i + 0.5) * height + (0.12 if name == "the stream" else 0)
        color = PARTS.get(name.split()[-1], ACCENT)
        axes.text(left - 0.08, y, name, ha="right", va="center_baseline", fontsize=9,
                  color=tint(MUTED, 0.6) if length is None else shade(color))
        if length is not None:
            axes.add_patch(Rectangle((left, y - 0.35 * height), wide * length, 0.7 * height, color=tint(color, 0.8),
                                     linewidth=0))
            axes.text(left + wide * length + 0.06, y, f"{length:.2f}", va="center_baseline", fontsize=9)
