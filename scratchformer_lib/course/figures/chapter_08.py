"""Pictures of chapter 08: what the decoder is asked, how it writes word by word, and how large a Transformer is."""

from functools import cache

import ipywidgets
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch, Rectangle

from . import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    PAPER,
    SOURCE,
    TARGET,
    arrow,
    boxed,
    fitted,
    follow,
    interactive,
    letters,
    percent,
    plain,
    shade,
    show,
    sketch,
    styled,
    tint,
    whole_percent,
)


@styled()
def shift_picture(given, wanted):
    """Draw what the decoder is given, what it should say at each position, and which words each position sees.

    given, wanted: T words each, as of teacher_forcing_pair.
    """
    T = max(len(given), len(wanted), 1)
    left, step = 1.8, min(1.3, 5.05 / T)
    x = left + step * (np.arange(T) + 0.5)
    size = min((fitted(word, step - 0.15)[1] for word in [*given, *wanted]), default=10)
    fig, axes = sketch(7, 3.2)
    for y, words in ((0.4, "what it\nshould say"), (2.75, "what it\nis given")):
        axes.text(0.15, y, words, va="center", weight="bold", linespacing=1.3)
    axes.text(0.15, 1.55, "each position\nsees its word\nand all before", va="center", color=shade(ACCENT),
              linespacing=1.4)
    axes.add_patch(FancyBboxPatch((left - 0.35, 0.95), step * T + 0.35, 1.25, boxstyle="round,pad=0,rounding_size=0.1",
                                  facecolor=tint(MUTED, 0.08), edgecolor=tint(MUTED, 0.6), linewidth=1.3))
    axes.text(left - 0.18, 1.58, "decoder", rotation=90, ha="center", va="center", color=MUTED)
    earlier = [[(x[s], 2.05), (x[t], 1.2)] for t in range(len(wanted)) for s in range(min(t, len(given)))]
    axes.add_collection(LineCollection(earlier, color=tint(ACCENT, 0.45), linewidth=1.4))
    for t, word in enumerate(given):
        boxed(axes, word, x[t], 2.75, step - 0.09, TARGET, size=size)
        arrow(axes, (x[t], 2.57), (x[t], 2.12), TARGET, linewidth=2)
        axes.plot(x[t], 2.05, "o", color=ACCENT, markersize=5)
    for t, word in enumerate(wanted):
        boxed(axes, word, x[t], 0.4, step - 0.09, TARGET, size=size)
        arrow(axes, (x[t], 1.2), (x[t], 0.58), TARGET, linewidth=2)
        if t < len(given):
            axes.plot([x[t], x[t]], [2.05, 1.2], color=ACCENT, linewidth=3)
        axes.plot(x[t], 1.2, "o", color=ACCENT, markersize=5)
    pairs = ", ".join(f"after '{' '.join(given[:t + 1])}' it should say '{word}'" for t, word in enumerate(wanted))
    show(fig, f"What the decoder is given, and what it should say, position by position: {pairs}.")


BARS = 8  # of the likeliest next words


def writing_widget(write, texts):
    """Let the reader follow a sentence as it is written, word by word, with the shares of the next word.

    write: takes a text, returns a list of steps, each (words so far, a dict from every target word to its share).
    texts: to choose from; the first is shown first.
    """
    write = cache(write)

    def at(text, step):
        """The words so far and the next ones, likeliest first; None where nothing was written."""
        steps = write(text)
        if not steps:
            return None
        so_far, shares = steps[min(step, len(steps)) - 1]
        return list(so_far), sorted(shares.items(), key=lambda pair: -np.nan_to_num(pair[1], nan=-1))

    def draw(text, step):
        fig, axes = sketch(7, 3.9)
        axes.text(0.15, 0.35, "it reads", va="center_baseline", color=shade(SOURCE))
        _row(axes, text.split(), 0.35, SOURCE)
        if at(text, step) is None:
            axes.text(3.5, 2.2, "Nothing was written.", ha="center", color=MUTED, fontsize=12)
            return fig
        so_far, likely = at(text, step)
        axes.text(0.15, 0.88, "it has written", va="center_baseline", color=shade(TARGET))
        _row(axes, so_far, 0.88, TARGET, end="?")
        _likely(axes, likely)
        return fig

    def alt(text, step):
        if at(text, step) is None:
            return f"Of '{text}' nothing was written."
        so_far, likely = at(text, step)
        bars = ", ".join(f"'{word}' {percent(share)}" for word, share in likely[:BARS])
        return f"Writing for '{text}': after '{' '.join(so_far)}' the likeliest next words are {bars}."

    text = ipywidgets.SelectionSlider(options=list(texts), description="text", layout={"width": "420px"})
    step = ipywidgets.IntSlider(value=1, min=1, max=1, description="step", layout={"width": "420px"})
    follow(step, text, lambda text: len(write(text)))
    interactive(draw, alt, text=text, step=step)


def _row(axes, words, y, color, end=None):
    """Words in boxes side by side on a sketch, the last ones if there are too many; an empty box with the end in it."""
    gap, left = 0.08, 1.5
    words = [*words, end] if end else words
    widths = [min(letters(word), 1.6) + 0.2 for word in words]
    first = 0
    while sum(widths[first:]) + gap * len(widths[first:]) > (5.1 if first else 5.4):
        first += 1
    if first:
        axes.text(left, y, "\N{HORIZONTAL ELLIPSIS}", va="center_baseline", fontsize=12)
        left += 0.3
    for word, width in zip(words[first:], widths[first:], strict=True):
        look = {"facecolor": PAPER, "edgecolor": ACCENT, "linestyle": "--"} if word is end else {}
        boxed(axes, word, left + width / 2, y, width, color, **look)
        left += width + gap


def _likely(axes, likely):
    """Bars of the shares of the likeliest words on a sketch; the first, which is chosen, stands out."""
    left, top, step, wide = 1.5, 1.5, 0.26, 4.4
    axes.text(0.15, top - 0.12, "the next word", weight="bold")
    axes.plot([left, left], [top, top + step * min(len(likely), BARS)], color=MUTED, linewidth=1)
    for i, (word, share) in enumerate(likely[:BARS]):
        y, long = top + (i + 0.5) * step, wide * np.clip(np.nan_to_num(share), 0, 1)
        chosen = i == 0 and np.isfinite(share)
        look = {"weight": "bold", "color": shade(ACCENT)} if chosen else {}
        color = ACCENT if chosen else tint(ACCENT, 0.4)
        axes.add_patch(Rectangle((left, y - 0.36 * step), long, 0.72 * step, color=color, linewidth=0))
        word, size = fitted(word, left - 0.4)
        axes.text(left - 0.1, y, word, fontsize=size, ha="right", va="center_baseline", **look)
        axes.text(left + long + 0.07, y, percent(share), va="center_baseline", **look)
    rest = [share for _, share in likely[BARS:]]
    if rest:
        words = f"the {len(rest)} other words: {percent(sum(rest))} together" if len(rest) > 1 else (
            f"the other word: {percent(rest[0])}")
        axes.text(left, top + step * BARS + 0.2, words, color=MUTED, va="center_baseline")


@styled()
def tree_picture(shares, greedy, best):
    """Draw a tree of next words, and on it the sentence that greedy decoding writes, and the likeliest one.

    shares: a dict from a beginning, a tuple of words, () the first, to a dict from the next word to its probability.
    greedy, best: sentences, tuples of words. About 12 sentences read well.
    """
    sentences, greedy, best = list(_sentences(shares)), tuple(greedy), tuple(best)
    depth, height, top = max(map(len, sentences)), 0.28 if len(sentences) <= 15 else 0.21, 0.42
    widths = [max(0.4, *(letters(words[k]) for words in sentences if len(words) > k)) + 0.15 for k in range(depth)]
    fan = (4.45 - sum(widths)) / depth  # from a word to the ones after it
    x = np.cumsum([0.3, *(fan + width for width in widths)]) - [0, *widths]  # where the words of each step begin

    def middle(words):
        rows = [i for i, sentence in enumerate(sentences) if sentence[:len(words)] == words]
        return top + height * (np.mean(rows) + 0.5)

    fig, axes = sketch(7, top + height * len(sentences) + 0.12)
    axes.plot(x[0], middle(()), "o", color=MUTED, markersize=9, zorder=3)
    for k in range(depth):
        axes.text(x[k + 1], 0.25, f"word {k + 1}", color=MUTED)
    axes.text(4.9, 0.25, "the sentence", color=MUTED)
    for words in dict.fromkeys(sentence[:k + 1] for sentence in sentences for k in range(len(sentence))):
        k, y = len(words), middle(words)
        behind = 1.1 * letters(words[-2]) + 0.08 if k > 1 else 0
        start, end = (x[k - 1] + behind, middle(words[:-1])), (x[k] - 0.5, y)
        on = [(color, wide, order) for path, color, wide, order in ((best, GOOD, 5, 1), (greedy, BAD, 2, 2))
              if path[:k] == words]
        for color, wide, order in on or [(tint(MUTED, 0.5), 1, 0)]:
            axes.plot(*zip(start, end, strict=True), color=color, linewidth=wide, zorder=order)
        look = {"color": shade(on[0][0]) if len(on) == 1 else INK, "weight": "bold" if on else "normal"}
        axes.text(x[k] - 0.08, y, whole_percent(shares[words[:-1]][words[-1]]), ha="right", va="center_baseline",
                  fontsize=9, **look)
        axes.text(x[k], y, *plain([words[-1]]), va="center_baseline", **look)
        if words in sentences:
            names = ", ".join(name for name, path in (("greedy", greedy), ("likeliest", best)) if path == words)
            axes.text(4.9, y, f"{percent(_together(shares, words))}  {names}", va="center_baseline", **look)
    said = (f"{name} '{' '.join(path)}' with {percent(_together(shares, path))}"
            for name, path in (("greedy decoding writes", greedy), ("the likeliest sentence is", best)))
    show(fig, f"A tree of {len(sentences)} sentences of up to {depth} words: {'; '.join(said)}.")


def _sentences(shares, words=()):
    """The sentences of a tree that begin with some words: those after which no word is known to come."""
    if not shares.get(words):
        yield words
    for word in shares.get(words, ()):
        yield from _sentences(shares, (*words, word))


def _together(shares, words):
    """The probability of all the words of a sentence; NaN for one that is not in the tree."""
    return np.prod([shares.get(words[:k], {}).get(word, np.nan) for k, word in enumerate(words)])


def _count(number):
    return f"{number / 1e6:.1f} million" if number >= 1e6 else f"{number:,}"
