"""Pictures of chapter 03: a soft lookup, who looks at whom, what the scale does, and who may look."""

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from ...embeddings import positional_encoding
from . import (
    ACCENT,
    BAD,
    FAINT,
    GOOD,
    INK,
    KEY,
    MUTED,
    QUERY,
    SHARES,
    SIGNED,
    VALUE,
    arrow,
    cells,
    end_labels,
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
    whole_percent,
    word_map,
)


@styled()
def lookup_picture(query, keys, values, weights, names):
    """Draw a soft lookup: a query among keys, the weight that each key gets, and the blend of the values.

    query: (2,). keys: (S, 2). values: (S,) numbers. weights: (S,). names: of the keys.
    """
    query, keys, values, weights = (np.asarray(x, dtype=float) for x in (query, keys, values, weights))
    S, blend = len(names), weights @ values
    fig = Figure(figsize=(7, 3.3))
    plane = place(fig, 0.1, 0.35, 2.7, 2.5)
    _plane(plane, {"query": (query, QUERY)} | {name: (key, KEY) for name, key in zip(names, keys, strict=True)})
    plane.set_title("the query and the keys", fontsize=11)

    margin = 3.0 + 0.085 * max(map(len, names))
    bars = place(fig, margin, 0.6, 6.0 - margin, 2.2)
    bars.barh(range(S), weights, color=ACCENT, height=0.6)
    bars.set(xlim=(0, 1.25 * max(weights.max(), 0.1)), ylim=(S - 0.5, -0.5), xticks=[])
    bars.set_yticks(range(S), plain(names), color=shade(KEY), weight="bold")
    bars.tick_params(length=0)
    bars.spines["bottom"].set_visible(False)
    for i, (weight, value) in enumerate(zip(weights, values, strict=True)):
        bars.annotate(f"{weight:.3f}", (weight, i), (4, 0), textcoords="offset points", va="center_baseline")
        bars.text(1.2, i, f"{value:g}", transform=bars.get_yaxis_transform(), ha="right", va="center_baseline",
                  color=shade(VALUE), weight="bold")
    bars.text(0, 1.04, "its weight", transform=bars.transAxes, color=shade(ACCENT))
    bars.text(1.2, 1.04, "its value", transform=bars.transAxes, ha="right", color=shade(VALUE))
    bars.set_title("each key", fontsize=11, pad=28)
    terms = [f"{w:.3f} \N{MULTIPLICATION SIGN} {v:g}" for w, v in zip(weights, values, strict=True)]
    terms = terms if S <= 5 else [*terms[:4], "\N{HORIZONTAL ELLIPSIS}"]
    fig.text(6.85 / 7, 0.045, f"the blend: {' + '.join(terms)} = {blend:.1f}", ha="right", weight="bold",
             fontsize=10 if len(terms) < 5 else 9)
    said = ", ".join(f"{name} {w:.3f} of the value {v:g}" for name, w, v in zip(names, weights, values, strict=True))
    show(fig, f"A query among {S} keys in a plane; the weights are {said}; the blend is {blend:.1f}.")


def _plane(axes, arrows):
    """Arrows from the origin, named at their tips, or beside them where another arrow lies.

    arrows: a dict from a name to ((x, y), color); the first is drawn broad, below the others.
    """
    tips = np.array([tip for tip, _ in arrows.values()])
    lengths = np.linalg.norm(tips, axis=-1)
    units = tips / np.where(lengths > 0, lengths, 1)[:, None]
    reach = 1.6 * (np.abs(tips).max() or 1)
    axes.set(xlim=(-1.08 * reach, 1.08 * reach), ylim=(-reach, reach), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.axhline(0, color=FAINT, linewidth=1)
    axes.axvline(0, color=FAINT, linewidth=1)
    for i, (name, (tip, color)) in enumerate(arrows.items()):
        arrow(axes, (0, 0), tip, color, linewidth=2 if i else 5, mutation_scale=12 if i else 20)
        others = [j for j in range(len(tips)) if units[i] @ units[j] > 0.95 and (lengths[j], j) > (lengths[i], i)]
        x, y = units[i] if not others else (units[i, 1], -units[i, 0]) if i else (-units[i, 1], units[i, 0])
        axes.annotate(*plain([name]), tip, (9 * x, 9 * y), textcoords="offset points", color=shade(color),
                      weight="bold", va="center" if abs(y) < 0.9 else "bottom" if y > 0 else "top",
                      ha="center" if abs(x) < 0.4 else "left" if x > 0 else "right")


@styled()
def weights_picture(weights, rows, columns=None, title=None):
    """Draw attention weights: a row for each word that looks, a column for each word that it may look at.

    weights: (T, S); rows: T words; columns: S words, the same as rows if None.
    """
    columns = rows if columns is None else columns
    _maps({title or "": weights}, rows, columns)


@styled()
def weights_pictures(panels, tokens):
    """Draw two or three sets of attention weights of the same sentence, side by side.

    panels: a dict from a title to weights (T, T); tokens: T words.
    """
    _maps(panels, tokens, tokens)


def _maps(panels, rows, columns):
    fig, places, cell = _side_by_side(panels, rows, columns, widest=0.75)
    said = []
    for (title, weights), axes in zip(panels.items(), places, strict=True):
        weights = np.asarray(weights, dtype=float)
        word_map(axes, weights, rows if axes is places[0] else [""] * len(rows), columns, cell)
        _color_names(axes)
        most = [f"{row} at {columns[w.argmax()]} ({percent(w.max())})" for row, w in zip(rows, weights, strict=True)]
        said.append(f"{title}{': ' * bool(title)}{', '.join(most)}")
    show(fig, f"Attention weights: where each word looks most. {'; '.join(said)}.")


def _side_by_side(panels, rows, columns, widest, below=0.15):
    """A figure with an axes for each panel, their titles, and the names of rows and columns; and the size of a cell."""
    T, S = len(rows), len(columns)
    margin, gap = 0.5 + 0.085 * max(map(len, rows)), 0.3
    tail = 0.05 * max(map(len, columns))
    width = min(((6.9 - margin - tail + gap) / len(panels) - gap) / S, widest)
    tall = min(0.34, max(0.2, width)) if T > 4 else 0.38
    titled = 0.32 if any(panels) else 0
    above = room(columns, width) + 0.25 + titled
    fig = Figure(figsize=(7, above + tall * T + below))
    height, places = fig.get_figheight(), []
    for i, title in enumerate(panels):
        left = margin + i * (S * width + gap)
        places.append(place(fig, left, above, S * width, tall * T))
        fig.text(left / 7, 1 - 0.08 / height, title, va="top", weight="bold", fontsize=11 if len(panels) < 3 else 10)
        fig.text(left / 7, 1 - (0.08 + titled) / height, "looks at", va="top", color=shade(KEY))
    fig.text(0.1 / 7, 1 - (above + tall * T / 2) / height, "who looks", rotation=90, va="center", color=shade(QUERY))
    return fig, places, (width, tall)


def _color_names(axes):
    axes.tick_params(axis="x", labelcolor=shade(KEY))
    axes.tick_params(axis="y", labelcolor=shade(QUERY))


@styled()
def scale_picture(sizes, largest):
    """Draw how large the largest of 16 weights is on average, for keys of several sizes d.

    sizes: (n,). largest: a dict from a label to (n,), the mean largest weight at each size.
    """
    fig = Figure(figsize=(7, 3.1))
    longest = max(map(len, largest))
    axes = place(fig, 0.75, 0.2, 5.9 - 0.085 * longest, 2.35)
    colors = [INK, ACCENT, MUTED]
    for i, y in enumerate(largest.values()):
        axes.plot(sizes, y, color=colors[i % 3], marker="os^"[i % 3], clip_on=False)
    axes.axhline(1 / 16, color=MUTED, linestyle=":", linewidth=1.5)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{d:g}" for d in sizes])
    axes.minorticks_off()
    axes.set(xlim=(sizes[0], sizes[-1]), ylim=(0, 1), yticks=[0, 0.5, 1], xlabel="d, the numbers in a key")
    axes.set_ylabel("mean largest weight")
    ends = [(sizes[-1], y[-1], label, colors[i % 3]) for i, (label, y) in enumerate(largest.items())]
    end_labels(axes, [*ends, (sizes[-1], 1 / 16, "all equal: 1/16", MUTED)])
    said = "; ".join(f"{label}, {y[0]:.2f} at d = {sizes[0]} and {y[-1]:.2f} at d = {sizes[-1]}"
                     for label, y in largest.items())
    show(fig, f"The mean largest of 16 attention weights against the size d of the keys: {said}; all equal would be "
              "0.06.")


@styled()
def mask_picture(panels, rows, columns=None):
    """Draw who may look at whom, in one to three masks side by side.

    panels: a dict from a title to a bool mask (T, S), or one that broadcasts to it; True where a row may look.
    rows: T words; columns: S words, the same as rows if None.
    """
    columns = rows if columns is None else columns
    fig, places, cell = _side_by_side(panels, rows, columns, widest=0.6, below=0.42)
    said = []
    for (title, mask), axes in zip(panels.items(), places, strict=True):
        mask = np.broadcast_to(mask, (len(rows), len(columns)))
        word_map(axes, 0.45 * mask, rows if axes is places[0] else [""] * len(rows), columns, cell, most=0)
        _color_names(axes)
        for i, j in np.argwhere(mask):
            axes.text(j, i, "\N{CHECK MARK}", color=INK, ha="center", va="center", size=10 if cell[0] > 0.3 else 8)
        seen = [", ".join(np.array(columns)[may]) or "nothing" for may in mask]
        looks = "; ".join(f"{row} at {words}" for row, words in zip(rows, seen, strict=True))
        said.append(f"{title}{': ' * bool(title)}{looks}")
    fig.text(places[0].get_position().x0, 0.12 / fig.get_figheight(),
             "\N{CHECK MARK} may look        empty: may not", color=MUTED)
    show(fig, f"Masks, who may look at whom. {'. '.join(said)}.")


SHARPNESS = 8.0  # of the head that looks at the word before: with the root it gets about 57%, without it 97%
SAMENESS = 2.5  # length of a word's query and key in the head that looks at the same word
MOST_WORDS = 12


def attention_widget(scaled_dot_product_attention, causal_mask, previous_word_head):
    """Let the reader type a sentence and see who looks at whom, with weights that were set by hand.

    scaled_dot_product_attention: takes q, k, v and a mask, returns (output, weights (T, T)).
    causal_mask: takes T, returns (T, T); previous_word_head: takes the numbers of word and of position columns and a
    sharpness, returns (W_Q, W_K, W_V).
    """
    def weigh(words, head, root, causal):
        one_hot = np.eye(len(set(words)))[[sorted(set(words)).index(word) for word in words]]
        x = np.hstack([one_hot, positional_encoding(len(words), 16)])
        if head == "the word before":
            q, k, v = (x @ W for W in previous_word_head(one_hot.shape[1], 16, sharpness=SHARPNESS))
        else:
            q, k, v = SAMENESS * one_hot, SAMENESS * one_hot, one_hot
        q = q if root else q * np.sqrt(q.shape[-1])  # takes the division back
        mask = causal_mask(len(words)) if causal else None
        return np.asarray(scaled_dot_product_attention(q, k, v, mask)[1], dtype=float)

    def draw(sentence, **choices):
        words = sentence.split()
        fig, axes = sketch(7, 3.8)
        if not words:
            axes.text(3.5, 2, "Type a few words.", ha="center", color=MUTED, fontsize=12)
            return fig
        dropped = f"; the first {MOST_WORDS} of {len(words)} words" * (len(words) > MOST_WORDS)
        axes.text(0.15, 0.3, f"Weights set by hand{dropped}", fontsize=11, weight="bold")
        words = words[:MOST_WORDS]
        _sentence(axes, [_short(word) for word in words], weigh(words, **choices))
        return fig

    def alt(sentence, **choices):
        words = sentence.split()[:MOST_WORDS]
        if not words:
            return "An empty picture: type a few words."
        last = weigh(words, **choices)[-1]
        looks = ", ".join(f"{word} {percent(w)}" for word, w in zip(words, last, strict=True))
        return f"Attention weights of '{' '.join(words)}', set by hand; the last word looks at {looks}."

    interactive(
        draw, alt,
        sentence=ipywidgets.Text(value="the cat sat on the mat", description="sentence", continuous_update=False,
                                 layout={"width": "480px"}),
        head=ipywidgets.Dropdown(options=["the word before", "the same word"], description="each word looks for"),
        root=ipywidgets.Checkbox(value=True, description="divide by the root of d_k", indent=False),
        causal=ipywidgets.Checkbox(value=False, description="causal mask", indent=False),
    )


def _short(word):
    """The word, or as much of it as there is room for."""
    ends = np.cumsum([1.6 if letter in "mwMW@%" or letter > "\u1100" else 1.0 for letter in word])
    return word if ends[-1] <= 9 else word[:np.sum(ends <= 8)] + "\N{HORIZONTAL ELLIPSIS}"


def _sentence(axes, words, weights):
    """The weights of a sentence, and beside them where its last word looks; without ticks, which take long to draw."""
    T, size = len(words), 10 if len(words) <= 8 else 9
    left, width, bottom, names = 1.2, 3.1 / T, 3.65, plain(words)
    turned = room(words, width) > 0.3
    top = 0.8 + room(words, width)
    height = (bottom - top) / T
    axes.text(left, 0.7, "looks at", color=shade(KEY))
    axes.text(left + 3.1, 0.7, "blank: below 0.005" * (T <= 6), color=MUTED, size=9, ha="right")
    axes.text(0.15, (top + bottom) / 2, "who looks", color=shade(QUERY), rotation=90, va="center")
    colors = SHARES(weights)[..., :3]
    axes.pcolormesh(np.linspace(left, left + 3.1, T + 1), np.linspace(top, bottom, T + 1), weights, cmap=SHARES,
                    vmin=0, vmax=1, edgecolors=FAINT, linewidth=1)
    start = 5.45
    axes.text(start, 0.7, f"{names[-1]}, the last word,\nlooks at", color=shade(QUERY), va="center", ha="center")
    axes.vlines(start, top, bottom, color=MUTED, linewidth=1)
    axes.barh(top + (np.arange(T) + 0.5) * height, weights[-1], min(0.7 * height, 0.4), start, color=ACCENT)
    for i, name in enumerate(names):
        x, y = left + (i + 0.5) * width, top + (i + 0.5) * height
        look = {"rotation": 45, "rotation_mode": "anchor", "ha": "left"} if turned else {"ha": "center"}
        axes.text(x, top - 0.09, name, color=shade(KEY), size=size, **look)
        axes.text(left - 0.09, y, name, color=shade(QUERY), size=size, ha="right", va="center_baseline")
        axes.text(start - 0.09, y, name, color=shade(KEY), size=size, ha="right", va="center_baseline")
        axes.text(start + weights[-1, i] + 0.05, y, whole_percent(weights[-1, i]), size=size, va="center_baseline")
        for j in np.flatnonzero(weights[i] >= 0.005) if T <= 6 else []:
            axes.text(left + (j + 0.5) * width, y, f"{weights[i, j]:.2f}", color=readable_on(colors[i, j]), size=8.5,
                      ha="center", va="center_baseline")
    axes.set(xlim=(0, 7), ylim=(3.8, 0))


@styled()
def blindness_picture(labels, outputs):
    """Draw outputs for pairs of orders of the same words, and say of each pair whether they are equal.

    labels: n names of rows; outputs: (n, D). Rows 0 and 1 are a pair, 2 and 3 the next one.
    """
    outputs = np.asarray(outputs, dtype=float)
    n, D = outputs.shape
    margin, height = 0.35 + 0.085 * max(map(len, labels)), 0.34
    width = min((5.4 - margin) / D, 0.62)
    limit = np.abs(outputs).max() or 1
    fig, axes = sketch(7, 0.3 + n * height + (n - 1) // 2 * 0.25)
    said = []
    for i in range(0, n, 2):
        pair, top, right = outputs[i:i + 2], 0.15 + i * height + i // 2 * 0.25, margin + D * width
        colors = SIGNED((pair / limit + 1) / 2)[..., :3]
        numbers = np.round(pair, 2) + 0.0
        cells(axes, numbers, margin, top, (width, height), colors, form="{:.2f}" if width > 0.42 else "", fontsize=9)
        for j, label in enumerate(labels[i:i + 2]):
            axes.text(margin - 0.12, top + (j + 0.5) * height, label, ha="right", va="center_baseline")
        if len(pair) == 2:
            equal, apart = np.allclose(*pair, atol=1e-6), np.abs(pair[0] - pair[1]).max()
            verdict = "equal" if equal else f"different,\nby up to {apart:.2f}"
            axes.text(right + 0.2, top + height, f"{verdict}", va="center", weight="bold",
                      color=shade(GOOD if equal else BAD))
            said.append(f"{labels[i]} and {labels[i + 1]} are {verdict}".replace("\n", " "))
    show(fig, f"Outputs of the last word as rows of {D} colored cells: {'; '.join(said)}.")
