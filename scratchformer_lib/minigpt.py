"""miniGPT: your text. Made from solutions/14_minigpt.py: edit there."""
import hashlib
import math
import time
from dataclasses import dataclass, replace

import numpy as np

from .attention import causal_mask
from .autograd import value_and_grad
from .block import feed_forward, layer_norm
from .gpt import GPTConfig, TransformerLM, generate, init_transformer_lm, transformer_lm
from .multi_head import multi_head_attention
from .support.arguments import (
    check_at_least_0,
    check_block,
    check_count,
    check_decodable,
    check_pieces,
    check_share,
    check_stream,
)
from .support.files import load_json, save_json
from .support.shapes import OnlyShapes
from .support.trees import flat
from .support.workers import shared_out
from .training import AdamW, clip_by_norm, cross_entropy, fit, warmup_cosine


def hold_out(text, share=0.1):
    """Keep the end of a text out of the training.

    text: a str, or ids (N,). share: how much of it is kept out, above 0, below 1.
    Returns (training, validation), which have no character in common. Raises ValueError for another share.
    """
    check_share("share", share)
    n = round((1 - share) * len(text))
    if not 0 < n < len(text):
        raise ValueError(f"share must leave something on both sides of a text of length {len(text)}; got {share!r}")
    return text[:n], text[n:]


class CharTokenizer:
    """Turn texts into ids and back, a character at a time.

    text: what is to be encoded later; each different character gets an id, in the order of their code points.
    Raises ValueError for an empty text.
    """

    def __init__(self, text):
        if not isinstance(text, str) or not text:
            raise ValueError(f"text must be a text with at least one character; got {text!r}")
        self.tokens = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.tokens)}

    def __len__(self):
        return len(self.tokens)

    def encode(self, text):
        """The ids (T,) of a text. Raises ValueError for a character that the tokenizer does not know."""
        try:
            return np.array([self.ids[character] for character in text], dtype=np.int64)
        except KeyError as error:
            raise ValueError(f"text must be of the {len(self)} characters that this tokenizer knows; got "
                             f"{error.args[0]!r}, at {text.index(error.args[0])}") from None

    def decode(self, ids):
        """The text of ids (T,), or of a single one. Raises ValueError for an id that there is not."""
        check_decodable("ids", ids, len(self))
        return "".join(self.tokens[i] for i in np.ravel(ids))

    def save(self, path):
        """Write the tokenizer to a file, as JSON."""
        save_json(path, "CharTokenizer", {"characters": "".join(self.tokens)})

    @classmethod
    def load(cls, path):
        """Read what save wrote. Raises ValueError where it is damaged, or something else."""
        about = load_json(path, "CharTokenizer")
        try:
            return cls(about["characters"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} must be a CharTokenizer that this library saved; it is damaged "
                             f"({type(error).__name__}: {error})") from error


def get_batch(ids, n_rows, length, rng):
    """Draw windows of a text, and say for each of their tokens which comes next.

    ids: (N,), N above length. n_rows: B. length: T. rng: a np.random.Generator.
    Returns (inputs, labels), both (B, T). Each window begins at a place of its own; all that have room are equally
    likely. Raises ValueError where the text is too short for one window.
    """
    check_stream(ids, length)
    check_count("n_rows", n_rows)
    begin = rng.integers(len(ids) - length, size=n_rows)
    places = begin[:, None] + np.arange(length)
    return ids[places], ids[places + 1]


def estimate_loss(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    """Estimate the loss of a model on a text: the mean over some windows, the same ones in every call.

    loss: a function of params, inputs and labels that returns the mean loss of a batch. params: nested dicts of arrays.
    ids: (N,), the text. n_rows: B. length: T. n_batches: how many batches of (B, T). seed: of the windows.
    Returns a float, in nats per token. Raises ValueError where the text is too short for one window.
    """
    check_stream(ids, length)
    check_count("n_batches", n_batches)
    rng, losses = np.random.default_rng(seed), []
    for _ in range(n_batches):
        inputs, labels = get_batch(ids, n_rows, length, rng)
        losses.append(float(loss(params, inputs, labels)))
    return sum(losses) / n_batches


def lm_loss(config):
    """A function of params and a batch: the loss of a GPT of this config, for fit and estimate_loss."""
    def loss(params, inputs, labels, rng=None):
        return cross_entropy(transformer_lm(params, config, inputs, rng), labels)
    return loss


def ablate(x, params, n_heads, pieces):
    """A pre-norm block under a causal mask, with some of its pieces only.

    x: (B, T, D). params: a dict of "attention", "norm_1", "feed_forward" and "norm_2", as init_block draws it.
    n_heads: H. pieces: those that are there, of "attention", "heads", "feed_forward", "residuals" and "norm".
    Returns (B, T, D). Raises ValueError for a piece that there is not, and where shapes do not fit.
    """
    check_block(x, params, n_heads, None, 0.0)
    check_pieces(pieces, "attention", "heads", "feed_forward", "residuals", "norm")
    def with_part(x, norm, part):
        y = part(layer_norm(x, **params[norm]) if "norm" in pieces else x)
        return x + y if "residuals" in pieces else y

    def attend(x):
        mask, heads = causal_mask(x.shape[-2]), n_heads if "heads" in pieces else 1
        return multi_head_attention(x, x, **params["attention"], n_heads=heads, mask=mask)[0]

    if "attention" in pieces:
        x = with_part(x, "norm_1", attend)
    if "feed_forward" in pieces:
        x = with_part(x, "norm_2", lambda x: feed_forward(x, **params["feed_forward"]))
    return x


@dataclass(frozen=True)
class Preset:
    """A GPT of a certain size, and how it is trained.

    n_layers, n_heads, d_model: of the model. length: T, of the windows, and how far back the model can look.
    n_rows: B, windows in a batch. n_steps: how many. peak, warmup, lowest: of the rate, see warmup_cosine.
    dropout: while training. betas, weight_decay: of AdamW.
    Raises ValueError for sizes that do not fit.
    """
    n_layers: int
    n_heads: int
    d_model: int
    length: int
    n_rows: int
    n_steps: int
    peak: float = 1e-3
    lowest: float = 1e-4
    warmup: int = 100
    dropout: float = 0.0
    betas: tuple = (0.9, 0.99)
    weight_decay: float = 0.1

    def __post_init__(self):
        for name in ("n_rows", "n_steps", "warmup"):
            check_count(name, getattr(self, name))
        for name in ("peak", "lowest"):
            check_at_least_0(name, getattr(self, name))
        self.config(n_vocab=2), self.optimizer()                # they look at the rest

    def config(self, n_vocab):
        """The GPTConfig of the model, for a vocabulary."""
        return GPTConfig(n_vocab, self.d_model, self.n_heads, self.n_layers, max_length=self.length,
                         dropout=self.dropout)

    def optimizer(self):
        return AdamW(betas=self.betas, weight_decay=self.weight_decay)

    def rate(self, step):
        """The rate of a step, 1 for the first."""
        return warmup_cosine(step, self.peak, self.warmup, self.n_steps, self.lowest)


PRESETS = {
    "minute": Preset(4, 4, 128, length=64, n_rows=12, n_steps=2000),
    "hour": Preset(6, 6, 192, length=128, n_rows=16, n_steps=5000),
    "night": Preset(6, 6, 384, length=256, n_rows=64, n_steps=5000, dropout=0.2),
}


KEPT = 20                               # vectors of D numbers that a layer keeps of each token; measured


@dataclass(frozen=True)
class Cost:
    """What a training takes on this machine. n_parameters; memory: bytes, beside Python itself; step: seconds for
    one; n_steps. Its text is a sentence."""
    n_parameters: int
    memory: float
    step: float
    n_steps: int

    @property
    def seconds(self):
        """For all steps."""
        return self.step * self.n_steps

    def __str__(self):
        return (f"{self.n_parameters:,} parameters, about {self.memory / 1e6:.0f} MB; {self.n_steps} steps of "
                f"{1000 * self.step:.0f} ms: {in_time(self.seconds)}")


def in_time(seconds):
    """A time in the unit that suits it, as a text."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def memory_of(preset, n_vocab):
    """About how many bytes a training takes at most, computed from its sizes."""
    P = n_parameters(preset.config(n_vocab))
    layer = KEPT * preset.d_model + preset.n_heads * preset.length
    forward = preset.n_rows * preset.length * (preset.n_layers * layer + 2 * preset.d_model + 5 * n_vocab)
    return 4 * max(9 * P, 5 * P + forward)


def n_parameters(config):
    """How many numbers a model of this config has, without making them."""
    return sum(math.prod(x.shape) for x in flat(init_transformer_lm(OnlyShapes(), config)).values())


def cost(preset, n_vocab, n_tokens=512):
    """What a training would take here: its memory computed, its time measured in three steps.

    preset: a Preset. n_vocab: how many tokens there are. n_tokens: so many at most are in a batch that is measured.
    Returns a Cost.
    """
    config, rng = preset.config(n_vocab), np.random.default_rng(0)
    n_rows = min(preset.n_rows, max(1, n_tokens // preset.length))
    params, optimizer = init_transformer_lm(rng, config), preset.optimizer()
    ids = rng.integers(n_vocab, size=(n_rows, preset.length + 1))
    differentiate = shared_out(value_and_grad(lm_loss(config)), 1, lambda batch: batch[-1].size)
    state, fixed, by_row = optimizer.start(params), [], []
    for _ in range(4):                                          # the first one warms up
        start = time.perf_counter()
        _, gradients = differentiate(params, ids[:, :-1], ids[:, 1:], rng=rng)
        middle = time.perf_counter()
        params, state = optimizer.step(params, clip_by_norm(gradients, 1.0), state, 1e-3)
        by_row.append((middle - start) / n_rows)
        fixed.append(time.perf_counter() - middle)
    step = min(fixed[1:]) + min(by_row[1:]) * preset.n_rows
    return Cost(n_parameters(config), memory_of(preset, n_vocab), step, preset.n_steps)


def train(preset, training, validation, n_vocab, rng, every=250, on_step=None, checkpoint=None, workers=1, say=print):
    """Train a GPT on a text, as a preset says.

    preset: a Preset. training, validation: ids (N,), of what it learns from and of what it is tested on.
    n_vocab: how many tokens there are. rng: a np.random.Generator. every, on_step, checkpoint, workers: as in fit.
    say: is told what it will cost, before it begins; None: it is not measured.
    Returns (model, run): a TransformerLM with the parameters of the lowest validation loss, and a Run.
    Raises ValueError where a text is too short, or the checkpoint belongs to another training.
    """
    config = preset.config(n_vocab)
    check_stream(training, preset.length)
    check_stream(validation, preset.length)
    loss, text = lm_loss(config), hashlib.sha256(np.ascontiguousarray(training)).hexdigest()[:16]

    def draw(rng):
        return get_batch(training, preset.n_rows, preset.length, rng)

    def validate(params):
        return estimate_loss(loss, params, validation, preset.n_rows, preset.length)

    if say is not None:
        say(cost(preset, n_vocab))
    run = fit(loss, init_transformer_lm(rng, config), draw, preset.n_steps, rng, preset.optimizer(), preset.rate,
              validate=validate, every=every, on_step=on_step, checkpoint=checkpoint,
              about=(replace(preset, n_steps=1), n_vocab, text), workers=workers)
    return TransformerLM(config, run.params), run


def write(model, tokenizer, prompt="\n", n_tokens=200, temperature=1.0, top_k=None, top_p=None, rng=None):
    """Go on writing from a text.

    model: a TransformerLM. tokenizer: the one it was trained with. prompt: a text, not empty.
    n_tokens, temperature, top_k, top_p, rng: as in generate. Returns the prompt and what was written, a str.
    """
    ids = tokenizer.encode(prompt)
    written = generate(model, ids, n_tokens, temperature, top_k, top_p, rng)
    return tokenizer.decode(np.concatenate([ids, written]))


def bits_per_byte(loss, text, tokenizer):
    """How many bits a model needs for a byte of text; unlike the loss, it does not depend on how the text is cut.

    loss: a float, the mean over the tokens of the text, in nats. text: a str. tokenizer: with encode(text).
    Returns a float. Raises ValueError for a text without a byte, or a loss below 0.
    """
    check_at_least_0("loss", loss)
    if not text:
        raise ValueError("text must have at least one byte; got an empty text")
    nats = loss * len(tokenizer.encode(text))
    return float(nats / math.log(2) / len(text.encode("utf-8")))
