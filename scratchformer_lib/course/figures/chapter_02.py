"""Pictures of chapter 02: words become vectors, positions become waves, and what comes next."""

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import MaxNLocator

from . import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    SHARES,
    SIGNED,
    arrow,
    interactive,
    percent,
    place,
    plain,
    readable_on,
    room,
    shade,
    show,
    sketch,
    styled,
    tint,
    whole_percent,
    word_map,
)

SINE, COSINE = ACCENT, "#9A5B4F"


def cosines(vectors):
    """The cosine similarity of every two of n vectors, (n, n); 0 with a vector of zeros. vectors: (n, D)."""
    vectors = np.asarray(vectors, dtype=float)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1)
    return units @ units.T


@styled()
def similarities(words, vectors, title=None):
    """Draw how similar every two words are: the cosine of the angle between their vectors.

    words: n names; vectors: (n, D).
    """
    similarity_pair(words, {title or "": vectors})


@styled()
def similarity_pair(words, panels):
    """Draw the similarities of the same words in two sets of vectors, side by side.

    words: n names; panels: a dict from a title to vectors (n, D).
    """
    n, longest = len(words), max(map(len, words))
    margin, gap = 0.25 + 0.085 * longest, 0.4
    width = min((6.85 - margin - gap * (len(panels) - 1)) / len(panels) / n, 0.7)
    above = room(words, width) + (0.35 if any(panels) else 0)
    fig = Figure(figsize=(7, above + 0.36 * n + 0.15))
    said = []
    for i, (title, vectors) in enumerate(panels.items()):
        similar = cosines(vectors)
        left = margin + i * (n * width + gap)
        axes = place(fig, left, above, n * width, 0.36 * n)
        word_map(axes, similar, words if i == 0 else [""] * n, words, (width, 0.36), SIGNED, (-1, 1), most=12)
        fig.text(left / 7, 1 - 0.08 / fig.get_figheight(), title, va="top", weight="bold", fontsize=11)
        apart = np.where(np.eye(n, dtype=bool), -np.inf, similar)
        a, b = np.unravel_index(np.argmax(apart), apart.shape)
        said.append(f"{title or 'in these vectors'}, most alike are {words[a]} and {words[b]}, {similar[a, b]:.2f}")
    show(fig, f"Cosine similarities of every two of {', '.join(words)}: {'; '.join(said)}.")


def _waves(axes, encoding):
    axes.imshow(encoding, cmap=SIGNED, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=2)
    axes.set(xlabel="column", ylabel="position")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 4, 5, 8, 10]))


@styled()
def waves(encoding):
    """Draw a positional encoding: a row for each position, a wave down each column.

    encoding: (T, D), numbers from -1 to 1.
    """
    encoding = np.asarray(encoding, dtype=float)
    T, D = encoding.shape
    height = max(0.6, min(0.3 * T, 3.0))
    fig = Figure(figsize=(7, height + 0.75))
    axes = place(fig, 0.65, 0.15, 5.5, height)
    _waves(axes, encoding)
    if T <= 12:
        axes.set_yticks(range(T))
    if D <= 24:
        axes.set_xticks(range(D))
    for (t, d), value in np.ndenumerate(encoding if max(T, D) <= 10 else np.empty((0, 0))):
        ink = readable_on(SIGNED((value + 1) / 2)[:3])
        axes.text(d, t, f"{round(value, 2) + 0.0:.2f}", color=ink, size=9, ha="center", va="center")
    scale = place(fig, 6.4, 0.15, 0.14, height)
    scale.imshow(np.linspace(1, -1, 101)[:, None], cmap=SIGNED, vmin=-1, vmax=1, aspect="auto", extent=(0, 1, -1, 1))
    scale.set_xticks([])
    scale.set_yticks([-1, 0, 1])
    scale.yaxis.tick_right()
    scale.tick_params(length=0)
    scale.spines[:].set_visible(False)
    show(fig, f"A positional encoding of {T} positions in {D} columns, from {encoding.min():.2f} to "
              f"{encoding.max():.2f}: the first columns swing fast from row to row, the last ones slowly.")


def position_widget(positional_encoding, length=64, d_model=16):
    """Let the reader choose a position and a pair of columns, and see the pair as a clock.

    positional_encoding: takes T=length and D=d_model, returns (T, D); d_model is even.
    """
    encoding = np.asarray(positional_encoding(length, d_model), dtype=float)

    def draw(position, pair):
        sine, cosine = encoding[:, 2 * pair], encoding[:, 2 * pair + 1]
        fig, axes = sketch(7, 3.6)
        _grid(axes, encoding, position, pair)
        _curves(axes, sine, cosine, position, pair)
        _clock(axes, sine, cosine, position)
        period = 2 * np.pi * 10000 ** (2 * pair / d_model)
        up, across = np.round((sine[position], cosine[position]), 2) + 0.0  # no "-0.00"
        axes.text(5.35, 2.3, f"pair {pair}", weight="bold", fontsize=11)
        axes.text(5.35, 2.42, f"a full turn takes\n{period:,.1f} positions", va="top", linespacing=1.4)
        axes.text(5.35, 3.05, f"sin, column {2 * pair}: {up:.2f}", color=shade(SINE))
        axes.text(5.35, 3.3, f"cos, column {2 * pair + 1}: {across:.2f}", color=shade(COSINE))
        return fig

    def alt(position, pair):
        return (f"A positional encoding of {length} positions; pair {pair}, columns {2 * pair} and {2 * pair + 1}, is "
                f"the hand of a clock that turns once in {2 * np.pi * 10000 ** (2 * pair / d_model):,.1f} positions; "
                f"at position {position} its sine is {encoding[position, 2 * pair]:.2f} and its cosine "
                f"{encoding[position, 2 * pair + 1]:.2f}.")

    interactive(
        draw, alt,
        position=ipywidgets.IntSlider(value=min(5, length - 1), min=0, max=length - 1, description="position",
                                      layout={"width": "420px"}),
        pair=ipywidgets.IntSlider(value=min(1, d_model // 2 - 1), min=0, max=d_model // 2 - 1, description="pair",
                                  layout={"width": "420px"}),
    )


# The three parts of the widget share one sketch: axes with ticks would take twice as long to draw.
def _grid(axes, encoding, position, pair):
    """The encoding, with a frame around the row of a position and around the two columns of a pair."""
    (length, d_model), left, top, width, height = encoding.shape, 0.65, 0.4, 2.5, 2.65
    x, y = np.linspace(left, left + width, d_model + 1), np.linspace(top, top + height, length + 1)
    axes.pcolormesh(x, y, encoding, cmap=SIGNED, vmin=-1, vmax=1)
    axes.add_patch(Rectangle((left, y[position]), width, y[1] - y[0], fill=False, edgecolor=INK, linewidth=1.5))
    axes.add_patch(Rectangle((x[2 * pair], top), 2 * (x[1] - x[0]), height, fill=False, edgecolor=INK, linewidth=1.5))
    axes.text(left, top - 0.13, "every position, every column")
    for t in range(0, length, max(1, length // 4)):
        axes.text(left - 0.07, (y[t] + y[t + 1]) / 2, t, ha="right", va="center_baseline")
    for d in range(0, d_model, max(1, d_model // 4)):
        axes.text((x[d] + x[d + 1]) / 2, top + height + 0.17, d, ha="center")
    axes.text(left + width / 2, top + height + 0.4, "column", ha="center")
    axes.text(0.17, top + height / 2, "position", rotation=90, ha="center", va="center")


def _curves(axes, sine, cosine, position, pair):
    """The two columns of a pair as curves, with a dot on each at a position."""
    length, left, middle = len(sine), 3.75, 0.95
    x = left + 3.1 * (np.arange(length) + 0.5) / length
    axes.hlines([middle - 0.5, middle, middle + 0.5], left, left + 3.1, color=FAINT, linewidth=1)
    axes.vlines(x[position], middle - 0.55, middle + 0.55, color=MUTED, linewidth=1)
    for wave, color in ((sine, SINE), (cosine, COSINE)):
        axes.plot(x, middle - 0.5 * wave, color=color, linewidth=1.2, marker=".", markersize=3)
        axes.plot(x[position], middle - 0.5 * wave[position], "o", color=color, markersize=7, markeredgecolor=INK)
    axes.text(left, 0.27, f"columns {2 * pair} and {2 * pair + 1} down the positions")
    for value in (-1, 0, 1):
        axes.text(left - 0.07, middle - 0.5 * value, value, ha="right", va="center_baseline")
    for t in range(0, length, max(1, length // 4)):
        axes.text(x[t], middle + 0.75, t, ha="center")


def _clock(axes, sine, cosine, position):
    """A clock whose hand points to (cos, sin) at a position; dots show where it has been."""
    x, y, radius = 4.4, 2.72, 0.72
    axes.add_patch(Circle((x, y), radius, facecolor="#FFFFFF", edgecolor=MUTED, linewidth=1.2))
    across, up = x + radius * cosine, y - radius * sine
    axes.plot(across[:position], up[:position], "o", color=tint(ACCENT, 0.45), markersize=4)
    across, up = across[position], up[position]
    axes.plot([x, across], [up, up], color=COSINE, linewidth=1.5, linestyle=":")
    axes.plot([across, across], [y, up], color=SINE, linewidth=1.5, linestyle=":")
    arrow(axes, (x, y), (across, up), INK, linewidth=2)
    axes.plot(x, y, "o", color=INK, markersize=4)


@styled()
def products_by_distance(positional_encoding, starts=(0, 10, 30), reach=20, d_model=64):
    """Draw the dot product of the encodings of two positions against their distance, from several starts.

    positional_encoding: takes T and D=d_model, returns (T, D).
    starts: the first positions, p; reach: the largest distance, k.
    """
    encoding = np.asarray(positional_encoding(max(starts) + reach + 1, d_model), dtype=float)
    looks = [{"color": tint(ACCENT, 0.3), "linewidth": 9, "solid_capstyle": "round"},
             {"color": ACCENT, "linewidth": 2, "linestyle": "--"},
             {"color": INK, "linewidth": 0, "marker": "o", "markersize": 5},
             {"color": MUTED, "linewidth": 0, "marker": "x", "markersize": 9, "markeredgewidth": 1.5}]
    fig = Figure(figsize=(7, 3.0))
    axes = place(fig, 0.75, 0.2, 6.0, 2.25)
    apart = []
    for i, p in enumerate(starts):
        apart.append(encoding[p:p + reach + 1] @ encoding[p])
        axes.plot(apart[-1], label=f"p = {p}", **looks[i % len(looks)])
    axes.set_xlabel("distance k")
    axes.set_ylabel("PE(p) \N{DOT OPERATOR} PE(p + k)")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(True)
    axes.legend(loc="upper right", handlelength=3)
    largest = np.ptp(apart, axis=0).max()
    same = "the curves coincide" if largest < 1e-3 else f"the curves differ by up to {largest:.2f}"
    show(fig, f"The dot product of the encodings of positions p and p + k for k from 0 to {reach}, from p = "
              f"{', '.join(map(str, starts))}: {same}; from {apart[0][0]:.1f} at k = 0 to {apart[0][-1]:.1f} at "
              f"k = {reach}.")


@styled()
def next_words(words, shares, title=None):
    """Draw how likely each word is to come next, the likeliest on top.

    words: V names; shares: (V,). At most twelve words are drawn; the others are counted below.
    """
    shares = np.asarray(shares, dtype=float)
    order = np.argsort(-shares, kind="stable")
    order = order[shares[order] > 0]
    drawn, rest, none = order[:12], order[12:], len(words) - len(order)
    left_out = [f"{len(rest)} more with {percent(shares[rest].sum())} together"] * (len(rest) > 0)
    left_out += [f"{none} with 0%"] * (none > 0)
    n, above, below = len(drawn), 0.45 if title else 0.1, 0.35 if left_out else 0.12
    fig = Figure(figsize=(7, above + 0.29 * max(n, 1) + below))
    margin = 0.3 + 0.085 * max((len(words[i]) for i in drawn), default=0)
    axes = place(fig, margin, above, 6.8 - margin, 0.29 * max(n, 1))
    axes.barh(range(n), shares[drawn], color=ACCENT, height=0.7)
    axes.set(xlim=(0, 1.12 * max(shares[drawn], default=1)), ylim=(max(n, 1) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(n), plain(words[i] for i in drawn))
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    for row, i in enumerate(drawn):
        axes.annotate(percent(shares[i]), (shares[i], row), (4, 0), textcoords="offset points", va="center_baseline")
    fig.text(0.02, 1 - 0.1 / fig.get_figheight(), title or "", va="top", fontsize=11, weight="bold")
    fig.text(margin / 7, 0.1 / fig.get_figheight(), f"not drawn: {', '.join(left_out)}" * bool(left_out), color=MUTED)
    said = ", ".join(f"{words[i]} {percent(shares[i])}" for i in drawn)
    show(fig, f"{title or 'What comes next'}: {said}{'; ' * bool(left_out)}{', '.join(left_out)}.")


@styled()
def table_picture(words, shares):
    """Draw a bigram table: how often each word follows each word.

    words: V names, up to about twelve; shares: (V, V), row i what follows word i.
    """
    shares = np.asarray(shares, dtype=float)
    n, longest = len(words), max(map(len, words))
    margin, height = 0.55 + 0.085 * longest, 0.32
    width = min((6.75 - margin - 0.05 * longest) / n, 0.7)
    above = room(words, width) + 0.3
    fig = Figure(figsize=(7, above + height * n + 0.15))
    axes = place(fig, margin, above, n * width, height * n)
    word_map(axes, shares, words, words, (width, height), most=0)
    for (i, j), share in np.ndenumerate(shares):
        if share > 0:
            axes.text(j, i, whole_percent(share), color=readable_on(SHARES(share)[:3]), size=8.5, ha="center",
                      va="center")
    fig.text(margin / 7, 1 - 0.1 / fig.get_figheight(), "next word", va="top", weight="bold")
    fig.text(0.1 / 7, 1 - (above + height * n / 2) / fig.get_figheight(), "this word", rotation=90, va="center",
             weight="bold")
    pairs = [f"{words[i]} is followed by {words[j]} with {percent(shares[i, j])}"
             for i, j in zip(range(n), shares.argmax(-1), strict=True) if shares[i, j] > 0]
    show(fig, f"A table of what follows each of {n} words, the likeliest first: {', '.join(pairs)}.")
