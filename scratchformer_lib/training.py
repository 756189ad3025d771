"""Training: it learns. Made from solutions/08_transformer.py and solutions/10_training.py and
solutions/11_gradients_by_hand.py: edit there."""
import math
import pathlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .autograd import differentiable, value_and_grad
from .embeddings import Vocabulary
from .softmax import log_softmax, softmax
from .support.arguments import check_at_least_0, check_count, check_ids, check_rate, check_targets, check_tree
from .support.checkpoints import load_checkpoint, save_checkpoint
from .support.number_words import in_english, in_german
from .support.trees import flat, nested
from .support.workers import shared_out
from .transformer import greedy_decode, transformer


def teacher_forcing_pair(ids):
    """Make of each sequence what the decoder is given, and what it should say: the same, one word later.

    ids: (B, L), whole numbers, L at least 2: from <START> to <END>, then padding.
    Returns (inputs, labels), both (B, L - 1). Raises ValueError where ids are something else.
    Source: Williams and Zipser, "A learning algorithm for continually running fully recurrent neural networks", 1989.
    """
    check_ids("ids", ids)
    if np.ndim(ids) != 2 or np.shape(ids)[1] < 2:
        raise ValueError(f"ids must be (B, L), L at least 2, from <START> to <END>; got shape {np.shape(ids)}")
    ids = np.asarray(ids)
    return ids[:, :-1], ids[:, 1:]


def cross_entropy(logits, targets, ignore_id=None, label_smoothing=0.0):
    """The mean surprise at the right words, in nats.

    logits: (..., n_vocab). targets: (...), ids of the right words. ignore_id: an id that does not count: padding.
    label_smoothing: the share of the truth that is spread evenly over all words, at least 0, below 1.
    Returns a number. Raises ValueError where shapes do not fit, an id is not in the vocabulary, or nothing counts.
    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, section 7 (smoothing).
    """
    check_targets(logits, targets, ignore_id, label_smoothing)
    targets = np.asarray(targets)
    log_p = log_softmax(logits)
    loss = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * np.mean(log_p, axis=-1)
    return np.mean(loss[targets != ignore_id])


cross_entropy = differentiable(cross_entropy)


@cross_entropy.gradient
def cross_entropy_gradient(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    """The gradient of cross_entropy.

    dy: the gradient of the loss, a number. loss: the loss, a number. logits: (..., n_vocab). targets: (...), ids.
    ignore_id, label_smoothing: as in cross_entropy.
    Returns d_logits, of the shape of logits.
    """
    targets = np.asarray(targets)
    counts = targets != ignore_id
    truth = np.full_like(logits, label_smoothing / logits.shape[-1])
    right = np.take_along_axis(truth, targets[..., None], axis=-1)
    np.put_along_axis(truth, targets[..., None], right + (1 - label_smoothing), axis=-1)
    d_logits = (softmax(logits) - truth) * (dy / int(np.count_nonzero(counts)))
    return np.where(counts[..., None], d_logits, 0)


@dataclass(frozen=True)
class Task:
    """Something to learn: pairs of a source and its target, drawn anew for every step.

    source, target: a Vocabulary each. draw: a function of rng and n that returns n pairs as ids, (n, S) and (n, T);
    targets from <START> to <END>, both filled up with <PAD>. n_rows: how many pairs a batch has.
    """
    source: Vocabulary
    target: Vocabulary
    draw: Callable
    n_rows: int = 64

    def batch(self, rng):
        """A batch for `fit`: (src, inputs, labels)."""
        src, tgt = self.draw(rng, self.n_rows)
        return src, *teacher_forcing_pair(tgt)


def letters_task(where, shortest=3, longest=8, n_letters=16, n_rows=64):
    """A task on rows of letters, of random lengths.

    where: a function of j and n that says at which place of a source of n letters word j of its target is found.
    shortest, longest: of the rows. n_letters: at most 26.
    """
    vocabulary = Vocabulary([chr(ord("a") + i) for i in range(n_letters)])
    first = len(Vocabulary.SPECIAL)

    def draw(rng, n):
        lengths, j = rng.integers(shortest, longest + 1, (n, 1)), np.arange(longest)
        letters = rng.integers(first, first + n_letters, (n, longest))
        moved = np.take_along_axis(letters, np.where(j < lengths, where(j, lengths), j), axis=1)
        tgt = np.full((n, longest + 2), vocabulary.pad_id)
        tgt[:, 0] = vocabulary.start_id
        tgt[:, 1:-1] = np.where(j < lengths, moved, vocabulary.pad_id)
        np.put_along_axis(tgt, lengths + 1, vocabulary.end_id, axis=1)
        return np.where(j < lengths, letters, vocabulary.pad_id), tgt
    return Task(vocabulary, vocabulary, draw, n_rows)


def copy_task(**options):
    """The same letters; options as in letters_task."""
    return letters_task(lambda j, n: j, **options)


def reverse_task(**options):
    """The last letter first; options as in letters_task."""
    return letters_task(lambda j, n: n - 1 - j, **options)


def shift_task(**options):
    """The last letter, and then the others from the first on; options as in letters_task."""
    return letters_task(lambda j, n: (j - 1) % n, **options)


def numbers_task(numbers, n_rows=64):
    """Numbers from English to German: "twenty one", "ein und zwanzig".

    numbers: those that may be drawn, from 0 to 999.
    """
    source = Vocabulary(" ".join(in_english(n) for n in range(1000)).split())
    target = Vocabulary(" ".join(in_german(n) for n in range(1000)).split())
    src = source.encode([in_english(int(n)) for n in numbers])
    tgt = target.encode([f"<START> {in_german(int(n))} <END>" for n in numbers])

    def draw(rng, n):
        rows = rng.integers(0, len(src), n)
        return src[rows], tgt[rows]
    return Task(source, target, draw, n_rows)


def exact_match(params, config, src, tgt):
    """The share of the targets that the model writes by itself, word by word, to the last word.

    params, config: of a transformer. src: (B, S). tgt: (B, T), from <START> to <END>, then <PAD>.
    """
    def model(src, tgt):
        return transformer(params, config, src, tgt)

    n_words = tgt.shape[1] - 1
    written = greedy_decode(model, src, n_words)
    written = np.pad(written, ((0, 0), (0, n_words - written.shape[1])), constant_values=Vocabulary.pad_id)
    return float(np.mean(np.all(written == tgt[:, 1:], axis=1)))


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum: steps downhill along a sum of gradients in which old ones fade.

    momentum: that part, mu, at least 0, below 1: v = mu v + dx, and then x - rate v.
    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """
    momentum: float = 0.0

    def __post_init__(self):
        check_rate("momentum", self.momentum)

    def start(self, params):
        """What it keeps in mind, at the beginning. params: nested dicts of arrays."""
        return {"velocity": zeros_like(params)}

    def step(self, params, gradients, state, rate):
        """One step. Returns the new params and the new state; the old ones stay as they are."""
        last = flat(state["velocity"])
        velocity = {name: self.momentum * last[name] + dx for name, dx in flat(gradients).items()}
        new = {name: x - rate * velocity[name] for name, x in flat(params).items()}
        return nested(new), {"velocity": nested(velocity)}


def zeros_like(params):
    """Nested dicts of the same form, full of zeros."""
    return nested({name: np.zeros_like(x) for name, x in flat(params).items()})


def adamw_step(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """One step of AdamW for one parameter.

    x, dx, mean, square: of one shape; the parameter, its gradient, the running means of gradients and of their squares.
    step: the number of this step, 1 for the first. rate: a Python number. betas: how much of the old means is kept.
    eps: added to the root. weight_decay: the share of x, times the rate, that goes.
    Returns (x, mean, square), new arrays.
    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; Loshchilov and Hutter, "Decoupled
    weight decay regularization", 2019.
    """
    beta_1, beta_2 = betas
    mean, square = beta_1 * mean + (1 - beta_1) * dx, beta_2 * square + (1 - beta_2) * dx * dx
    direction = mean / (1 - beta_1**step) / (np.sqrt(square / (1 - beta_2**step)) + eps)
    return x - rate * (direction + weight_decay * x), mean, square


@dataclass(frozen=True)
class AdamW:
    """The optimizer that trains most Transformers: adamw_step for every parameter.

    betas, eps: as in adamw_step. weight_decay: for matrices and tables; vectors (norms and biases) do not decay.
    """
    betas: tuple = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self):
        for beta in self.betas:
            check_rate("each of betas", beta)
        check_at_least_0("eps", self.eps)
        check_at_least_0("weight_decay", self.weight_decay)

    def start(self, params):
        """What it keeps in mind, at the beginning. params: nested dicts of arrays."""
        return {"step": 0, "mean": zeros_like(params), "square": zeros_like(params)}

    def step(self, params, gradients, state, rate):
        """One step. Returns the new params and the new state; the old ones stay as they are."""
        step, dxs = state["step"] + 1, flat(gradients)
        means, squares = flat(state["mean"]), flat(state["square"])
        new = {name: adamw_step(x, dxs[name], means[name], squares[name], step, rate, self.betas, self.eps,
                                self.weight_decay if x.ndim > 1 else 0.0) for name, x in flat(params).items()}
        x, mean, square = (nested({name: three[i] for name, three in new.items()}) for i in range(3))
        return x, {"step": step, "mean": mean, "square": square}


def noam(step, d_model, warmup):
    """The rate of the paper: up in a straight line for `warmup` steps, then down with the root of the step.

    step: 1 for the first. d_model: D. warmup: the step at which it is largest.
    Returns a float. Source: Vaswani et al., "Attention is all you need", 2017, section 5.3.
    """
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def warmup_cosine(step, peak, warmup, n_steps, lowest=0.0):
    """Up in a straight line to the peak, then down along half a wave of a cosine.

    step: 1 for the first. warmup: the step of the peak. n_steps: the last step; there and after it, it is `lowest`.
    Returns a float. Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """
    if step <= warmup:
        return peak * step / warmup
    done = min(1.0, (step - warmup) / (n_steps - warmup)) if n_steps > warmup else 1.0
    return lowest + (peak - lowest) * (1 + math.cos(math.pi * done)) / 2


def clip_by_norm(gradients, max_norm):
    """Shorten gradients to a length of at most max_norm, over all arrays together.

    gradients: nested dicts of arrays. max_norm: a Python number above 0.
    Returns the same form, new where they are shortened.
    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
    """
    arrays = flat(gradients)
    norm = math.sqrt(sum(float(np.vdot(dx, dx)) for dx in arrays.values()))
    scale = min(1.0, max_norm / norm) if norm else 1.0
    return nested({name: scale * dx for name, dx in arrays.items()})


def training_step(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    """Take one step of training.

    differentiate: a function of params, the arrays of a batch, and rng, that returns (loss, gradients).
    params: nested dicts of arrays. state: what the optimizer keeps in mind. batch: a tuple of arrays.
    optimizer: an SGD or AdamW. rate: of this step. max_norm: how long the gradients may be. rng: for dropout.
    Returns (loss, params, state): the loss before the step, and the new params and state.
    """
    loss, gradients = differentiate(params, *batch, rng=rng)
    gradients = clip_by_norm(gradients, max_norm)
    params, state = optimizer.step(params, gradients, state, rate)
    return loss, params, state


@dataclass(frozen=True)
class Step:
    """What `fit` tells `on_step`: after which step of how many, its loss, its rate, how many labels its batch had,
    the result of validate after this step (mostly None), and the parameters."""
    step: int
    n_steps: int
    loss: float
    rate: float
    n_labels: int
    validation: float | None
    params: dict


@dataclass(frozen=True)
class Run:
    """A training. params: those with the lowest validation, or the last ones where there is none.
    losses: one for each step. validations: by step. stopped: why it ended before its last step, or "".
    """
    params: dict
    losses: list
    validations: dict
    stopped: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training has got to: all that it takes to go on from there, to the bit."""
    step: int
    params: dict
    state: dict
    best: dict
    validations: dict
    rng: dict


def fit(loss, params, draw, n_steps, rng, optimizer=None, rate=1e-3, max_norm=1.0, validate=None, every=100,
        on_step=None, checkpoint=None, about=None, workers=1, ignore_id=None):
    """Train: draw a batch, differentiate, clip, step; again and again.

    loss: a function of params, the arrays of a batch, and rng (for dropout), that returns a number: the mean over
    the labels. params: nested dicts of arrays. draw: a function of rng that returns a batch, a tuple of arrays, one row
    for each example, the labels last. n_steps: how many. rng: a np.random.Generator; all randomness comes from it.
    optimizer: AdamW() if None. rate: a number, or a function of the step, 1 for the first. max_norm: see clip_by_norm.
    validate: a function of params that returns a number, the lower the better. It is called every `every` steps, and
    after the last. on_step: a function that gets a Step after every step.
    checkpoint: a file; it is written every `every` steps, and where there is one already, training goes on from it.
    about: what is trained, such as a config; it is noted in the checkpoint, and a checkpoint of another is refused.
    workers: how many threads share a batch, each with one thread for its matrix products.
    ignore_id: labels that do not count, as in the loss.
    Returns a Run; also where it is stopped by hand, or diverges: a warning says so then.
    Raises ValueError for a checkpoint that is damaged, or belongs to something else.
    """
    check_count("n_steps", n_steps)
    check_count("every", every)
    check_count("workers", workers)
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0; got {max_norm!r}")
    check_tree(params)
    optimizer = AdamW() if optimizer is None else optimizer
    losses, stopped, settings = [], "", repr((about, optimizer, max_norm, workers, ignore_id))
    now = Checkpoint(0, params, optimizer.start(params), params, {}, rng.bit_generator.state)
    if checkpoint is not None and not pathlib.Path(checkpoint).parent.is_dir():
        raise ValueError(f"checkpoint must be a file in a folder that is there; got {checkpoint}")
    if checkpoint is not None and pathlib.Path(checkpoint).exists():
        now, losses = load_checkpoint(checkpoint, now, settings)
        rng.bit_generator.state = now.rng
        warnings.warn(f"going on after step {now.step}, from {checkpoint}; to begin anew, delete it", stacklevel=2)

    def n_labels(batch):
        return int(np.count_nonzero(batch[-1] != ignore_id))

    differentiate = shared_out(value_and_grad(loss), workers, n_labels)
    try:
        while now.step < n_steps:
            step, batch = now.step + 1, tuple(map(np.asarray, draw(rng)))
            rate_now = float(rate(step) if callable(rate) else rate)
            value, params, state = training_step(differentiate, now.params, now.state, batch, optimizer, rate_now,
                                                 float(max_norm), rng)
            if not all(np.isfinite(x).all() for x in (value, *flat(params).values())):
                stopped = (f"at step {step} the loss is {float(value):.3g}, and what the step makes of the parameters "
                           "is not finite. Try a lower rate, a longer warm-up, or a lower max_norm. What comes back is "
                           "from before that step")
                break
            losses.append(float(value))
            best, validations = now.best if now.validations else params, now.validations
            due = step % every == 0 or step == n_steps
            if validate is not None and due:
                lowest = min((x for x in validations.values() if not math.isnan(x)), default=math.inf)
                validations = validations | {step: float(validate(params))}
                best = params if validations[step] <= lowest else best
            now = Checkpoint(step, params, state, best, validations, rng.bit_generator.state)
            if on_step is not None:
                on_step(Step(step, n_steps, losses[-1], rate_now, n_labels(batch), validations.get(step), params))
            if checkpoint is not None and due:
                save_checkpoint(checkpoint, now, losses, settings)
    except KeyboardInterrupt:
        stopped = f"stopped by hand after step {now.step}; what comes back is the best so far"
        if checkpoint is not None and now.step:
            save_checkpoint(checkpoint, now, losses[:now.step], settings)
    if stopped:
        warnings.warn(stopped, stacklevel=2)
    return Run(now.best, losses[:now.step], now.validations, stopped)
