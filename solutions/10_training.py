# %% [markdown]
# # 10 · Training: it learns
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/10_training.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/10_training.ipynb)
# <!-- /badges -->
#
# **The question: a gradient says which way is down. How does one get to the bottom, in minutes, and how does one know
# that it is the bottom of the right thing?**
#
# At the end you will have trained four Transformers from random numbers, each in seconds: to copy, to reverse, to shift
# a sequence, and to translate numbers that it has never seen. You will have written the step that trains nearly every
# model of today, seen what its parts are good for, and met the ways in which a low loss deceives.
#
# Four exercises, about 75 minutes. You need the gradients from [chapter 09](09_gradients.ipynb).

# %%
#| setup
# Run this cell first. It finds the course (where it is missing, as on Colab, it installs it) and opens the chapter.
import importlib.util
import pathlib
import subprocess
import sys

if importlib.util.find_spec("scratchformer_lib") is None:
    above = [folder for folder in pathlib.Path.cwd().parents if (folder / "scratchformer_lib").is_dir()]
    if above:
        sys.path.insert(0, str(above[0]))
    else:
        course = "git+https://github.com/scratchformer/scratchformer"
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", course], check=True)
        importlib.invalidate_caches()

from scratchformer_lib.course import begin, check, progress, solution

begin("10")

# %%
#| given
#| default_exp training
#| export
import functools
import math
import pathlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchformer_lib.autograd import value_and_grad
from scratchformer_lib.course import watch
from scratchformer_lib.course.figures import chapter_10 as figures
from scratchformer_lib.embeddings import Vocabulary
from scratchformer_lib.support.arguments import check_at_least_0, check_count, check_rate, check_tree
from scratchformer_lib.support.checkpoints import load_checkpoint, save_checkpoint
from scratchformer_lib.support.number_words import in_english, in_german
from scratchformer_lib.support.trees import flat, nested
from scratchformer_lib.support.workers import shared_out
from scratchformer_lib.training import cross_entropy, teacher_forcing_pair
from scratchformer_lib.transformer import Transformer, TransformerConfig, greedy_decode, init_transformer, transformer

# %% [markdown]
# ## 1. Something to learn
#
# To see whether a model has learned, take something that can be seen to be solved. Here are three tasks on letters. The
# model reads a row of letters and writes:
#
# - **copy**: the same letters;
# - **reverse**: the last letter first;
# - **shift**: the last letter, and then the others from the first on.

# %%
#| given
#| export
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

# %%
tasks = {"copy": copy_task(), "reverse": reverse_task(), "shift": shift_task()}
for name, task in tasks.items():
    src, tgt = task.draw(np.random.default_rng(3), 2)
    for source, target in zip(task.source.decode(src), task.target.decode(tgt), strict=True):
        print(f"{name:8} {source:16}  ->  {target}")

# %% [markdown]
# Letters and lengths are drawn anew for every step. Nothing comes twice, so there is nothing to learn by heart: what
# gets better can only be the rule.
#
# ## 2. Down, but how far?
#
# In chapter 09 each parameter took a step of half its slope. That half is called the **learning rate**, here *rate* for
# short. It was a lucky number on an easy slope. Look at a
# valley that is narrow one way and long the other, $f(x, y) = x^2 + 30\,y^2$. A rate that is safe for the steep
# direction is far too small for the flat one.
#
# **Momentum** (Polyak, 1964) steps along a sum of the gradients so far, in which old ones fade:
#
# $$v \leftarrow \mu\,v + dx \qquad\quad x \leftarrow x - \text{rate} \cdot v$$
#
# With $\mu = 0.9$ and a gradient that is always 1, v is 1, 1.9, 2.71, and so on up to 10: what goes the same way adds
# up. With gradients of 1 and -1 in turns it stays between -1 and 1: what goes to and fro cancels.
#
# Whatever makes new parameters of old ones and their gradients is called an **optimizer**. This one is *SGD*,
# stochastic gradient descent: *stochastic*, since each gradient comes from a few examples, drawn at random.

# %%
#| given
#| export
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

# %% [markdown]
# **Adam** (Kingma and Ba, 2015) goes further. Every single parameter gets a step of its own size: its gradient is
# divided by how large its gradients usually are. It keeps two running means for each parameter (`mean` and `square` in
# the code),
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\,dx \qquad\quad v \leftarrow \beta_2 v + (1 - \beta_2)\,dx^2$$
#
# of the gradient, which is a kind of momentum, and of its square, with $\beta_1 = 0.9$ and $\beta_2 = 0.999$. The
# step is $m / \sqrt v$, times the rate.
#
# By hand: the first gradient is 4. Both means begin at 0. So $m = 0.1 \cdot 4 = 0.4$ and $v = 0.001 \cdot 16 = 0.016$,
# and $m / \sqrt v = 0.4 / 0.126 = 3.16$. But a gradient of 4, divided by the size of a usual gradient, 4, should be 1.
# Both means are too small, since they began at 0. After t steps they hold shares of $1 - \beta_1^t$ and $1 -
# \beta_2^t$ of what they should: divide by these. $0.4 / 0.1 = 4$, $0.016 / 0.001 = 16$, and $4 / \sqrt{16} = 1$. That
# is the **bias correction**. (After a second gradient of 4, m is 0.9 · 0.4 + 0.1 · 4 = 0.76, which is 4 times 0.19, and
# 0.19 is $1 - 0.9^2$.)
#
# Two more things. $\varepsilon$, a tiny number, is added to the root, so that nobody divides by 0. And the W in
# **AdamW** (Loshchilov and Hutter, 2019) is *weight decay*: in each step every weight also shrinks by a small share of
# itself, apart from Adam's division:
#
# $$x \leftarrow x - \text{rate} \cdot \left( \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon} +
# \text{decay} \cdot x \right)$$
#
# **Exercise 10.1.** Write `adamw_step(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8,
# weight_decay=0.0)`. It takes a parameter x, its gradient dx, the two running means before this step, all of one
# shape (any, also `()`), and the number of this step, from 1 on. It returns `(x, mean, square)`, all new: the arrays
# that it was given stay as they are. The mean and square that it returns are those of the formula, without the
# correction. float32 stays float32. For x = 1, dx = 4, means of 0, step 1 and rate 0.1 it gives 0.9, 0.4 and 0.016.
# It took us four lines.

# %%
#| export
def adamw_step(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """One step of AdamW for one parameter.

    x, dx, mean, square: of one shape; the parameter, its gradient, the running means of gradients and of their squares.
    step: the number of this step, 1 for the first. rate: a Python number. betas: how much of the old means is kept.
    eps: added to the root. weight_decay: the share of x, times the rate, that goes.
    Returns (x, mean, square), new arrays.
    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015; Loshchilov and Hutter, "Decoupled
    weight decay regularization", 2019.
    """
    ### BEGIN SOLUTION
    beta_1, beta_2 = betas
    mean, square = beta_1 * mean + (1 - beta_1) * dx, beta_2 * square + (1 - beta_2) * dx * dx
    direction = mean / (1 - beta_1**step) / (np.sqrt(square / (1 - beta_2**step)) + eps)
    return x - rate * (direction + weight_decay * x), mean, square
    ### END SOLUTION

# %%
check(adamw_step)

# %%
#| given
#| export
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

# %% [markdown]
# Sixty steps on the narrow valley with each of the three, at a rate that suits it. (AdamW gets a shorter memory here
# than usual, since 60 steps are few.)

# %%
def valley(place):
    return place["x"]**2 + 30 * place["y"]**2

paths = {}
for name, optimizer, rate in (("plain", SGD(), 0.03), ("momentum", SGD(0.8), 0.03), ("AdamW", AdamW((0.8, 0.95)), 0.5)):
    place = {"x": np.array(-9.0), "y": np.array(2.0)}
    state, path = optimizer.start(place), [(-9.0, 2.0)]
    for _ in range(60):
        _, slope = value_and_grad(valley)(place)
        place, state = optimizer.step(place, slope, state, rate)
        path.append((float(place["x"]), float(place["y"])))
    paths[name] = path
    print(f"{name:9} after 60 steps: f = {valley(place):.5f}")
figures.valley_picture(paths)

# %% [markdown]
# Look at the first steps. Plain descent and momentum jump across the valley, since it is steepest that way. AdamW sets
# out with equal steps in both directions: how steep it is no longer counts. A valley of two numbers does not show what
# that is worth: a Transformer has thousands, with gradients of very different sizes in its tables, norms and matrices.
#
# ### Break it: no bias correction
#
# By hand, the first step without the correction is 3.16 times the rate instead of 1. **Predict:** is the second step
# better, or worse? Here are a thousand parameters with gradients of about 1, and noise.

# %%
rng = np.random.default_rng(0)
steps = {"with": [], "without": []}
mean = square = np.zeros(1000)
for step in range(1, 201):
    x, mean, square = adamw_step(np.zeros(1000), 1 + rng.standard_normal(1000), mean, square, step, rate=1.0)
    steps["with"].append(np.abs(x).mean())
    steps["without"].append(np.abs(mean / np.sqrt(square)).mean())
print(f"the first step, in rates: {steps['with'][0]:.2f} with, {steps['without'][0]:.2f} without")
print(f"the largest:              {max(steps['with']):.2f} with, {max(steps['without']):.2f} without")
figures.lines_picture(steps, x="step", y="size of the step, in rates")

# %% [markdown]
# Worse, at first. Both means are too small, but m catches up within some ten steps and v takes a thousand: for a
# while m is nearly what it should be, and is divided by a root that is far too small. Just at the beginning, when the
# model knows nothing and the gradients mean least, the steps would be the largest.
#
# ## 3. How large a step, and when
#
# Even so, the first steps are risky: the means rest on few gradients. And at the end, when little is left to improve,
# small steps are better. So the rate follows a **schedule**. That of the paper rises in a straight line for `warmup`
# steps, and then falls with one over the root of the step:
#
# $$\text{rate} = D^{-0.5} \cdot \min(\text{step}^{-0.5},\; \text{step} \cdot \text{warmup}^{-1.5})$$
#
# At step = warmup both are the same: there is the peak.
#
# **Exercise 10.2.** Write `noam(step, d_model, warmup)` (it is called after one of the paper's authors, Noam Shazeer).
# Steps count from 1. It returns a Python float (a NumPy float64 would turn float32 parameters into
# float64). `noam(100, 512, 4000)` gives 0.0000175, and `noam(4000, 512, 4000)` the peak, 0.0006988. It took us one
# line.

# %%
#| export
def noam(step, d_model, warmup):
    """The rate of the paper: up in a straight line for `warmup` steps, then down with the root of the step.

    step: 1 for the first. d_model: D. warmup: the step at which it is largest.
    Returns a float. Source: Vaswani et al., "Attention is all you need", 2017, section 5.3.
    """
    ### BEGIN SOLUTION
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
    ### END SOLUTION

# %%
check(noam)

# %%
#| given
#| export
def warmup_cosine(step, peak, warmup, n_steps, lowest=0.0):
    """Up in a straight line to the peak, then down along half a wave of a cosine.

    step: 1 for the first. warmup: the step of the peak. n_steps: the last step; there and after it, it is `lowest`.
    Returns a float. Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """
    if step <= warmup:
        return peak * step / warmup
    done = min(1.0, (step - warmup) / (n_steps - warmup)) if n_steps > warmup else 1.0
    return lowest + (peak - lowest) * (1 + math.cos(math.pi * done)) / 2

# %%
steps = range(1, 601)
figures.lines_picture({"noam(step, 32, 100)": [noam(step, 32, 100) for step in steps],
                       "warmup_cosine(step, 0.01, 50, 600)": [warmup_cosine(step, 0.01, 50, 600) for step in steps]},
                      x="step", y="rate")

# %% [markdown]
# ## 4. One step of training
#
# Now and then a batch has a gradient many times as long as usual, and with plain descent the step is as many times too
# long. (AdamW softens that, since it divides; but its running means keep such a gradient for a while.) **Clipping** is
# cheap: it puts a limit on the length of the gradient, as one long vector of all parameters together. Its direction
# stays.
#
# By hand: two parameters, with the gradients (3) and (4, 0). Together their length is $\sqrt{9 + 16} = 5$. With a limit
# of 1, all is multiplied by 1/5: (0.6) and (0.8, 0).
#
# **Exercise 10.3.** Write `clip_by_norm(gradients, max_norm)`. It takes nested dicts of arrays and a Python number. It
# returns gradients of the same form and dtype, whose length, over all arrays together, is at most max_norm. Where they
# are longer, all are multiplied by max_norm / length; where not (also where all are 0), they come back with the same
# values. The arrays that it was given stay as they are. `flat` makes one dict of nested ones, `nested` undoes it:
# `flat({"a": {"b": x}})` is `{"a/b": x}`. It took us four lines.
#
# <details><summary>Hint</summary>
#
# The square of the length is the sum, over all arrays, of the sums of their squares.
#
# </details>

# %%
#| export
def clip_by_norm(gradients, max_norm):
    """Shorten gradients to a length of at most max_norm, over all arrays together.

    gradients: nested dicts of arrays. max_norm: a Python number above 0.
    Returns the same form, new where they are shortened.
    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
    """
    ### BEGIN SOLUTION
    arrays = flat(gradients)
    norm = math.sqrt(sum(float(np.vdot(dx, dx)) for dx in arrays.values()))
    scale = min(1.0, max_norm / norm) if norm else 1.0
    return nested({name: scale * dx for name, dx in arrays.items()})
    ### END SOLUTION

# %%
check(clip_by_norm)

# %% [markdown]
# Everything is there now. A step of training is: differentiate the loss on a batch; clip; let the optimizer step.
#
# **Exercise 10.4.** Write `training_step(differentiate, params, state, batch, optimizer, rate, max_norm=1.0,
# rng=None)`:
#
# - `differentiate(params, *batch, rng=rng)` returns `(loss, gradients)`: it is `value_and_grad` of a loss. batch is a
#   tuple of arrays; rng is for dropout, and goes by its name.
# - `clip_by_norm(gradients, max_norm)` is yours.
# - `optimizer.step(params, gradients, state, rate)` returns `(params, state)`, both new.
#
# Return `(loss, params, state)`: the loss of this batch before the step, and what the optimizer made. It took us four
# lines.

# %%
#| export
def training_step(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    """Take one step of training.

    differentiate: a function of params, the arrays of a batch, and rng, that returns (loss, gradients).
    params: nested dicts of arrays. state: what the optimizer keeps in mind. batch: a tuple of arrays.
    optimizer: an SGD or AdamW. rate: of this step. max_norm: how long the gradients may be. rng: for dropout.
    Returns (loss, params, state): the loss before the step, and the new params and state.
    """
    ### BEGIN SOLUTION
    loss, gradients = differentiate(params, *batch, rng=rng)
    gradients = clip_by_norm(gradients, max_norm)
    params, state = optimizer.step(params, gradients, state, rate)
    return loss, params, state
    ### END SOLUTION

# %%
check(training_step)

# %% [markdown]
# And now it learns; everything from here on needs that step. A Transformer with one layer on each side, and the task of
# copying:

# %%
def small_config(task, n_layers=1, pre_norm=True):
    return TransformerConfig(len(task.source), len(task.target), d_model=32, n_heads=4, d_ff=64,
                             n_encoder_layers=n_layers, n_decoder_layers=n_layers, max_length=12, pre_norm=pre_norm,
                             dropout=0.0)

def loss_of(config):
    def loss(params, src, inputs, labels, rng=None):
        logits = transformer(params, config, src, inputs, rng)
        return cross_entropy(logits, labels, ignore_id=Vocabulary.pad_id)
    return loss

def new_rows(task, n=300, seed=1):
    return task.draw(np.random.default_rng(seed), n)

task, rng = tasks["copy"], np.random.default_rng(0)
letters_config, optimizer = small_config(task), AdamW()
copying = init_transformer(rng, letters_config)
state, differentiate = optimizer.start(copying), value_and_grad(loss_of(letters_config))
losses = []
for step in range(1, 401):
    rate = warmup_cosine(step, 0.01, 50, 400)
    loss, copying, state = training_step(differentiate, copying, state, task.batch(rng), optimizer, rate)
    losses.append(float(loss))
print(f"loss {losses[0]:.2f} -> {losses[-1]:.3f};",
      f"{exact_match(copying, letters_config, *new_rows(task)):.1%} of 300 new rows are exact")

# %% [markdown]
# That was all of it: four lines, 400 times. `exact_match` lets the model write by itself, as in chapter 08, and counts
# a row only where every letter of it is right, and the end too.
#
# ## 5. A loop that one can live with
#
# Longer trainings want more: to see how it goes, to test in between, to stop and go on. `fit` is that loop. In short:
#
# ```python
# while step < n_steps:
#     loss, params, state = training_step(differentiate, params, state, draw(rng), optimizer, rate(step), max_norm, rng)
# ```
#
# It calls your `training_step`, and around it does the following:
#
# - `on_step` is called after every step; `watch()` makes a progress bar and a picture of it;
# - every `every` steps it calls `validate(params)`, a number that should be low on data that is not trained on, and
#   keeps the best parameters;
# - the stop button (■ above) ends it (each press one `fit`); what comes back is the best so far;
# - it ends where the loss, or what a step makes of the parameters, is not finite any more, and gives back what was
#   there before that step;
# - it saves all that it takes to go on, a **checkpoint**, to a file that you name, and goes on from there when it is
#   called again;
# - `workers=2` shares each batch out among two threads.

# %%
#| given
#| export
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

# %% [markdown]
# Now *reverse* and *shift*. Watch the first; and every 25 steps we keep its parameters, for later.

# %%
kept = {}

@functools.cache
def trained(name):
    """The parameters of a model for a task of letters, trained when it is first asked for."""
    if name == "copy":
        return copying
    task, rng, show_it = tasks[name], np.random.default_rng(0), watch() if name == "reverse" else None
    start = init_transformer(rng, letters_config)

    def watch_and_keep(step):
        show_it(step)
        if step.step % 25 == 0:
            kept[step.step] = step.params

    if show_it:
        kept[0] = start
    return fit(loss_of(letters_config), start, task.batch, 500, rng, ignore_id=Vocabulary.pad_id,
               rate=lambda step: warmup_cosine(step, 0.01, 50, 500), on_step=watch_and_keep if show_it else None).params

trained("reverse")
for name, task in tasks.items():
    print(f"{name:8} {exact_match(trained(name), letters_config, *new_rows(task)):.1%} of 300 new rows are exact")

# %% [markdown]
# ## 6. Where they look
#
# The next picture shows the cross-attention of the three models, the mean over the heads, for one row: from each
# letter that is about to be written, to the letters of the source. **Predict:** for which of the three does the
# decoder have to look away from the diagonal, at another place than its own?

# %%
row = tasks["copy"].source.encode("c h a p l i n g")[None]

def wanted(name):
    """The ids that a task makes of the row, from <START> to <END>: (1, 10)."""
    places = {"copy": np.arange(8), "reverse": np.arange(7, -1, -1), "shift": np.arange(-1, 7)}[name]
    return np.concatenate([[[Vocabulary.start_id]], row[:, places], [[Vocabulary.end_id]]], axis=1)

def looked_at(params, name):
    """The cross-attention (T, S), the words of the source, and the words that are to be written."""
    record, words = {}, tasks[name].source
    transformer(params, letters_config, row, teacher_forcing_pair(wanted(name))[0], record=record)
    weights = record["decoder"]["layer_1"]["cross_attention"][0].mean(axis=0)
    return weights, words.decode(row[0]).split(), words.decode(wanted(name)[0, 1:]).split()

figures.looks_picture({name: looked_at(trained(name), name) for name in tasks})

# %% [markdown]
# The first row of each picture is the first letter that is written, and the dark square is where it was found. *Copy*
# looks along the diagonal; *reverse* along the other one; *shift* one place to the left of its own, but for the first
# letter, which it finds at the end. You know these rules; nobody told the models.
#
# Now go back through the training of *reverse*, and see how it came to be. **Predict:** what does it get right first?
# Begin at step 0.

# %%
trained("reverse")

def seen_at(step):
    weights, source, target = looked_at(kept[step], "reverse")
    written = greedy_decode(lambda src, tgt: transformer(kept[step], letters_config, src, tgt), row, 9)
    return weights, source, target, tasks["reverse"].target.decode(written[0]).split()

figures.scrub_widget(seen_at, list(kept))

# %% [markdown]
# ## 7. What a low loss may hide
#
# ### Break it: without the shift
#
# The inputs are the labels, one word later. **Predict** what happens to the loss, and to what is written, if somebody
# forgets that, and gives the decoder the very words that it should say.

# %%
def unshifted(rng):
    src, inputs, labels = tasks["copy"].batch(rng)
    return src, labels, labels

for name, draw in (("with the shift", tasks["copy"].batch), ("without it", unshifted)):
    rng = np.random.default_rng(0)
    run = fit(loss_of(letters_config), init_transformer(rng, letters_config), draw, 150, rng, rate=0.01)
    written = greedy_decode(lambda src, tgt, run=run: transformer(run.params, letters_config, src, tgt), row, 9)
    print(f"{name:15} loss {run.losses[0]:.2f} -> {run.losses[-1]:.5f};",
          f"{exact_match(run.params, letters_config, *new_rows(tasks['copy'])):.0%} exact;",
          "c h a p l i n g ->", tasks["copy"].target.decode(written[0]))

# %% [markdown]
# The loss falls much faster and lower. The answer stands in the input, at the same position, and the causal mask does
# not hide a word from itself. What it learned is to repeat what it is given; alone, it is given nothing to repeat.
#
# So a low loss is not the proof. What it writes by itself is.
#
# ### Break it: padding in the loss
#
# Rows of very different lengths make much padding. **Predict:** if padding counts in the loss like a word, is the loss
# of the same model higher or lower?

# %%
def counting_padding(params, src, inputs, labels, rng=None):
    return cross_entropy(transformer(params, letters_config, src, inputs, rng), labels)

uneven, rng = reverse_task(shortest=1, longest=10), np.random.default_rng(0)
run = fit(counting_padding, init_transformer(rng, letters_config), uneven.batch, 100, rng, rate=0.01)
batch = uneven.batch(np.random.default_rng(5))
print(f"{np.mean(batch[-1] == Vocabulary.pad_id):.0%} of the labels are padding")
print(f"trained with padding in the loss: that loss is {counting_padding(run.params, *batch):.3f},",
      f"that of the words alone {loss_of(letters_config)(run.params, *batch):.3f}")

# %% [markdown]
# It looks better, and is not: what comes after the end is always padding, which is soon learned, and then a large part
# of the mean is nearly 0. A loss says something only together with what it counts.
#
# ### Two batches
#
# **Predict:** the loss of 256 words in short rows, and that of 576 words in long ones: is their mean the loss of all
# 832 words?

# %%
trained("reverse")
sums = []
for length in (3, 8):
    src, inputs, labels = reverse_task(shortest=length, longest=length).batch(np.random.default_rng(6))
    n_words = np.count_nonzero(labels != Vocabulary.pad_id)
    sums.append((float(loss_of(letters_config)(kept[min(100, max(kept))], src, inputs, labels)), n_words))
    print(f"{n_words} words in rows of {length}, loss {sums[-1][0]:.3f}")
print(f"mean of the two: {np.mean([loss for loss, _ in sums]):.3f};",
      f"of all words: {sum(loss * n for loss, n in sums) / sum(n for _, n in sums):.3f}")

# %% [markdown]
# It is not: each word of the small batch counts more. So where `fit` shares a batch out among workers, it weights each
# share by its number of words.
#
# ### Given the right words, and alone
#
# In training every position is given the right words before it; alone, the model is given its own. **Predict:** which
# of the two makes more words right? And a model that says 95% of the words right, how many rows of up to nine words
# does it write without a mistake?

# %%
trained("reverse")
src, tgt = new_rows(tasks["reverse"])
inputs, labels = teacher_forcing_pair(tgt)
counts = labels != Vocabulary.pad_id
print("step   right words, given the right ones   right words, alone   exact rows, alone")
for step in (50, 100, 200, 500):
    params = kept[min(step, max(kept))]
    said = np.argmax(transformer(params, letters_config, src, inputs), axis=-1)
    alone = greedy_decode(lambda src, tgt, params=params: transformer(params, letters_config, src, tgt), src, 9)
    alone = np.pad(alone, ((0, 0), (0, 9 - alone.shape[1])))
    shares = [np.mean((words == labels)[counts]) for words in (said, alone)]
    print(f"{step:4}   {shares[0]:32.1%}   {shares[1]:18.1%}   {exact_match(params, letters_config, src, tgt):17.1%}")

# %% [markdown]
# Alone it says fewer words right: after its first wrong word it goes on from a beginning that it never saw in training.
# And a row is exact only if all its words are right; with 95% each, that is far from 95% of the rows.
#
# ## 8. Norm before or after, with and without a warm-up
#
# The paper puts the norm after each sum (*post-norm*); many later models put it before each part (*pre-norm*). Chapter
# 05 showed what that does to the signal. Here is what it does to training: the numbers task, four layers on each side,
# a rate of 0.01; with a warm-up of 50 steps, or the whole rate at once. **Predict** which of the four learns worst.

# %%
shuffled = np.random.default_rng(0).permutation(np.arange(1, 1000))
never_seen, numbers = shuffled[:200], numbers_task(shuffled[200:], n_rows=32)
curves = {}
for norm in ("post-norm", "pre-norm"):
    for warmup in (50, 1):
        deep, rng = small_config(numbers, n_layers=4, pre_norm=norm == "pre-norm"), np.random.default_rng(0)
        run = fit(loss_of(deep), init_transformer(rng, deep), numbers.batch, 150, rng,
                  rate=lambda step, warmup=warmup: 0.01 * min(1, step / warmup))
        name = f"{norm}, {'with' if warmup > 1 else 'without'} warm-up"
        curves[name] = run.losses
        print(f"{name:26} mean loss of the last 20 steps: {np.mean(run.losses[-20:]):.2f}")
figures.lines_picture(curves, x="step", y="loss", smooth=10)

# %% [markdown]
# At this rate post-norm needs the warm-up, and pre-norm does not. (Change the seed: it is no accident. With a lower
# rate post-norm learns without it, too.) Xiong et al. (2020) found a reason: in post-norm, at the beginning, the
# gradients of the last layers are large.
#
# ## 9. Numbers that it has never seen
#
# Now the translator of chapters 07 to 09, trained well: on 799 of the numbers from 1 to 999. The other 200 are never
# trained on. Every 100 steps `validate` measures the loss on half of them, and the parameters with the lowest are
# kept. The other half is for the end, when nothing is chosen any more. **Predict** how many of that half it
# translates without a mistake.

# %%
numbers = numbers_task(shuffled[200:])
config = small_config(numbers)

def pairs(some):
    """The ids of numbers in English and in German."""
    return (numbers.source.encode([in_english(int(n)) for n in some]),
            numbers.target.encode([f"<START> {in_german(int(n))} <END>" for n in some]))

for_choosing, for_the_end = pairs(never_seen[:100]), pairs(never_seen[100:])

def validate(params):
    src, tgt = for_choosing
    return loss_of(config)(params, src, *teacher_forcing_pair(tgt))

@functools.cache
def translator():
    rng = np.random.default_rng(0)
    return fit(loss_of(config), init_transformer(rng, config), numbers.batch, 500, rng, validate=validate,
               on_step=watch(), rate=lambda step: warmup_cosine(step, 0.01, 50, 500), ignore_id=Vocabulary.pad_id)

run = translator()

# %%
model = Transformer(config, translator().params)
written = numbers.target.decode(model.greedy_decode(for_the_end[0]))
right = [text == f"{in_german(int(n))} <END>" for n, text in zip(never_seen[100:], written, strict=True)]
print(f"{np.mean(right):.0%} of 100 numbers never seen are exact")
for i in [0, 1, 2, *(i for i in range(3, 100) if not right[i])]:
    print(f"{in_english(int(never_seen[100 + i])):28} -> {written[i]} {'' if right[i] else '(wrong)'}")

# %% [markdown]
# These are your weights. `model.save(path)` keeps them.
#
# ### Thirty numbers
#
# The same model, but it is only ever shown 30 numbers. **Predict** its loss on those, and how many of the 100 it
# translates.

# %%
few, rng = numbers_task(shuffled[200:230]), np.random.default_rng(0)
run_few = fit(loss_of(config), init_transformer(rng, config), few.batch, 300, rng,
              rate=lambda step: warmup_cosine(step, 0.01, 50, 300))
print(f"loss on the 30: {run_few.losses[-1]:.4f}; on those never seen: {validate(run_few.params):.2f}")
print(f"{exact_match(run_few.params, config, *for_the_end):.0%} of 100 numbers never seen are exact")

# %% [markdown]
# Its loss on what it was shown is near 0, and it translates few of the others: it has learned thirty answers, and
# little of the rule. That is called **overfitting**. So keep something out, always; and where you choose by it, as
# `fit` does, keep a second part out for the end.
#
# ### Stop and go on
#
# **Predict:** train for 100 steps at once; or for 60, save, and go on to 100 in another call. How far apart are the
# parameters?

# %%
file = pathlib.Path(tempfile.mkdtemp(), "numbers.npz")

def train_to(n_steps, seed, checkpoint=None):
    rng = np.random.default_rng(seed)
    return fit(loss_of(config), init_transformer(rng, config), numbers.batch, n_steps, rng, rate=0.005, every=20,
               checkpoint=checkpoint, about=config)

at_once = train_to(100, seed=0)
train_to(60, seed=0, checkpoint=file)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    gone_on = train_to(100, seed=9, checkpoint=file)        # what it begins with does not matter: the file does
print(str(said[0].message).split(",")[0], "...")
same = [np.array_equal(x, y) for x, y in zip(flat(at_once.params).values(), flat(gone_on.params).values(), strict=True)]
print(f"{sum(same)} of {len(same)} arrays are the same to the bit")

# %% [markdown]
# The file holds the parameters, what the optimizer keeps in mind, and where the random numbers had got to. So going on
# is the same training, whatever stopped it.
#
# ## 10. What you built
#
# | | what it does | returns |
# |---|---|---|
# | `adamw_step(x, dx, mean, square, step, rate, ...)` | a step of its own size for every parameter | x, mean, square |
# | `noam(step, d_model, warmup)` | up, then down | the rate |
# | `clip_by_norm(gradients, max_norm)` | one limit for all arrays together | gradients |
# | `training_step(differentiate, params, ...)` | differentiate, clip, step | loss, params, state |
#
# Given: `SGD`, `AdamW`, `warmup_cosine`, `fit`, and the tasks.
#
# ### Test yourself
#
# <details><summary>Gradients become ten times as large. What does plain descent do, and what does AdamW do?</summary>
#
# Plain descent takes steps ten times as large. AdamW divides by the usual size: its steps stay the same (as soon as
# both means have caught up).
#
# </details>
# <details><summary>Why do norms and biases not decay?</summary>
#
# Weight decay keeps matrices from growing where nothing holds them. A gamma near 1 and a bias are not that kind of
# number: to pull them to 0 changes what the layer does, and gains nothing. It is a convention.
#
# </details>
# <details><summary>The training loss falls, the validation rises. What is going on, and what would you keep?</summary>
#
# It learns the training data by heart. Keep the parameters with the lowest validation, as `fit` does; then look for
# more data, a smaller model, or dropout.
#
# </details>
#
# ### Where to read on
#
# - Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
# - Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
# - Xiong et al., "On layer normalization in the Transformer architecture", 2020.
#
# `progress()` in a new cell shows the map. [Chapter 11](11_gradients_by_hand.ipynb) derives the gradients by hand and
# makes all this faster; on the way to text, you may skip it.
