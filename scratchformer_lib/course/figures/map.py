"""The map of the Transformer: which part each chapter builds, and what the reader has solved so far."""

from html import escape
from math import cos, pi, sin

from . import ACCENT, BAD, INK, KEY, MUTED, PAPER, QUERY, SOURCE, TARGET, VALUE

# The parts, named like the notebooks, with the chapters that build them.
PARTS = {
    "softmax": "01", "embeddings": "02", "attention": "03", "multi_head": "04", "block": "05", "encoder": "06",
    "decoder": "07", "transformer": "08", "gradients": "09", "training": "10", "gpt": "12", "tokenizer": "13",
}
COLORS = {
    "softmax": ACCENT, "embeddings": "#B8A800", "attention": KEY, "multi_head": QUERY, "block": VALUE,
    "encoder": SOURCE, "decoder": TARGET, "transformer": MUTED, "gradients": BAD, "training": BAD,
    "gpt": TARGET, "tokenizer": "#B8A800",
}
WIDTH, HEIGHT, ROW, BAND = 760, 552, 26, 30

# Where things stand. A frame: part, name, left, top, width, height. A box: part, name, left, top, width.
FRAMES = [
    ("transformer", "Transformer", 12, 12, 476, 528),
    ("encoder", "encoder, N blocks", 26, 226, 208, 198),
    ("decoder", "decoder, N blocks", 266, 150, 208, 274),
    ("attention", "attention", 508, 12, 240, 264),
]
BOXES = [
    ("embeddings", "embeddings", 38, 472, 166),
    ("embeddings", "+ positions", 38, 440, 166),
    ("multi_head", "self-attention", 38, 376, 166),
    ("block", "add & norm", 38, 342, 166),
    ("block", "feed-forward", 38, 296, 166),
    ("block", "add & norm", 38, 262, 166),
    ("embeddings", "embeddings", 278, 472, 166),
    ("embeddings", "+ positions", 278, 440, 166),
    ("multi_head", "causal attention", 278, 376, 166),
    ("block", "add & norm", 278, 342, 166),
    ("multi_head", "cross-attention", 278, 300, 166),
    ("block", "add & norm", 278, 266, 166),
    ("block", "feed-forward", 278, 224, 166),
    ("block", "add & norm", 278, 190, 166),
    ("transformer", "linear", 278, 108, 166),
    ("softmax", "softmax", 278, 74, 166),
    ("attention", "times V", 526, 74, 176),
    ("softmax", "softmax", 526, 108, 176),
    ("attention", "mask", 526, 142, 176),
    ("attention", "divide by \N{SQUARE ROOT}d", 526, 176, 176),
    ("attention", "Q times K", 526, 210, 176),
    ("training", "training", 526, 322, 204),
    ("gradients", "gradients", 526, 358, 204),
    ("gpt", "GPT: a decoder alone", 526, 436, 204),
    ("tokenizer", "tokenizer", 526, 472, 204),
]
LEGEND = [(0, "to do"), (0.4, "begun"), (1, "solved")]


def transformer_map(lit=None, today=None):
    """Draw the whole Transformer as an SVG picture, lit up where the reader has solved the exercises.

    lit: a dict from a part (a key of PARTS) to the share of its exercises that are solved, 0 to 1.
    today: the part to outline, the one that this chapter is about.
    """
    lit = lit or {}
    for part in [*lit, *([today] if today else [])]:
        if part not in PARTS:
            raise ValueError(f"unknown part {part!r}; the parts are {', '.join(PARTS)}")
    shapes = [_frame(*frame, lit, today) for frame in FRAMES]
    shapes += [f'<path d="M444,300 L508,42 V276 L444,326 Z" fill="{KEY}" opacity="0.13"/>']  # zooms into attention
    shapes += _wires()
    shapes += [_band(*frame, lit, today) for frame in FRAMES] + [_box(*box, lit, today) for box in BOXES]
    shapes += [_legend(46, 68)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        'style="max-width: 100%; height: auto" '
        'role="img" font-family="Helvetica, Arial, \'Liberation Sans\', \'DejaVu Sans\', sans-serif" font-size="13">'
        f"<title>The map of the Transformer</title><desc>{escape(in_words(lit, today))}</desc>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L8,4 L0,8 Z" fill="{MUTED}"/></marker></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="{PAPER}"/>' + "".join(shapes) + "</svg>"
    )


def in_words(lit, today=None):
    """Say what the map shows."""
    solved = [part for part in PARTS if lit.get(part, 0) >= 1]
    begun = [part for part in PARTS if 0 < lit.get(part, 0) < 1]
    words = "The parts of an encoder-decoder Transformer and the chapters that build them: "
    words += ", ".join(f"{number} {part}" for part, number in PARTS.items()) + ". "
    words += f"Solved: {', '.join(solved) or 'none yet'}."
    if begun:
        words += f" Begun: {', '.join(begun)}."
    return words + (f" Today: {today}." if today else "")


CENTERED = {"text_anchor": "middle", "fill": MUTED}


def _text(x, y, words, **style):
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in ({"fill": INK} | style).items())
    return f'<text x="{x}" y="{y}"{attributes}>{escape(words)}</text>'


def _rect(x, y, width, height, fill, **style):
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"{attributes}/>'


def _wire(*points, tip=True):
    path = " L".join(f"{x},{y}" for x, y in points)
    end = ' marker-end="url(#tip)"' if tip else ""
    return f'<path d="M{path}" fill="none" stroke="{MUTED}" stroke-width="1.4"{end}/>'


def _mix(color, amount):
    """The color on white; amount 0 is white."""
    return "#" + "".join(f"{round(255 - amount * (255 - int(color[i : i + 2], 16))):02X}" for i in (1, 3, 5))


def _progress(x, y, share):
    """A small dial: empty, a slice of pie, or a check mark, so that the state can be told without color."""
    if share >= 1:
        return (f'<circle cx="{x}" cy="{y}" r="7" fill="{INK}"/><path d="M{x - 3.5},{y} l2.5,3 l4.5,-6" fill="none" '
                f'stroke="#FFFFFF" stroke-width="1.8"/>')
    dial = f'<circle cx="{x}" cy="{y}" r="6.5" fill="#FFFFFF" stroke="{MUTED}"/>'
    if share > 0:
        end = f"{x + 6.5 * sin(2 * pi * share):.2f},{y - 6.5 * cos(2 * pi * share):.2f}"
        dial += f'<path d="M{x},{y} v-6.5 A6.5,6.5 0 {int(share > 0.5)} 1 {end} Z" fill="{INK}"/>'
    return dial


def _box(part, name, x, y, width, lit, today):
    """A box that fills up from the left. What belongs to the part of a frame leaves number and dial to the frame."""
    share, framed = lit.get(part, 0), part in {frame[0] for frame in FRAMES}
    outline = _outline(part, share, None if framed else today)
    return (
        _rect(x, y, width, ROW, _mix(COLORS[part], 0.1), rx=5)
        + _rect(x, y, width * min(share, 1), ROW, _mix(COLORS[part], 0.5), rx=5)
        + _rect(x, y, width, ROW, "none", rx=5, **outline)
        + (_text(x + 30, y + 17.5, name) if framed else _label(part, name, x, y + 13, width, share))
    )


def _frame(part, name, x, y, width, height, lit, today):
    share = lit.get(part, 0)
    return _rect(x, y, width, height, _mix(COLORS[part], 0.05 + 0.1 * share), rx=9, **_outline(part, share, today))


def _band(part, name, x, y, width, height, lit, today):
    """The head of a frame, which fills up like a box."""
    share = lit.get(part, 0)
    return (
        _rect(x, y, width, BAND, _mix(COLORS[part], 0.14), rx=9)
        + _rect(x, y, width * min(share, 1), BAND, _mix(COLORS[part], 0.55), rx=9)
        + _rect(x, y, width, BAND, "none", rx=9, **_outline(part, share, today))
        + _label(part, name, x + 3, y + BAND / 2, width - 3, share, font_weight="bold")
    )


def _outline(part, share, today):
    if part == today:
        return {"stroke": INK, "stroke_width": 3.5}
    return {"stroke": _mix(COLORS[part], 0.9 if share else 0.5)}


def _label(part, name, x, middle, width, share, **style):
    return (
        _text(x + 9, middle + 4, PARTS[part], font_size=11, font_weight="bold")
        + _text(x + 30, middle + 4.5, name, **style)
        + _progress(x + width - 14, middle, share)
    )


def _wires():
    wires = []
    # Of each layer with its norm: the tops of the two boxes, and where the residual path leaves.
    encoder = [(376, 342, 410), (296, 262, 332)]
    decoder = [(376, 342, 410), (300, 266, 334), (224, 190, 258)]
    for x, layers in ((121, encoder), (361, decoder)):
        wires += [_wire((x, 514), (x, 498)), _wire((x, 472), (x, 466), tip=False)]
        below = 440
        for layer, norm, fork in layers:
            wires += [
                _wire((x, below), (x, layer + ROW)),
                _wire((x, layer), (x, norm + ROW), tip=False),
                _wire((x, fork), (x + 98, fork), (x + 98, norm + 13), (x + 83, norm + 13)),
            ]
            below = norm
    wires += [
        _wire((121, 262), (121, 202), (251, 202), (251, 313), (278, 313)),
        _text(130, 196, "keys and values", font_size=12, fill=MUTED),
        _wire((361, 190), (361, 134)),
        _wire((361, 108), (361, 100), tip=False),
        _wire((361, 74), (361, 62)),
        _text(361, 57, "shares for the next word", **CENTERED),
        _text(121, 529, "the source sentence", **CENTERED),
        _text(361, 529, "the target so far", **CENTERED),
    ]
    wires += [_wire((614, y), (614, y - 8), tip=False) for y in (108, 142, 176, 210)]
    wires += [
        _wire((614, 74), (614, 62)),
        _wire((584, 252), (584, 236)),
        _wire((644, 252), (644, 236)),
        _wire((724, 252), (724, 87), (702, 87)),
        *(_rect(x - 11, 252, 22, 18, _mix(color, 0.45), rx=4) + _text(x, 265.5, name, text_anchor="middle")
          for x, name, color in ((584, "Q", QUERY), (644, "K", KEY), (724, "V", VALUE))),
        _text(628, 310, "how the weights are learned", **CENTERED),
        _wire((628, 358), (628, 348), tip=False),
        _text(628, 424, "a model that writes text", **CENTERED),
        _wire((628, 472), (628, 462), tip=False),
        _wire((628, 514), (628, 498)),
        _text(628, 529, "your text", **CENTERED),
    ]
    return wires


def _legend(x, y):
    rows = [_progress(x, y + 22 * i, share) + _text(x + 15, y + 22 * i + 4.5, name)
            for i, (share, name) in enumerate(LEGEND)]
    return "".join(rows) + _rect(x - 7, y + 59, 14, 14, "none", rx=3, stroke=INK, stroke_width=3) + _text(
        x + 15, y + 70.5, "this chapter")
