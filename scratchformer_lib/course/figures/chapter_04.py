"""Pictures of chapter 04: a matrix cut into heads, and what several heads see."""

from collections import namedtuple
from functools import cache
from itertools import product

import ipywidgets
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from . import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    KEY,
    MUTED,
    PAPER,
    QUERY,
    SHARES,
    SOURCE,
    TARGET,
    cells,
    end_labels,
    interactive,
    readable_on,
    shade,
    show,
    sketch,
    styled,
    tint,
)

GREYS = LinearSegmentedColormap.from_list("greys", ["#FFFFFF", tint(MUTED, 0.45)])
TOKENS = (ACCENT, SOURCE, KEY, MUTED)  # the colors of words told apart


@styled()
def split_picture(split_heads, tokens=("the", "cat", "sat"), n_heads=2, d=3):
    """Draw a matrix, the heads that it is cut into, and the wrong pieces that a reshape alone makes.

    split_heads: takes x (T, H * d) and n_heads, H; returns (H, T, d).
    tokens: T words. d: columns of a head. A number in a cell names the word and the column that it came from.
    """
    T, D = len(tokens), n_heads * d
    x = np.arange(T * D).reshape(T, D)
    parts, mixed = np.asarray(split_heads(x, n_heads)), x.reshape(n_heads, T, d)
    if parts.ndim != 3:
        raise ValueError(f"split_heads gave shape {parts.shape}; of {x.shape} it should be {mixed.shape}")
    colors = np.array([[tint(TOKENS[t % 4], amount) for amount in np.linspace(0.2, 0.6, n_heads)] for t in range(T)])
    names, (width, height), top = 0.15 + 0.085 * max(len(token) for token in tokens), (0.35, 0.34), 1.1
    slab = (max(T, parts.shape[1]) + 1.15) * height
    lefts = 0.2 + np.cumsum([0, names + D * width + 0.28, max(names + parts.shape[2] * width + 0.2, 1.55)])
    fig, axes = sketch(max(7, lefts[2] + 2.15), top + max(len(parts), n_heads) * slab - 0.2)
    for stack, left, code, words in ((x[None], lefts[0], "x", f"shape {x.shape}"),
                                     (parts, lefts[1], f"split_heads(x, {n_heads})", f"shape {parts.shape}"),
                                     (mixed, lefts[2], f"x.reshape{mixed.shape}", "reshape alone: words mixed")):
        axes.text(left, 0.32, code, family="DejaVu Sans Mono", fontsize=9.5)
        axes.text(left, 0.6, words, fontsize=9.5, weight="bold", color=shade(BAD) if stack is mixed else INK)
        for h, part in enumerate(stack):
            y, word, column = top + h * slab, part // D, part % D
            labels = np.char.add(np.char.add(word.astype(str), "."), column.astype(str))
            cells(axes, labels, left + names, y, (width, height), colors[word, column // d], fontsize=9.5)
            for t, token in enumerate(tokens[:len(part)]):
                axes.text(left + names - 0.1, y + (t + 0.5) * height, token, ha="right", va="center_baseline")
            for block in range(h, h + max(part.shape[1] // d, 1)):
                x_middle = left + names + (block - h + 0.5) * min(d, part.shape[1]) * width
                axes.text(x_middle, y - 0.1, f"head {block}", ha="center", color=MUTED)
    key = f"{T - 1}.{D - 1}: word {T - 1}, column {D - 1}\na color for each word,\na shade for each head"
    axes.text(lefts[0] + names, top + T * height + 0.2, key, va="top", color=MUTED, linespacing=1.4)
    rows = [", ".join(f"'{tokens[v // D]}'" for v in stack[0, :, 0]) for stack in (parts, mixed)]
    show(fig, f"A matrix of shape {x.shape}, cut by split_heads into pieces of shape {parts.shape}: the rows of head 0 "
              f"belong to {rows[0]}. After a reshape alone they belong to {rows[1]}.")


@styled()
def heads_picture(weights, tokens, names):
    """Draw who looks at whom, once for each head.

    weights: (H, T, T); up to 4 heads and 8 words read well. tokens: T words. names: H, of the heads.
    """
    weights = np.asarray(weights, dtype=float)
    room = _room(len(weights), [tokens])
    fig, axes = sketch(7, room.top + len(tokens) * room.height + 0.2)
    _heads(axes, weights, tokens, names, room)
    show(fig, f"Attention weights, head by head. {_in_words(weights, tokens, names)}")


Room = namedtuple("Room", "name top left width height step upright")


def _room(H, sentences, name=0.25):
    """Where H heat maps of the longest sentence go, side by side, in inches: their names and their top; their left,
    the width and height of a cell, the step to the next map; and whether the words above must stand upright.
    """
    longest = 0.09 * max(len(token) for tokens in sentences for token in tokens)
    left, T = max(0.45 + longest, 0.85), max(len(tokens) for tokens in sentences)
    width = min(0.62, (7 - left - 0.15 - 0.22 * (H - 1)) / (H * T))
    upright = any(_crowded(tokens, width) for tokens in sentences)
    top, height = name + 0.28 + (longest if upright else 0.15), 0.3 if width > 0.36 else 0.27
    return Room(name, top, left, width, height, T * width + 0.22, upright)


def _crowded(words, step):
    """Whether words that are centered a step apart touch."""
    widths = [sum(0.065 if letter.islower() else 0.095 for letter in word) for word in words]
    return any((a + b) / 2 + 0.08 > step for a, b in zip(widths, widths[1:], strict=False))


def _heads(axes, weights, tokens, names, room, muted=(), least=0.005):
    """Heat maps (H, T, T) side by side on a sketch. muted: H bools. least: the least share that is written."""
    T, y = len(tokens), room.top + room.height * (np.arange(len(tokens)) + 0.5)
    size = {"fontsize": 10 if room.width > 0.2 else 9}
    axes.text(0.2, max(y.mean(), room.top + 0.42), "who looks", color=shade(QUERY), rotation=90, ha="center",
              va="center")
    axes.text(room.left - 0.15, room.top - 0.1, "looks at", color=shade(KEY), ha="right")
    for i, token in enumerate(tokens):
        axes.text(room.left - 0.1, y[i], token, color=shade(QUERY), ha="right", va="center_baseline")
    for h, (matrix, name) in enumerate(zip(weights, names, strict=True)):
        silent, edge = len(muted) > h and muted[h], room.left + h * room.step
        x, colors = edge + room.width * (np.arange(T) + 0.5), GREYS if silent else SHARES
        axes.text(edge, room.name, name, weight="bold", color=MUTED if silent else INK)
        axes.pcolormesh(edge + room.width * np.arange(T + 1), room.top + room.height * np.arange(T + 1), matrix,
                        cmap=colors, vmin=0, vmax=1, edgecolors=PAPER, linewidth=1.5)
        axes.add_patch(Rectangle((edge, room.top), T * room.width, T * room.height, fill=False,
                                 edgecolor=tint(MUTED, 0.4)))
        for j, token in enumerate(tokens):
            axes.text(x[j], room.top - 0.1, token, color=shade(KEY), ha="center", **size,
                      **({"rotation": 90, "va": "bottom"} if room.upright else {}))
        for i, j in np.argwhere(matrix >= least) if room.width > 0.36 and not silent else ():
            axes.text(x[j], y[i], f"{matrix[i, j]:.2f}", color=readable_on(colors(matrix[i, j])[:3]), fontsize=9,
                      ha="center", va="center_baseline")
        if silent:
            axes.text(x.mean(), y.mean(), "muted", ha="center", va="center", weight="bold",
                      bbox={"facecolor": PAPER, "edgecolor": MUTED, "pad": 3})


def _in_words(weights, tokens, names):
    likes = np.argmax(weights[:, -1], axis=-1)
    return " ".join(f"In '{name}', '{tokens[-1]}' looks mostly at '{tokens[j]}' ({matrix[-1, j]:.2f})."
                    for name, matrix, j in zip(names, weights, likes, strict=True))


@styled()
def one_head_two_heads(mixtures, one, two):
    """Draw what a single head gets right, however it divides its attention, and what two heads get right.

    mixtures: (n,), how much of the single head's attention goes to the word before; the rest to the word itself.
    one: a dict from what was asked, "both" among it, to the shares of right answers with one head, (n,).
    two: the share of right answers to "both" with two heads.
    """
    fig = Figure(figsize=(7, 2.9))
    axes = fig.add_axes((0.11, 0.18, 0.53, 0.77))
    axes.set(xlim=(min(mixtures), max(mixtures)), ylim=(0, 1.06), ylabel="right answers")
    axes.set_xlabel("attention of the one head to the word before")
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.grid(True, axis="y")
    looks = {label: look for label, look in zip(one, ((SOURCE, "-."), (TARGET, (0, (4, 1.2)))), strict=False)}
    looks["both"] = (ACCENT, "-")
    for label, shares in one.items():
        color, style = looks.get(label, (MUTED, ":"))
        axes.plot(mixtures, shares, color=color, linestyle=style, clip_on=False)
    axes.axhline(two, color=GOOD, linestyle=(0, (6, 2)), clip_on=False)
    ends = [(mixtures[-1], shares[-1], f"one head: {label}", looks.get(label, (MUTED,))[0])
            for label, shares in one.items()]
    end_labels(axes, [*ends, (mixtures[-1], two, "two heads: both", GOOD)])
    best = ", ".join(f"'{label}' at most {max(shares):.0%}" for label, shares in one.items())
    show(fig, f"Shares of right answers of one head, by how it divides its attention: {best}. Two heads get both "
              f"right in {two:.0%}.")


def heads_widget(predict, contexts, words, names, weights_are="set by hand, from counts"):
    """Let the reader mute heads, and see what each looks at and what the next word will be.

    predict: takes a context and muted, (H,) bools; returns weights (H, T, T) and shares (n_vocab,).
    contexts: texts. words: n_vocab, the vocabulary. names: H, of the heads. weights_are: where they come from.
    """
    @cache
    def results(context, *muted):
        weights, shares = predict(context, np.array(muted))
        return np.asarray(weights, dtype=float), np.asarray(shares, dtype=float)

    heard = (False,) * len(names)
    every = [results(context, *muted)[1] for context in contexts for muted in product((False, True), repeat=len(names))]
    highest = np.max(every, axis=0)
    kept = np.sort([i for i in np.argsort(-highest, kind="stable")[:16] if highest[i] >= 0.005])
    room = _room(len(names), [context.split() for context in contexts], name=0.62)
    likely = [words[i] for i in kept]
    below = 0.09 * max(len(word) for word in likely) if _crowded(likely, 6.5 / len(likely)) else 0.15
    bottom = room.top + room.height * max(len(context.split()) for context in contexts)

    def draw(context, **mutes):
        weights, shares = results(context, *mutes.values())
        fig, axes = sketch(7, bottom + 1.75 + below)
        axes.text(0.12, 0.27, f"weights {weights_are}", fontsize=11.5, weight="bold")
        _heads(axes, weights, context.split(), names, room, tuple(mutes.values()), least=0.1)
        _next_word(axes, likely, shares[kept], results(context, *heard)[1][kept], bottom)
        return fig

    def alt(context, **mutes):
        weights, shares = results(context, *mutes.values())
        silent = ", ".join(f"'{name}'" for name, mute in zip(names, mutes.values(), strict=True) if mute)
        best = ", ".join(f"'{words[i]}' {shares[i]:.0%}" for i in np.argsort(-shares, kind="stable")[:3])
        return (f"Attention weights {weights_are}; muted: {silent or 'no head'}. "
                f"{_in_words(weights, context.split(), names)} The next word after '{context}': {best}.")

    mutes = {f"mute_{h}": ipywidgets.Checkbox(value=False, description=f"mute: {name}", indent=False)
             for h, name in enumerate(names)}
    context = ipywidgets.Dropdown(options=list(contexts), value=contexts[-1], description="context",
                                  layout={"width": "460px"})
    interactive(draw, alt, context=context, **mutes)


def _next_word(axes, words, shares, heard, top):
    """Columns of the shares of the next word on a sketch; outlined what they are while no head is muted."""
    left, base, step, tall = 0.25, top + 1.5, 6.5 / len(words), 0.8
    upright = {"rotation": 90} if _crowded(words, step) else {}
    axes.text(left, top + 0.35, "shares of the next word", weight="bold")
    axes.text(left + 2.1, top + 0.35, "dotted: with no head muted", color=MUTED)
    axes.plot([left, left + step * len(words)], [base, base], color=MUTED, linewidth=1)
    for i, (word, share) in enumerate(zip(words, shares, strict=True)):
        x, width = left + (i + 0.5) * step - 0.35 * min(step, 0.8), 0.7 * min(step, 0.8)
        axes.add_patch(Rectangle((x, base - tall * share), width, tall * share, color=ACCENT, linewidth=0))
        if abs(share - heard[i]) >= 0.001:
            axes.add_patch(Rectangle((x, base - tall * heard[i]), width, tall * heard[i], fill=False, edgecolor=INK,
                                     linestyle=":"))
        axes.text(x + width / 2, base + 0.08, word, ha="center", va="top", **upright)
        if share >= 0.005:
            high = tall * share + (0.02 if heard[i] <= share else 0.05)     # on its bar, also inside a higher outline
            axes.text(x + width / 2, base - high, f"{share:.0%}", ha="center", fontsize=9)
