"""Pictures of chapter 13: pairs of neighbors, text cut into tokens, and what merges are worth."""

from functools import cache

import ipywidgets
import numpy as np
from matplotlib import font_manager
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...support.bpe import split_chunks
from . import (
    ACCENT,
    BAD,
    FAINT,
    INK,
    MUTED,
    QUERY,
    end_labels,
    interactive,
    letters,
    place,
    plain,
    show,
    sketch,
    styled,
    tint,
)

SIGNS = {" ": "\N{OPEN BOX}", "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW TO BAR}"}
LINE, TALL = 0.36, 0.27  # from one line of tokens to the next, and the height of a token, in inches
MOST_BYTES, MOST_MERGES = 80, 140


@cache
def drawable():
    """The characters that the font of the pictures has."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return set(map(chr, font.get_charmap()))


def written(token):
    """A token as a picture writes it: its characters, with signs for white space; else its bytes in hexadecimal."""
    try:
        text = "".join(SIGNS.get(character, character) for character in token.decode("utf-8"))
    except UnicodeDecodeError:
        return token.hex(" ").upper()
    return text if text.isprintable() and set(text) <= drawable() else token.hex(" ").upper()


def said(tokens):
    """Tokens as a sentence says them."""
    return ", ".join(token.decode("utf-8", "backslashreplace").replace("\n", "\\n") for token in tokens)


def laid_out(tokens, left, right):
    """Places for tokens in lines from left to right: [(line, x, width, label)]."""
    places, line, x = [], 0, left
    for label in map(written, tokens):
        width = 0.11 + 0.9 * letters(label)
        if x + width > right and x > left:
            line, x = line + 1, left
        places.append((line, x, width, label))
        x += width + 0.045
    return places


def _tokens(axes, tokens, places, top):
    """Draw tokens as boxes: those that were merged in the accent's color, single bytes in gray."""
    boxes = [Rectangle((x, top + line * LINE), width, TALL) for line, x, width, _ in places]
    colors = [tint(ACCENT, 0.25) if len(token) > 1 else FAINT for token in tokens]
    axes.add_collection(PatchCollection(boxes, facecolor=colors, edgecolor="none"))
    for line, x, width, label in places:
        axes.text(x + width / 2, top + line * LINE + TALL / 2, *plain([label]), size=9, ha="center",
                  va="center_baseline")


@styled()
def tokens_picture(rows):
    """Draw how a text is cut into tokens, in several ways.

    rows: a dict from a name to a list of tokens (bytes).
    """
    left = 0.3 + 0.09 * max(map(len, rows))
    places = {name: laid_out(tokens, left, 6.1) for name, tokens in rows.items()}
    heights = [(places[name][-1][0] + 1 if places[name] else 1) * LINE + 0.1 for name in rows]
    fig, axes = sketch(7, sum(heights) + 0.2)
    top = 0.15
    for (name, tokens), height in zip(rows.items(), heights, strict=True):
        axes.text(left - 0.12, top + TALL / 2, name, ha="right", va="center_baseline", weight="bold")
        axes.text(6.88, top + TALL / 2, f"{len(tokens)} tokens", ha="right", va="center_baseline", color=MUTED)
        _tokens(axes, tokens, places[name], top)
        top += height
    cuts = "; ".join(f"{name}, {len(tokens)} tokens: {said(tokens)}" for name, tokens in rows.items())
    show(fig, f"The same text cut into tokens in {len(rows)} ways. {cuts}.")


@styled()
def pairs_picture(counts, most=12):
    """Draw how often pairs occur, the most frequent on top, and equally frequent ones in the order of Python.

    counts: a dict from a pair of tokens (bytes) to how often it occurs. most: how many are drawn.
    """
    pairs = sorted(counts, key=lambda pair: (-counts[pair], pair))[:most]
    fig = Figure(figsize=(7, 0.26 * max(len(pairs), 1) + 0.3))
    axes = place(fig, 0.8, 0.15, 5.6, 0.26 * max(len(pairs), 1))
    axes.barh(range(len(pairs)), [counts[pair] for pair in pairs], color=ACCENT, height=0.7)
    axes.set(xlim=(0, 1.08 * max(counts.values(), default=1)), ylim=(max(len(pairs), 1) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(pairs)), plain(" ".join(map(written, pair)) for pair in pairs))
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    for row, pair in enumerate(pairs):
        axes.annotate(counts[pair], (counts[pair], row), (4, 0), textcoords="offset points", va="center_baseline")
    told = ", ".join(f"{' '.join(map(written, pair))} {counts[pair]}" for pair in pairs)
    show(fig, f"How often pairs of neighbors occur, the {len(pairs)} most frequent of {len(counts)}: {told}.")


def merges_widget(count_chunks, learn_merges, apply_merges, text, sentence):
    """Let the reader type a sentence and choose how many merges are used, and see its tokens.

    count_chunks, learn_merges, apply_merges: those of the chapter. text: what the merges are learned from.
    sentence: the first one.
    """
    merges = learn_merges(count_chunks(text), MOST_MERGES)

    @cache
    def chunks_of(sentence):
        """The chunks in their order, and whether some were left out."""
        kept, size = [], 0
        for chunk in split_chunks(sentence):
            chunk = chunk.encode("utf-8", "replace")
            size += len(chunk)
            if size > MOST_BYTES:
                return (*kept, chunk[:MOST_BYTES - size]), True
            kept.append(chunk)
        return tuple(kept), False

    def cut(sentence, n):
        ranks, tokens = {pair: rank for rank, pair in enumerate(merges[:n])}, []
        for chunk in chunks_of(sentence)[0]:
            tokens += apply_merges(tuple(chunk[i:i + 1] for i in range(len(chunk))), ranks)
        return tokens

    def draw(sentence, merges_used):
        tokens = cut(sentence, merges_used)
        fig, axes = sketch(7, 2.05)
        if not tokens:
            axes.text(3.5, 1.05, "Type a sentence.", ha="center", color=MUTED, fontsize=12)
            return fig
        n_bytes = sum(map(len, tokens))
        first = f"the first {n_bytes} bytes" if chunks_of(sentence)[1] else _counted(n_bytes, "byte")
        axes.text(0.12, 0.28, f"{first}, {_counted(len(tokens), 'token')}", fontsize=11.5, weight="bold")
        if merges_used:
            left, right = merges[merges_used - 1]
            used = tokens.count(left + right)
            axes.text(6.88, 0.28, *plain([f"merge {merges_used}: {written(left)} + {written(right)}, {used} here"]),
                      color=QUERY if used else MUTED, ha="right")
        _tokens(axes, tokens, laid_out(tokens, 0.12, 6.9), 0.5)
        return fig

    def alt(sentence, merges_used):
        tokens = cut(sentence, merges_used)
        return (f"After {_counted(merges_used, 'merge')} the sentence has {_counted(len(tokens), 'token')}"
                f"{': ' * bool(tokens)}{said(tokens)}.")

    interactive(
        draw, alt,
        sentence=ipywidgets.Text(value=sentence, description="sentence", continuous_update=False,
                                 layout={"width": "520px"}),
        merges_used=ipywidgets.IntSlider(value=min(10, len(merges)), min=0, max=len(merges), description="merges",
                                         layout={"width": "520px"}),
    )


def _counted(n, what):
    return f"1 {what}" if n == 1 else f"{n} {what}s"


@styled()
def compression_picture(n_merges, curves):
    """Draw how many bytes a token stands for against the number of merges, for several texts.

    n_merges: K numbers. curves: a dict from a name to K numbers, up to four of them.
    """
    fig = Figure(figsize=(7, 3.1))
    axes = place(fig, 0.75, 0.2, 4.0, 2.35)
    ends = []
    for (name, values), color in zip(curves.items(), (ACCENT, QUERY, BAD, INK), strict=False):
        axes.plot(n_merges, values, color=color, linewidth=2)
        ends.append((n_merges[-1], values[-1], name, color))
    axes.set(xlabel="merges", ylabel="bytes per token", xlim=(0, n_merges[-1]), ylim=(0.9, None))
    axes.grid(True)
    end_labels(axes, ends)
    ratios = ", ".join(f"{name} {np.asarray(values)[-1]:.1f}" for name, values in curves.items())
    show(fig, f"Bytes per token against the number of merges, from {n_merges[0]} to {n_merges[-1]}, where they reach: "
              f"{ratios}.")
