"""Pictures of chapter 01: scores become shares."""

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from . import (
    ACCENT,
    GOOD,
    INK,
    MUTED,
    PAPER,
    SHARES,
    cells,
    interactive,
    percent,
    shade,
    show,
    sketch,
    styled,
    tint,
)


@styled()
def scores_and_shares(words, scores, softmax, title=None):
    """Draw scores as bars, and next to them the shares that softmax makes of them.

    words: names of the scores; scores: (S,), may be negative or -inf; softmax: the function that makes shares.
    """
    scores = np.asarray(scores, dtype=float)
    shares = softmax(scores)
    n = len(words)
    fig = Figure(figsize=(7, 1.05 + 0.36 * n + (0.3 if title else 0)))
    top = 1 - (0.75 if title else 0.45) / fig.get_figheight()
    left, right = fig.subplots(1, 2, sharey=True, gridspec_kw={
        "left": 0.1, "right": 0.94, "top": top, "bottom": 0.45 / fig.get_figheight(), "wspace": 0.2})
    if title:
        fig.text(0.02, 1 - 0.1 / fig.get_figheight(), title, va="top", fontsize=12, weight="bold")

    _bars(left, scores, tint(MUTED, 0.75), [f"{s:g}" for s in scores])
    left.set_yticks(range(n), words)
    left.invert_yaxis()
    left.set_title("scores")
    _bars(right, shares, ACCENT, [f"{s:.1%}" for s in shares])
    right.set_xlim(0, 1.18)
    right.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    right.set_title("shares")
    pairs = ", ".join(f"{w} {s:g} gets {p:.1%}" for w, s, p in zip(words, scores, shares, strict=True))
    show(fig, f"Bars of scores and of the shares that softmax makes of them: {pairs}.")


def _bars(axes, values, color, labels):
    """Horizontal bars with the numbers at their ends, on the side they point to."""
    finite = np.where(np.isfinite(values), values, 0)
    axes.barh(range(len(values)), finite, color=color, height=0.7)
    axes.axvline(0, color=MUTED, linewidth=1)
    low, high = min(finite.min(), 0), max(finite.max(), 0)
    room = 0.25 * ((high - low) or 1)
    axes.set_xlim(low - room * (low < 0), high + room)
    for i, (value, label) in enumerate(zip(finite, labels, strict=True)):
        away = -1 if values[i] < 0 else 1
        axes.annotate(label, (value, i), (4 * away, 0), textcoords="offset points", va="center_baseline",
                      ha="left" if away > 0 else "right")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def temperature_widget(with_temperature, words=("cat", "dog", "mat", "sat", "on"), scores=(2.0, 1.0, 0.1, -0.5, -1.5)):
    """Let the reader turn the temperature and watch the shares.

    with_temperature: takes scores (S,) and a temperature, returns shares (S,).
    """
    scores = np.asarray(scores, dtype=float)

    def draw(temperature):
        shares = with_temperature(scores, temperature)
        fig = Figure(figsize=(7, 3.4))
        left, right = fig.subplots(1, 2, gridspec_kw={
            "left": 0.07, "right": 0.985, "top": 0.87, "bottom": 0.1, "wspace": 0.2, "width_ratios": (4, 5)
        })
        left.set_title("scores: they stay")
        _columns(left, words, scores, tint(MUTED, 0.75), [f"{s:g}" for s in scores])
        left.set_ylim(min(scores.min(), 0) - 0.5, scores.max() + 0.5)
        left.locator_params(axis="y", nbins=5, integer=True)
        left.axhline(0, color=MUTED, linewidth=1)
        right.set_title(f"shares at temperature {temperature:.2g}")
        _columns(right, words, shares, ACCENT, [percent(s) for s in shares])
        right.set_ylim(0, 1.08)
        right.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        right.axhline(1 / len(words), color=MUTED, linewidth=1, linestyle=":", zorder=0)
        right.text(1, 0.93, "dotted: all equal", ha="right", color=MUTED, transform=right.transAxes)
        return fig

    def alt(temperature):
        shares = zip(words, with_temperature(scores, temperature), strict=True)
        return f"Shares at temperature {temperature:.2g}: {', '.join(f'{w} {percent(s)}' for w, s in shares)}."

    slider = ipywidgets.FloatLogSlider(
        value=1.0, base=10, min=-1, max=1, step=0.05, description="temperature", readout_format=".2g",
        layout={"width": "420px"})
    interactive(draw, alt, temperature=slider)


def _columns(axes, words, values, color, labels):
    axes.bar(range(len(words)), values, color=color, width=0.7)
    axes.set_xticks(range(len(words)), words)
    axes.tick_params(axis="x", length=0)
    for i, (value, label) in enumerate(zip(values, labels, strict=True)):
        axes.annotate(label, (i, value), (0, 4 if value >= 0 else -4), textcoords="offset points",
                      ha="center", va="bottom" if value >= 0 else "top",
                      bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5})


@styled()
def axis_picture(scores, softmax):
    """Draw softmax over the rows and over the columns of the same scores, with the sums both ways.

    scores: (T, S); softmax: takes scores and an axis.
    """
    scores = np.asarray(scores, dtype=float)
    (T, S), (width, height) = scores.shape, (0.42, 0.4)
    step = S * width + 0.65
    fig, axes = sketch(max(7, 2 * step + S * width + 0.75), (T + 1) * height + 1.25)
    top = 1.0
    axes.text(0.2, top - 0.2, "scores")
    cells(axes, scores, 0.2, top, (width, height), tint(MUTED, 0.2))
    for panel, axis in enumerate((-1, 0)):
        left = 0.2 + S * width + 0.35 + panel * step
        shares = softmax(scores, axis=axis)
        axes.text(left, top - 0.5, f"softmax(scores, axis={axis})", family="DejaVu Sans Mono", fontsize=9.5)
        axes.text(left, top - 0.2, "rows add up to 1" if axis else "columns add up to 1", weight="bold")
        cells(axes, shares, left, top, (width, height), SHARES(shares), form="{:.2f}")
        _sums(axes, shares.sum(-1)[:, None], left + S * width + 0.05, top, (width, height))
        _sums(axes, shares.sum(0)[None], left, top + T * height + 0.05, (width, height))
    show(fig, f"Softmax of the same {T} by {S} scores over axis -1, where each row adds up to 1, and over axis 0, "
              "where each column does; the sums the other way are different numbers.")


def _sums(axes, sums, left, top, size):
    for (i, j), value in np.ndenumerate(sums):
        look = {"color": shade(GOOD), "weight": "bold"} if np.isclose(value, 1) else {"color": MUTED}
        x, y = left + (j + 0.5) * size[0], top + (i + 0.5) * size[1]
        axes.text(x, y, f"{value:.2f}", ha="center", va="center_baseline", **look)


@styled()
def surprise_curve(points):
    """Draw the surprise -log p of an event that had the probability p.

    points: a dict from a label to (p, surprise in nats), drawn as dots.
    """
    fig = Figure(figsize=(7, 3.6))
    axes = fig.subplots(gridspec_kw={"left": 0.09, "right": 0.97, "top": 0.94, "bottom": 0.15})
    top = max([5.0, *(s * 1.12 for _, s in points.values() if np.isfinite(s))])
    p = np.geomspace(np.exp(-top), 1, 300)
    axes.plot(p, -np.log(p), color=ACCENT)
    axes.set(xlim=(0, 1.02), ylim=(0, top), ylabel="surprise in nats")
    axes.set_xlabel("p, the probability that the model gave to what came")
    axes.grid(True)
    for label, (p, surprise) in points.items():
        axes.plot(p, surprise, "o", color=INK, clip_on=False)
        offset, side = ((6, 10), "right") if p > 0.75 else ((8, 6), "left")
        axes.annotate(f"{label}: {surprise:.2f} nats", (p, surprise), offset, textcoords="offset points", ha=side)
    named = ", ".join(f"{label} with p {p:.3f} is {s:.2f} nats" for label, (p, s) in points.items())
    show(fig, f"The curve of -log p falls from infinity at p = 0 to zero at p = 1; {named}.")


@styled()
def scores_and_logs(words, scores, log_softmax):
    """Draw scores as bars, and next to them the logarithms of their shares: the same bars, moved.

    words: names of the scores; scores: (S,); log_softmax: the function that makes logarithms of shares.
    """
    scores = np.asarray(scores, dtype=float)
    logs = log_softmax(scores)
    n = len(words)
    fig = Figure(figsize=(7, 1.05 + 0.36 * n))
    left, right = fig.subplots(1, 2, sharey=True, gridspec_kw={
        "left": 0.1, "right": 0.94, "top": 1 - 0.45 / fig.get_figheight(), "bottom": 0.45 / fig.get_figheight(),
        "wspace": 0.2})
    for axes, values, color, title in ((left, scores, tint(MUTED, 0.75), "scores"),
                                       (right, logs, tint(ACCENT, 0.75), "logarithms of the shares")):
        _bars(axes, values, color, [f"{v:.3f}" for v in values])
        axes.set_xlim(-3.4, 3.4)
        axes.set_title(title)
    left.set_yticks(range(n), words)
    left.invert_yaxis()
    moved = logs[0] - scores[0]
    show(fig, f"Bars of the scores and of the logarithms of their shares: every bar moved by {moved:.3f}.")


@styled()
def surprise_by_temperature(temperatures, surprises, knows_nothing):
    """Draw a model's mean surprise at several temperatures, against that of a model that knows nothing.

    temperatures: (n,); surprises: (n,) in nats; knows_nothing: the logarithm of the number of letters.
    """
    best = int(np.argmin(surprises))
    fig = Figure(figsize=(7, 3.2))
    axes = fig.add_axes((0.1, 0.17, 0.86, 0.76))
    axes.axhline(knows_nothing, color=MUTED, linestyle="--", linewidth=1.2)
    axes.annotate(f"knows nothing: {knows_nothing:.2f}", (1, knows_nothing), (0, 4), textcoords="offset points",
                  ha="center", color=MUTED)
    axes.plot(temperatures, surprises, color=ACCENT, marker="o")
    axes.annotate(f"{surprises[best]:.2f} at temperature {temperatures[best]:g}", (temperatures[best], surprises[best]),
                  (0, -14), textcoords="offset points", ha="center", va="top", color=shade(ACCENT), weight="bold")
    axes.set_xscale("log")
    axes.set_xticks([0.3, 0.5, 1, 2, 5], ["0.3", "0.5", "1", "2", "5"])
    axes.minorticks_off()
    low, high = min(surprises), max(*surprises, knows_nothing)
    axes.set_ylim(low - 0.25 * (high - low), high + 0.15 * (high - low))
    axes.set_xlabel("temperature")
    axes.set_ylabel("mean surprise, nats a letter")
    show(fig, f"The mean surprise by temperature: lowest, {surprises[best]:.2f} nats a letter, at temperature "
              f"{temperatures[best]:g}; a model that knows nothing has {knows_nothing:.2f}.")
