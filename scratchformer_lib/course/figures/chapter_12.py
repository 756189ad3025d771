"""Pictures of chapter 12: how a token is chosen, how a batch is filled up, and what a cache gains."""

from functools import cache

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ...softmax import softmax
from . import (
    ACCENT,
    BAD,
    FAINT,
    GOOD,
    MUTED,
    PAPER,
    TARGET,
    arrow,
    boxed,
    end_labels,
    fitted,
    interactive,
    letters,
    percent,
    place,
    shade,
    show,
    sketch,
    styled,
    tint,
)

PROMPTS = "", "the", "the cat", "the cat sat", "the cat sat on the", "the dog"
TEXTS, MOST = 8, 9  # how many texts go on from the prompt, and for how many tokens at most
TOP, STEP, LINE = 1.28, 0.22, 0.33  # of the widget's picture, in inches: where rows begin, how far apart they are


def choosing_widget(vocabulary, model, sample, top_k, top_p):
    """Let the reader turn temperature, top-k and top-p, and see the shares of the next token and what is written.

    vocabulary: a Vocabulary. model: takes ids (B, T), returns the logits (B, n_vocab) of the next tokens.
    sample: takes logits (B, n_vocab), a rng, temperature, k and p, returns ids (B,); k and p may be None, for all.
    top_k, top_p: take logits and k or p, return the logits, -inf where they are cut.
    """
    n, words = len(vocabulary), vocabulary.words
    height = TOP + max(n * STEP, TEXTS * LINE) + 0.12

    def ids_of(prompt):
        return vocabulary.encode([f"<START> {prompt}"])

    @cache
    def first_logits(prompt):
        return np.asarray(model(ids_of(prompt)), dtype=np.float64)

    def limits(k, p):
        return None if k == "all" else k, None if p >= 1 else p

    @cache
    def chances(prompt, temperature, k, p):
        """The share of each token after the temperature, and what it is of those that are kept; NaN if it is cut."""
        k, p = limits(k, p)
        logits = first_logits(prompt) / temperature
        kept = logits if k is None else top_k(logits, k)
        kept = kept if p is None else top_p(kept, p)
        return softmax(logits)[0], np.where(np.isfinite(kept), softmax(kept), np.nan)[0]

    @cache
    def texts(prompt, temperature, k, p):
        """What is written from the prompt, with the same random numbers whatever the settings are."""
        rng, (k, p) = np.random.default_rng(0), limits(k, p)
        ids = begun = np.repeat(ids_of(prompt), TEXTS, axis=0)
        while ids.shape[1] < begun.shape[1] + MOST:
            token = sample(model(ids), rng, temperature, k, p)
            ids = np.concatenate([ids, token[:, None]], axis=1)
        written = [[words[i] for i in row] for row in ids[:, begun.shape[1]:]]
        return [" ".join(row[:row.index("<END>") + 1] if "<END>" in row else [*row, "\N{HORIZONTAL ELLIPSIS}"])
                for row in written]

    def settings(temperature, k, p):
        return f"temperature {temperature:.1f}, top-k {k}, top-p {p:.2f}"

    def stays(shares, kept):
        known = np.isfinite(kept)
        return f"{known.sum()} of {n} tokens stay; they had {percent(shares[known].sum())}"

    def draw(prompt, temperature, k, p):
        shares, kept = chances(prompt, temperature, k, p)
        fig, axes = sketch(7, height)
        _beginning(axes, ["<START>", *prompt.split()])
        axes.text(0.15, 0.73, f"{settings(temperature, k, p)}: {stays(shares, kept)}", va="center_baseline")
        _shares(axes, words, shares, kept)
        _texts(axes, texts(prompt, temperature, k, p))
        return fig

    def alt(prompt, temperature, k, p):
        shares, kept = chances(prompt, temperature, k, p)
        order = [i for i in np.argsort(-kept, kind="stable") if np.isfinite(kept[i])]
        bars = ", ".join(f"'{words[i]}' {percent(kept[i])}" for i in order) or "none"
        lines = "; ".join(f"'{text}'" for text in texts(prompt, temperature, k, p))
        return (f"The next token after '{f'<START> {prompt}'.strip()}', with {settings(temperature, k, p)}. "
                f"{stays(shares, kept)}: {bars}. Written from there, {TEXTS} times: {lines}.")

    wide = {"width": "420px"}
    interactive(
        draw, alt,
        prompt=ipywidgets.SelectionSlider(options=[(prompt or "(none)", prompt) for prompt in PROMPTS],
                                          value="the cat", description="prompt", layout=wide),
        temperature=ipywidgets.FloatSlider(value=2.0, min=0.2, max=3.0, step=0.1, description="temperature",
                                           readout_format=".1f", layout=wide),
        k=ipywidgets.SelectionSlider(options=[*range(1, n), "all"], value="all", description="top-k",
                                     layout=wide),
        p=ipywidgets.FloatSlider(value=0.9, min=0.05, max=1.0, step=0.05, description="top-p", readout_format=".2f",
                                 layout=wide),
    )


def _beginning(axes, words):
    """The prompt in boxes on a sketch, and an empty one for the next token."""
    left = 0.15
    for word in [*words, "?"]:
        width = letters(word) + 0.2
        look = {"facecolor": PAPER, "edgecolor": ACCENT, "linestyle": "--"} if word == "?" else {}
        boxed(axes, word, left + width / 2, 0.33, width, TARGET, **look)
        left += width + 0.08


def _shares(axes, words, shares, kept):
    """A bar for each token on a sketch: what is cut is pale, what the others get of it is between pale and full."""
    left, wide = 0.95, 1.45
    axes.text(0.15, TOP - 0.2, "the next token", weight="bold")
    for x, title in ((3.05, "share"), (3.75, "of kept")):
        axes.text(x, TOP - 0.2, title, color=MUTED, ha="right")
    y, stay = TOP + STEP * (np.arange(len(words)) + 0.5), np.isfinite(kept)
    colors = [tint(ACCENT, 1 if stays else 0.3) for stays in stay]
    for values, color in ((kept, tint(ACCENT, 0.6)), (shares, colors)):  # thick lines are drawn faster than bars
        axes.hlines(y, left, left + wide * np.nan_to_num(values), color=color, linewidth=72 * 0.74 * STEP)
    axes.vlines(left, TOP, TOP + STEP * len(words), color=MUTED, linewidth=1)
    for i, word in enumerate(words):
        word, size = fitted(word, left - 0.2)
        look = {"weight": "bold", "color": shade(ACCENT)} if stay[i] else {"color": MUTED}
        axes.text(left - 0.08, y[i], word, fontsize=size, ha="right", va="center_baseline", **look)
        axes.text(3.05, y[i], percent(shares[i]), ha="right", va="center_baseline", color=MUTED)
        if stay[i]:
            axes.text(3.75, y[i], percent(kept[i]), ha="right", va="center_baseline", **look)


def _texts(axes, texts):
    """What is written, a line each, on the right of a sketch."""
    left, right = 4.15, 6.85
    axes.text(left, TOP - 0.2, f"written from there, {len(texts)} times", weight="bold")
    axes.hlines(TOP + LINE * np.arange(len(texts) + 1), left, right, color=FAINT, linewidth=1)
    for i, text in enumerate(texts):
        text, size = fitted(text, right - left)
        axes.text(left, TOP + (i + 0.5) * LINE, text, fontsize=size, va="center_baseline")


@styled()
def padding_picture(rows):
    """Draw prompts of different lengths as the rows of a batch, filled up at the left.

    rows: for each prompt a list of its tokens, as words. Under each the position is written.
    """
    T, left, below = max(map(len, rows)), 0.95, 0.78
    step = min(1.15, 5.7 / (T + 0.9))
    size = min(fitted(word, step - 0.15)[1] for word in ["<PAD>", *sum(rows, [])])
    fig, axes = sketch(7, 0.55 + below * len(rows))
    last = left + step * (T - 1)
    axes.add_patch(FancyBboxPatch((last, 0.36), step, below * len(rows) + 0.06, linewidth=0, facecolor=FAINT,
                                  boxstyle="round,pad=0,rounding_size=0.08"))
    axes.text(last + step / 2, 0.2, "the last column", color=MUTED, ha="center", va="center_baseline")
    axes.text(left + step * (T + 0.9), 0.2, "next", color=MUTED, ha="center", va="center_baseline")
    for i, row in enumerate(rows):
        y, n_pad = 0.66 + below * i, T - len(row)
        axes.text(0.15, y + 0.32, "position", color=MUTED, fontsize=9, va="center_baseline")
        for t, word in enumerate(["<PAD>"] * n_pad + row):
            x = left + step * (t + 0.5)
            look = {"facecolor": tint(MUTED, 0.25), "edgecolor": tint(MUTED, 0.5)} if t < n_pad else {}
            boxed(axes, word, x, y, step - 0.1, TARGET, size=size, **look)
            axes.text(x, y + 0.32, "" if t < n_pad else t - n_pad, fontsize=9, ha="center", va="center_baseline")
        arrow(axes, (last + step - 0.02, y), (left + step * (T + 0.9) - 0.22, y), ACCENT, zorder=5)
        boxed(axes, "?", left + step * (T + 0.9), y, 0.36, ACCENT, facecolor=PAPER, linestyle="--")
    said = "; ".join(" ".join(["<PAD>"] * (T - len(row)) + row) for row in rows)
    show(fig, f"The rows of a batch, filled up at the left to {T} tokens: {said}. Under each token is its position, "
              "counted from the first that is no padding. Each row goes on after the last column.")


@styled()
def cost_picture(lengths, with_cache, without):
    """Draw the time that it takes to write, by the number of tokens, with a cache and without.

    lengths: (n,), rising. with_cache, without: (n,), seconds.
    """
    fig = Figure(figsize=(7, 3))
    axes, ends = place(fig, 0.65, 0.2, 4.2, 2.25), []
    for name, seconds, color, marker in (("no cache", without, BAD, "s"), ("with the cache", with_cache, GOOD, "o")):
        axes.plot(lengths, seconds, color=color, marker=marker)
        ends.append((lengths[-1], seconds[-1], f"{name}: {seconds[-1]:.2f} s", color))
    axes.set(xlim=(0, 1.02 * lengths[-1]), ylim=(0, 1.08 * max(*with_cache, *without)), xlabel="tokens written",
             ylabel="seconds")
    axes.set_xticks([0, *lengths])
    axes.locator_params(axis="y", nbins=5)
    axes.grid(True, axis="y")
    end_labels(axes, ends)
    said = "; ".join(f"{n} tokens, about {_rounded(1000 * a)} with the cache and {_rounded(1000 * b)} without"
                     for n, a, b in zip(lengths, with_cache, without, strict=True))
    show(fig, f"Lines of the time that it takes to write, by the number of tokens. In milliseconds: {said}.")


def _rounded(number):
    """The number as a text, to two digits that count."""
    return f"{float(f'{number:.2g}'):,g}"
