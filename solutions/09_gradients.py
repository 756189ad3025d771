# %% [markdown]
# # 09 · Gradients: the way down
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/09_gradients.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/09_gradients.ipynb)
# <!-- /badges -->
#
# **The question: a model has a million numbers. Which of them have to change, and which way?**
#
# At the end you will have the engine that finds out: it watches functions like yours at work, from softmax to the
# whole Transformer, not a line of them changed, and walks back from the loss to every number that had a part in it.
# This is *automatic differentiation*, in its *reverse mode*; people who train networks call it *backpropagation*.
#
# Seven exercises, most of them short, about 75 minutes. You need the Transformer from [chapter
# 08](08_transformer.ipynb).

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

begin("09")

# %%
#| given
#| default_exp autograd
#| export
import copy
import functools
import inspect
import itertools

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from scratchformer_lib.course.figures import chapter_09 as figures
from scratchformer_lib.embeddings import Vocabulary
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.memory import keep_memory
from scratchformer_lib.support.number_words import in_english, in_german
from scratchformer_lib.support.trees import flat, nested
from scratchformer_lib.training import cross_entropy, teacher_forcing_pair
from scratchformer_lib.transformer import TransformerConfig, greedy_decode, init_transformer, transformer

# %% [markdown]
# ## 1. By trying
#
# You stand on a slope in fog. Which way is down? Take a small step forward and one back, and compare the heights.
#
# By hand: $f(x) = x^2$ at $x = 3$. With a step of 0.1, $f(3.1) = 9.61$ and $f(2.9) = 8.41$. Between the two the height
# changes by 1.2 over 0.2: the slope is 6. If x is made a little larger, the result grows six times as much.
#
# A function of many numbers has a slope for each of them. All together, in an array of the same shape, they are its
# **gradient**.
#
# **Exercise 9.1.** Write `numerical_gradient(f, x, eps=1e-6)`. It takes a function f from an array to one number, and
# an array x of float64, of any shape. It returns an array of x's shape: for each entry, $(f(x + \varepsilon) - f(x -
# \varepsilon)) / 2\varepsilon$, where only that entry is moved. x itself is not changed. `numerical_gradient(lambda x:
# np.sum(x * x), np.array([1.0, 2.0, 3.0]))` gives `[2, 4, 6]`. It took us six lines.
#
# <details><summary>Hint</summary>
#
# `np.ndindex(x.shape)` runs through the indices of all entries. Move one in a copy.
#
# </details>

# %%
def numerical_gradient(f, x, eps=1e-6):
    """The slope of f in the direction of every entry of x, by two small steps for each.

    f: a function from an array of x's shape to a number. x: any shape, float64. eps: the size of a step.
    Returns an array of x's shape.
    """
    ### BEGIN SOLUTION
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        gradient[i] = (f(x + step) - f(x - step)) / (2 * eps)
    return gradient
    ### END SOLUTION

# %%
check(numerical_gradient)

# %% [markdown]
# This needs nothing but the function itself, and it is the judge of everything below. But it calls f twice for every
# number. **Predict:** how long would that take for the translator of chapter 08, with its 5.9 million?

# %%
import time

config = TransformerConfig(31, 33, d_model=384, n_heads=4, d_ff=768, n_encoder_layers=2, n_decoder_layers=2,
                           max_length=8)
params = init_transformer(np.random.default_rng(0), config)
n_parameters = sum(x.size for x in flat(params).values())
ids = np.random.default_rng(1).integers(4, 31, (99, 6))
start = time.perf_counter()
transformer(params, config, ids, ids)
seconds = time.perf_counter() - start
days = 2 * n_parameters * seconds / 86400
print(f"{n_parameters:,} parameters, {seconds:.2f} s for one loss: {days:.0f} days for one gradient")

# %% [markdown]
# ## 2. By hand
#
# The bigram model of chapter 02 is a table: row i holds a score for every word that may come after word i. There we
# filled it by counting. Now we let it find out by itself, by going downhill.
#
# Its loss is the mean surprise. How does it change with the scores? Take one pair: after *the* comes *cat*. Let p be
# the shares that the softmax makes of the row of *the*. The surprise is $-\log p_{\text{cat}}$. Its slope in the
# direction of one score (written with a round ∂) is
#
# $$\frac{\partial (-\log p_{\text{cat}})}{\partial \text{score}_j} = p_j - y_j$$
#
# where $y_j$ is 1 for *cat* and 0 for every other word.
#
# That is all: *what was said, minus what is true*. A word that got 30% and did not come has the slope 0.3, so its
# score must go down; the word that came had 20%, and has -0.8, so it goes up. (Where it comes from: $-\log
# p_{\text{cat}} = \log \sum_j e^{s_j} - s_{\text{cat}}$. The slope of the first part is $e^{s_j} / \sum e^s = p_j$,
# by the chain rule of section 3.)
#
# **Exercise 9.2.** Write `descend(table, inputs, labels, rate)`, one step downhill. It takes a table (n_vocab,
# n_vocab), ids of words, inputs (N,), and of the words that came after them, labels (N,). The gradient of the mean
# surprise is: for each pair, p - y, divided by N, *added* to the row of its input. It returns a new table, of the old
# one's dtype: the old one minus `rate` times that gradient. The old table is not changed. It took us five lines.
#
# <details><summary>Hint: a word that occurs twice</summary>
#
# `gradient[inputs] += d` adds once only where an id is repeated. `np.add.at(gradient, inputs, d)` adds every time.
#
# </details>

# %%
def descend(table, inputs, labels, rate):
    """Take one step down the loss of a bigram model.

    table: (n_vocab, n_vocab), scores; row i for what comes after word i.
    inputs, labels: (N,), ids: the words, and what came after each. rate: how large a step.
    Returns the new table.
    """
    ### BEGIN SOLUTION
    d = softmax(table[inputs])
    d[np.arange(len(labels)), labels] -= 1
    gradient = np.zeros_like(table)
    np.add.at(gradient, inputs, d / len(labels))
    return table - rate * gradient
    ### END SOLUTION

# %%
check(descend)

# %%
sentences = [f"<START> the {animal} {does} <END>"
             for animal in ("cat", "dog") for does in ("sat on the mat", "ran fast")]
vocabulary = Vocabulary(" ".join(sentences).split())
inputs, labels = teacher_forcing_pair(vocabulary.encode(sentences))
inputs, labels = inputs[labels != vocabulary.pad_id], labels[labels != vocabulary.pad_id]
n_vocab = len(vocabulary)

def loss(table):
    return np.mean(-log_softmax(table[inputs])[np.arange(len(labels)), labels])

table = np.zeros((n_vocab, n_vocab))
by_trying = (table - numerical_gradient(loss, table)) - descend(table, inputs, labels, rate=1.0)
print("the step agrees with one by trying, to", f"{np.abs(by_trying).max():.0e}")

losses = [loss(table)]
for _ in range(400):
    table = descend(table, inputs, labels, rate=20.0)
    losses.append(loss(table))
print(f"from {losses[0]:.3f} (ln {n_vocab} = {np.log(n_vocab):.3f}) to {losses[-1]:.3f} nats a word")
figures.falling_picture(losses, floor=0.390, name="counted, in chapter 02")

# %% [markdown]
# It learned by itself what the counts had told us: 0.390 nats a word is the best that a bigram can do on these
# sentences.
#
# One model, one derivation on paper. The Transformer has softmax in softmax, norms, products, sums over sums. Nobody
# wants to derive that whole. Nobody has to.
#
# ## 3. One rule for each operation
#
# Every function here is made of few operations: +, times, matrix product, exp, sum. If y is made of x by one of them,
# and we know how much the loss changes with y, we can say how much it changes with x. Write **dy** for the gradient of
# the loss with respect to y (same shape as y), and **dx** for x.
#
# By hand: y = a times b, with a = 3, b = 5. If a grows by 0.1, y grows by 0.5: five times as much. If y counts dy = 2
# in the loss, then a counts 2 times 5: da = dy times b = 10, and db = dy times a = 6. That is the *chain rule*: slopes
# in a row multiply.
#
# A rule gets dy, the result y, and what the operation was given. It returns one gradient for each thing that the
# operation was given, of the same shape. For $y = \log x$, the slope is $1/x$, and the rule is `lambda dy, y, x: dy /
# x`.
#
# **Exercise 9.3.** Write `multiply_gradient(dy, y, a, b)` for y = a * b, numbers or arrays. It returns `(da, db)`, of
# the shape of dy. (Where a or b was stretched by broadcasting, exercise 9.6 will bring its gradient back to its
# shape.) For dy = 2, a = 3, b = 5 it gives (10, 6). It took us one line.

# %%
#| export
def multiply_gradient(dy, y, a, b):
    """The rule of y = a * b.

    dy: the gradient of y. y, a, b: of dy's shape, or of shapes that broadcast to it.
    Returns (da, db), of dy's shape.
    """
    ### BEGIN SOLUTION
    return dy * b, dy * a
    ### END SOLUTION

# %%
check(multiply_gradient)

# %% [markdown]
# **Exercise 9.4.** Write `exp_gradient(dy, y, x)` for y = exp(x), of any shape. It returns dx alone, no tuple. The
# slope of exp is exp itself, so what you need is there already: use it, since computing it again costs as much as the
# first time. It took us one line.

# %%
#| export
def exp_gradient(dy, y, x):
    """The rule of y = exp(x).

    dy: the gradient of y. y, x: any shape.
    Returns dx, of that shape.
    """
    ### BEGIN SOLUTION
    return dy * y
    ### END SOLUTION

# %%
check(exp_gradient)

# %% [markdown]
# Now the matrix product, where nearly all the time of a Transformer goes. Y = A B, with A (T, D) and B (D, F). Entry
# (t, d) of A takes part in all entries of row t of Y, each time multiplied by an entry of row d of B. So it collects:
# $dA_{td} = \sum_f dY_{tf} B_{df}$. That is again a matrix product, $dA = dY\,B^\mathsf{T}$, and in the same way $dB =
# A^\mathsf{T} dY$.
#
# The shapes remember it for you: dA must be (T, D), and from dY (T, F) and B (D, F) there is only one way to get
# there.
#
# **Exercise 9.5.** Write `matmul_gradient(dy, y, a, b)` for y = a @ b, where a is (..., T, D), b is (..., D, F) and dy
# (..., T, F). It returns `(da, db)`, for stacks of any shape. Where a or b lacks a leading axis of dy, or has size 1
# there, its gradient keeps dy's: the next exercise sees to that. It took us one line.

# %%
#| export
def matmul_gradient(dy, y, a, b):
    """The rule of y = a @ b.

    dy: the gradient of y, (..., T, F). y: (..., T, F). a: (..., T, D). b: (..., D, F).
    Returns (da, db): (..., T, D) and (..., D, F), with the leading axes of dy.
    """
    ### BEGIN SOLUTION
    return dy @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ dy
    ### END SOLUTION

# %%
check(matmul_gradient)

# %% [markdown]
# ### What was stretched is summed
#
# A bias b of shape (F,) is added to every row of a (T, F) matrix. NumPy *broadcasts* it: it is used T times. If it
# grows a little, all T rows grow, so it collects the gradients of all T uses. The rule: **where an axis was stretched
# on the way forward, sum over it on the way back.**
#
# By hand: b = (1, 2) is added to three rows. The gradients of the rows are (1, 0), (2, 5) and (3, 0). Then db = (6,
# 5).
#
# **Exercise 9.6.** Write `unbroadcast(dx, shape)`. It takes a gradient and the shape that its array had before
# broadcasting. It returns the gradient in that shape: axes that broadcasting put in front are summed away, and axes
# that it stretched from size 1 are summed and keep the size 1. `unbroadcast(np.ones((3, 4, 5)), (4, 1))` is (4, 1),
# full of 15. It took us four lines.
#
# <details><summary>Hint</summary>
#
# `np.sum` takes a tuple of axes, and `keepdims=True` leaves them as size 1. First the axes in front, then the
# stretched ones.
#
# </details>

# %%
#| export
def unbroadcast(dx, shape):
    """Sum a gradient over the axes that broadcasting stretched.

    dx: any shape to which `shape` can be broadcast. shape: that of the array before.
    Returns an array of that shape.
    """
    ### BEGIN SOLUTION
    if dx.shape == shape:
        return dx
    dx = np.sum(dx, axis=tuple(range(dx.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return np.sum(dx, axis=stretched, keepdims=True)
    ### END SOLUTION

# %%
check(unbroadcast)

# %% [markdown]
# ### Break it: no unbroadcast
#
# **Predict.** b of shape (2,) is multiplied with three rows. What shape has b after a step downhill, if its gradient
# is not summed?

# %%
rows, b = np.ones((3, 2)), np.array([1.0, 2.0])
_, db = multiply_gradient(np.ones((3, 2)), rows * b, rows, b)
for name, gradient in (("without", db), ("with", unbroadcast(db, b.shape))):
    print(f"{name:8} b {(b - 0.1 * gradient).shape}")

# %% [markdown]
# No error: it is another model, with a b for every row.

# %% [markdown]
# ## 4. The tape
#
# Rules for single steps are not enough; somebody has to know which steps were taken. So while your function runs
# forward, we write down each operation on a **tape**: its rule, where its inputs came from, and where its outputs
# went. Every value gets a number, its *slot*.
#
# For $y = x \cdot x + x$:
#
# | step | operation | inputs | output |
# |---|---|---|---|
# | 1 | multiply | slots 0, 0 | slot 1 |
# | 2 | add | slots 1, 0 | slot 2 |
#
# Walk back from the end. The result counts 1 in itself: gradient of slot 2 = 1. Step 2 hands 1 to slot 1 and 1 to
# slot 0. Step 1 gets the 1 of slot 1 and hands 1 times x to slot 0, and once more 1 times x. **Predict** what slot 0
# has in the end, for x = 3. All that arrives there is *added*.
#
# <details><summary>Answer</summary>
#
# 1 + 3 + 3 = 7. (And by the formula: $2x + 1 = 7$.)
#
# </details>
#
# **Exercise 9.7.** Write `backward(tape, gradients)`. The tape is a list of steps, `(name, rule, inputs, outputs)`:
# inputs and outputs are lists of slots. `gradients` is a dict from slots to gradients; at first it has that of the
# result alone. Take the steps from the end with `tape.pop()`, so that what a step had kept can be freed as soon as it
# is done; in the end the tape is empty. For each step:
#
# - Take the gradients of its outputs out of the dict, None for an output that has none: `gradients.pop(slot, None)`.
# - If all of them are None, nothing that matters came out of this step: go on with the next one.
# - Otherwise `rule(*dys)` gives a list, one gradient for each input. An input whose slot is None, or whose gradient is
#   None, is not of interest. For the others, put the gradient into the dict; *add* it where there is one already
#   (without `+=`, which would change an array that others may hold).
#
# It returns the dict, in which the gradients of what no step has made are left. It took us nine lines.

# %%
#| export
def backward(tape, gradients):
    """Walk a tape from its end to its beginning, and hand the gradients on from outputs to inputs.

    tape: a list of steps (name, rule, slots of the inputs, slots of the outputs). It is emptied.
    gradients: a dict from slots to gradients, of the result to begin with.
    Returns the dict, with the gradients of what no step has made.
    """
    ### BEGIN SOLUTION
    while tape:
        name, rule, inputs, outputs = tape.pop()
        dys = [gradients.pop(slot, None) for slot in outputs]
        if all(dy is None for dy in dys):
            continue
        for slot, dx in zip(inputs, rule(*dys), strict=True):
            if slot is not None and dx is not None:
                gradients[slot] = gradients[slot] + dx if slot in gradients else dx
    return gradients
    ### END SOLUTION

# %%
check(backward)

# %% [markdown]
# ### Who writes the tape?
#
# Your functions do, without knowing it. They are given stand-ins instead of arrays. A stand-in, `Tracked`, holds an
# array, and NumPy asks it what to do: for `x + y`, `np.exp(x)` and the like it calls `x.__array_ufunc__`, for
# `np.sum(x)` and the like `x.__array_function__`. Both lead to `record`: compute with the plain arrays, and write the
# step down. These two doors are part of NumPy, for anyone who wants to be treated as an array.
#
# `x += y` is followed, too, as a new x. (What was taken of the old one before, such as `x[0]` or `x.T`, keeps its
# numbers; and a plain array must not be changed once it was used. The engine cannot notice either.) What a stand-in
# cannot follow, it refuses in words: where numbers are written *into* an array (`x[0] = ...`, `out=`), or taken out
# of NumPy (`np.asarray`, `float`), the trace would be lost, and the gradient silently wrong.

# %%
#| given
#| export
RULES = {}              # NumPy function -> rule(dy, y, *args, **options): a gradient for each argument
BY_OTHERS = {}          # NumPy function -> the same, written with functions that have a rule


class CannotDifferentiate(TypeError):
    """What was done with a tracked array would lose its gradient."""


def refuse(what, instead):
    raise CannotDifferentiate(f"{what} cannot be differentiated; {instead}")


def gradient_of(*functions):
    """Register the rule of NumPy functions, as a decorator.

    The rule is called as rule(dy, y, *args, **options) and returns a gradient for each argument, None where there is
    none; where there is one argument, its gradient alone. Broadcasting need not be undone.
    """
    def register(rule):
        RULES.update(dict.fromkeys(functions, rule))
        return rule
    return register


class Tape(list):
    """What was computed, in order: steps of (name, rule, slots of the inputs, slots of the outputs)."""

    def __init__(self, by_hand=True):
        super().__init__()
        self.by_hand, self.slots = by_hand, itertools.count()

    def track(self, value):
        """Give a value the next slot."""
        return Tracked(value, self, next(self.slots))

    def write(self, name, rule, inputs, outputs):
        """Write a step down, and return its outputs, tracked."""
        tracked = [x for x in inputs if isinstance(x, Tracked)]
        if any(x.tape is not self for x in tracked):
            refuse(f"{name} of what belongs to two runs", "give what one of them needs of the other as plain arrays")
        if any(y.dtype.kind != "f" for y in outputs):
            refuse(f"{name}, which makes {outputs[0].dtype} of it,", "use comparisons and np.where")
        if name != "astype" and any(y.dtype == np.float64 for y in outputs):
            if all(x.dtype != np.float64 for x in tracked):
                refuse(f"float32 that {name} turned into float64", "look for an argument that is float64: np.sqrt(64) "
                       "and np.ones(3) are, math.sqrt(64) and np.ones(3, np.float32) are not")
        wanted = [(x.slot, x.shape, x.dtype) if isinstance(x, Tracked) else None for x in inputs]

        def checked(*dys):
            dxs = rule(*dys)
            dxs = list(dxs) if isinstance(dxs, (list, tuple)) else [dxs]
            dxs += [None] * (len(wanted) - len(dxs))
            return [shaped(name, dx, *x[1:]) if x else None for x, dx in zip(wanted, dxs, strict=True)]

        outputs = [self.track(y) for y in outputs]
        self.append((name, checked, [x and x[0] for x in wanted], [y.slot for y in outputs]))
        return outputs


def shaped(name, dx, shape, dtype):
    """What a rule gave for an argument, as its gradient has to be."""
    if dx is None:
        refuse(f"one of the arguments of {name}", "its rule has no gradient for it, or gave too few gradients")
    dx = unbroadcast(dx, shape).astype(dtype, copy=False)
    if dx.shape != shape:
        raise ValueError(f"the rule of {name} must give a gradient of shape {shape}; got {dx.shape}")
    return dx


class Tracked(NDArrayOperatorsMixin):
    """Stands in for an array, and has what is done with it written down on a tape."""
    __slots__ = ("value", "tape", "slot")
    __hash__ = object.__hash__

    def __init__(self, value, tape, slot):
        self.value, self.tape, self.slot = value, tape, slot

    def __array_ufunc__(self, ufunc, method, *args, out=None, **options):
        if out is not None:
            refuse(f"np.{ufunc.__name__} with out=", "leave out= away")
        if method != "__call__":
            refuse(f"np.{ufunc.__name__}.{method}", "use a function such as np.sum")
        return record(ufunc, args, options)

    def __array_function__(self, function, types, args, options):
        return record(function, args, options)

    def __array__(self, *_, **__):
        refuse("writing into an array, np.array and np.asarray", "use np.where, np.stack, or leave them away")

    def __setitem__(self, index, value):
        refuse("item assignment", "use np.where or np.concatenate")

    def __bool__(self):
        refuse("if, and, or, not of an array", "use np.where")

    def __float__(self):
        refuse("float, int, item, or a function of math", "stay with NumPy's")

    __int__ = __index__ = item = __float__

    def __getitem__(self, index):
        return record(getitem, (self, index), {})

    def __len__(self):
        return len(self.value)

    def __copy__(self):
        return Tracked(self.value, self.tape, self.slot)

    def __deepcopy__(self, memo):
        return self.copy()

    def __repr__(self):
        return f"Tracked({self.value!r})"

    def __format__(self, form):
        return format(self.value, form)

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: self.value.dtype)
    size = property(lambda self: self.value.size)
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.swapaxes(self, -1, -2))

    def reshape(self, *shape):
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        return np.transpose(self, (axes[0] if len(axes) == 1 else axes) or None)

    def clip(self, low=None, high=None):
        return np.clip(self, low, high)

    def astype(self, dtype, copy=True):
        return record(astype, (self, dtype), {})

    def copy(self):
        return Tracked(self.value.copy(), self.tape, self.slot)


def method(name):
    return lambda self, *args, **options: getattr(np, name)(self, *args, **options)


def in_place(operator):
    """x += y makes a new array, and x stands for it from now on, under all its names."""
    def change(self, other):
        if not isinstance(self.value, np.ndarray):      # a number is never changed, only its name
            return operator(self, other)
        if self.value.base is not None:
            refuse("an operator such as += on a part or another form of an array", "write x = x + y")
        new = operator(self, other)
        if new.shape != self.shape:
            raise ValueError(f"an array of shape {self.shape} cannot become {new.shape} in place")
        self.value, self.slot = new.value, new.slot
        return self
    return change


for name in "sum mean var std max min dot swapaxes squeeze take repeat ravel cumsum argmax argmin".split():
    setattr(Tracked, name, method(name))
Tracked.flatten = Tracked.ravel
for sign in "add sub mul truediv pow matmul".split():
    setattr(Tracked, f"__i{sign}__", in_place(getattr(Tracked, f"__{sign}__")))


def plain(x):
    """The array itself, without its stand-in."""
    return x.value if isinstance(x, Tracked) else x


def holds(x):
    """Whether there is a stand-in in a list, tuple or dict."""
    parts = x.values() if type(x) is dict else x if type(x) in (list, tuple) else ()
    return any(isinstance(part, Tracked) or holds(part) for part in parts)


@functools.cache
def takes(rule, n_args, names):
    """Whether a rule can be called with so many arguments and options of these names."""
    try:
        inspect.signature(rule).bind(*range(n_args), **dict.fromkeys(names))
    except TypeError:
        return False
    return True


def record(function, args, options):
    """Call a NumPy function on the plain arrays, and write down how to get back."""
    name = function.__name__
    if function in CONSTANT:
        if any(isinstance(x, Tracked) for x in options.values()):
            refuse(f"np.{name} with a tracked option", "give it in its place")
        return function(*map(plain, args), **options)
    if function not in BY_OTHERS and function not in RULES:
        refuse(f"np.{name}", "write it with other functions")
    if "out" in options:
        refuse(f"np.{name} with out=", "leave out= away")
    rule, n_more = (BY_OTHERS[function], 0) if function in BY_OTHERS else (RULES[function], 2)
    if not takes(rule, len(args) + n_more, tuple(options)):
        refuse(f"np.{name} with these options", "write it with other functions")
    if function in BY_OTHERS:
        return rule(*args, **options)
    inputs = args
    if function is np.concatenate:
        inputs = [*args[0]]
        args = (inputs, *args[1:])
    values = [[plain(part) for part in x] if x is inputs else plain(x) for x in args]
    if any(isinstance(x, Tracked) for x in options.values()) or any(map(holds, values)):
        refuse(f"np.{name} with a list or an option that is tracked", "use np.stack, and arguments in their places")
    y = function(*values, **options)
    tape = next(x.tape for x in inputs if isinstance(x, Tracked))
    kept = [None] * (1 + len(values)) if function in DY_ALONE else [y, *values]
    return tape.write(name, lambda dy: rule(dy, *kept, **options), inputs, [y])[0]

# %% [markdown]
# What is left is a table of rules, one line for most. Yours are in it. The two folded cells have them all; open the
# first and read a few.

# %%
#| given
#| export
DY_ALONE = {np.add, np.subtract, np.negative, np.broadcast_to}      # their rules need dy alone; the rest is not kept
CONSTANT = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.isfinite, np.isnan,
            np.isinf, np.sign, np.argmax, np.argmin, np.argsort, np.any, np.all, np.shape, np.ndim, np.size,
            np.zeros_like, np.ones_like}               # steps, whose slope is 0, and questions about shapes


def getitem(x, index):
    return x[index]


def astype(x, dtype):
    return x.astype(dtype)


RULES.update({
    np.add: lambda dy, y, a, b: (dy, dy),
    np.subtract: lambda dy, y, a, b: (dy, -dy),
    np.multiply: multiply_gradient,
    np.divide: lambda dy, y, a, b: (dy / b, -dy * y / b),
    np.negative: lambda dy, y, x: -dy,
    np.exp: exp_gradient,
    np.log: lambda dy, y, x: dy / x,
    np.sqrt: lambda dy, y, x: dy / (2 * y),
    np.tanh: lambda dy, y, x: dy * (1 - y * y),
    np.sin: lambda dy, y, x: dy * np.cos(x),
    np.cos: lambda dy, y, x: -dy * np.sin(x),
    np.absolute: lambda dy, y, x: dy * np.sign(x),
    np.power: lambda dy, y, x, n: (dy * n * x ** (n - (n != 0)), None),
    np.maximum: lambda dy, y, a, b: (dy * (a > b), dy * (a <= b)),
    np.minimum: lambda dy, y, a, b: (dy * (a < b), dy * (a >= b)),
    np.logaddexp: lambda dy, y, a, b: (dy * np.exp(a - y), dy * np.exp(b - y)),
    np.where: lambda dy, y, yes, a, b: (None, np.where(yes, dy, 0), np.where(yes, 0, dy)),
    np.clip: lambda dy, y, x, a_min=None, a_max=None: dy * (x == y),
    np.reshape: lambda dy, y, x, shape: np.reshape(dy, x.shape),
    np.ravel: lambda dy, y, x: np.reshape(dy, x.shape),
    np.squeeze: lambda dy, y, x, axis=None: np.reshape(dy, x.shape),
    np.expand_dims: lambda dy, y, x, axis=None: np.reshape(dy, x.shape),
    np.swapaxes: lambda dy, y, x, a, b: np.swapaxes(dy, a, b),
    np.moveaxis: lambda dy, y, x, source, destination: np.moveaxis(dy, destination, source),
    np.broadcast_to: lambda dy, y, x, shape: dy,
    np.flip: lambda dy, y, x, axis=None: np.flip(dy, axis),
    np.roll: lambda dy, y, x, shift, axis=None: np.roll(dy, np.negative(shift), axis),
    np.tril: lambda dy, y, x, k=0: np.tril(dy, k),
    np.triu: lambda dy, y, x, k=0: np.triu(dy, k),
    astype: lambda dy, y, x, dtype: dy.astype(x.dtype),
})

# %%
#| given
#| export
def put_back(y, axis, keepdims):
    """Put the axes that a sum has removed back, as axes of size 1."""
    return y if keepdims or axis is None else np.expand_dims(y, axis)


@gradient_of(np.matmul)
def product_gradient(dy, y, a, b):
    """As matmul_gradient, for vectors too: they are matrices of one row or one column."""
    a, b = np.asarray(a), np.asarray(b)
    A, B = np.atleast_2d(a), b if b.ndim > 1 else b[:, None]
    dy = dy if b.ndim > 1 else np.expand_dims(dy, -1)
    dA, dB = matmul_gradient(dy if a.ndim > 1 else np.expand_dims(dy, -2), y, A, B)
    return unbroadcast(dA, A.shape).reshape(a.shape), unbroadcast(dB, B.shape).reshape(b.shape)


@gradient_of(np.sum)
def sum_gradient(dy, y, x, axis=None, dtype=None, *, keepdims=False):
    return np.broadcast_to(put_back(dy, axis, keepdims), x.shape)


@gradient_of(np.mean)
def mean_gradient(dy, y, x, axis=None, *, keepdims=False):
    return np.broadcast_to(put_back(dy, axis, keepdims) * (np.size(y) / x.size), x.shape)


@gradient_of(np.var)
def var_gradient(dy, y, x, axis=None, *, keepdims=False, ddof=0):
    centered = x - np.mean(x, axis, keepdims=True)
    return put_back(dy, axis, keepdims) * centered * (2 / (x.size // np.size(y) - ddof))


@gradient_of(np.max, np.min, np.amax, np.amin)
def max_gradient(dy, y, x, axis=None, *, keepdims=False):
    best = x == put_back(y, axis, keepdims)             # equal ones share the gradient
    return put_back(dy, axis, keepdims) * best / np.sum(best, axis, keepdims=True, dtype=x.dtype)


@gradient_of(np.cumsum)
def cumsum_gradient(dy, y, x, axis=None):
    return np.flip(np.cumsum(np.flip(dy, axis), axis), axis).reshape(x.shape)


@gradient_of(np.transpose)
def transpose_gradient(dy, y, x, axes=None):
    return np.transpose(dy, None if axes is None else np.argsort([axis % x.ndim for axis in axes]))


@gradient_of(np.concatenate)
def concatenate_gradient(dy, y, parts, axis=0):
    return np.split(dy, np.cumsum([np.shape(part)[axis] for part in parts])[:-1], axis)


@gradient_of(getitem)
def getitem_gradient(dy, y, x, index):
    dx = np.zeros_like(x)
    if any(isinstance(i, (list, tuple, range, np.ndarray)) for i in (index if isinstance(index, tuple) else (index,))):
        np.add.at(dx, index, dy)                        # what was taken twice counts twice
    else:
        dx[index] = dy
    return dx


@gradient_of(np.take_along_axis)
def take_along_axis_gradient(dy, y, x, indices, axis=-1):
    dx, place = np.zeros_like(x), list(np.ogrid[tuple(map(slice, indices.shape))])
    place[axis] = indices
    np.add.at(dx, tuple(place), dy)
    return dx


@gradient_of(np.einsum)
def einsum_gradient(dy, y, subscripts, *operands, optimize=False):
    if not isinstance(subscripts, str) or any(
            term.count(letter) > 1 for term in subscripts.partition("->")[0].split(",")
            for letter in term if letter.isalpha()):
        refuse("np.einsum of a diagonal, or without letters", "write it with other functions")
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:                                       # then the letters that occur once are left
        once = sorted(letter for letter in set(inputs) - set(",.") if inputs.count(letter) == 1)
        output = "..." * ("..." in inputs) + "".join(once)

    def gradient(i):                                    # as many ones as x has, so that no letter is missing
        others, ones = [*operands[:i], *operands[i + 1:]], np.ones_like(operands[i])
        letters = ",".join([output, *terms[:i], *terms[i + 1:], terms[i]])
        return np.einsum(f"{letters}->{terms[i]}", dy, *others, ones, optimize=True)
    return None, *map(gradient, range(len(terms)))


def split(x, parts, axis=0):
    places = np.split(np.arange(x.shape[axis]), parts, axis=0)
    return [x[(slice(None),) * (axis % x.ndim) + (slice(p[0], p[-1] + 1) if len(p) else slice(0),)] for p in places]


def array_split(x, parts, axis=0):
    if np.ndim(parts):
        return split(x, parts, axis)
    places = np.array_split(np.arange(x.shape[axis]), parts)
    return split(x, np.cumsum([len(place) for place in places])[:-1], axis)


def dot(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(b) < 3:
        return a @ b
    rows = np.reshape(np.moveaxis(b, -2, 0), (b.shape[-2], -1))
    return np.reshape(a @ rows, (*np.shape(a)[:-1], *b.shape[:-2], b.shape[-1]))


def take(x, indices, axis=None):
    indices = np.asarray(indices)
    return np.ravel(x)[indices] if axis is None else x[(slice(None),) * (axis % x.ndim) + (indices,)]


def repeat(x, repeats, axis=None):
    n = x.size if axis is None else x.shape[axis]
    return take(x, np.repeat(np.arange(n), repeats), axis)


BY_OTHERS.update({
    np.square: lambda x: x * x,
    np.dot: dot,
    np.vecdot: lambda a, b, axis=-1: np.sum(a * b, axis=axis),
    np.outer: lambda a, b: np.ravel(a)[:, None] * np.ravel(b),
    np.std: lambda x, axis=None, *, keepdims=False, ddof=0: np.sqrt(np.var(x, axis, keepdims=keepdims, ddof=ddof)),
    np.linalg.norm: lambda x, *, axis=None, keepdims=False: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
    np.stack: lambda parts, axis=0: np.concatenate([np.expand_dims(part, axis) for part in parts], axis),
    np.hstack: lambda parts: np.concatenate(parts, axis=min(parts[0].ndim - 1, 1)),
    np.vstack: lambda parts: np.concatenate(
        [part if np.ndim(part) > 1 else np.reshape(part, (1, -1)) for part in parts]),
    np.split: split, np.array_split: array_split, np.take: take, np.repeat: repeat,
    np.matrix_transpose: lambda x: np.swapaxes(x, -1, -2),
    np.copy: lambda x: x.copy(), np.positive: lambda x: x.copy(),
    np.full_like: lambda x, value: np.zeros_like(x) + value,
})

# %% [markdown]
# And this is what all of it is for: a function of parameters becomes a function that returns the loss *and* its
# gradient, in a tree like that of the parameters.

# %%
#| export
def tree_map(f, tree):
    """Apply f to every array of nested dicts and lists. Returns a tree of the same form."""
    if isinstance(tree, dict):
        return {name: tree_map(f, part) for name, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(tree_map(f, part) for part in tree)
    return f(tree)


def value_and_grad(f, by_hand=True):
    """Make a function that returns what f returns, and the gradient of it.

    f: a function of params (nested dicts of arrays) and of anything else, that returns one number.
    by_hand: use the rules that were derived by hand, which chapter 11 adds.
    Returns run(params, ...), which returns (value, gradients): gradients has the form of params.
    Raises CannotDifferentiate, a TypeError, where f does something that has no gradient here.
    """
    def run(params, *args, **options):
        tape = Tape(by_hand)

        def track(x):
            if getattr(getattr(x, "dtype", None), "kind", None) != "f":
                got = getattr(x, "dtype", type(x).__name__)
                raise ValueError(f"params must be arrays of float32 or float64; got {got}")
            return tape.track(x)

        tracked = tree_map(track, params)
        loss = f(tree_map(copy.copy, tracked), *args, **options)     # f may put other things into its dicts
        if not isinstance(loss, Tracked) or loss.tape is not tape:
            raise ValueError(f"f must return a number that depends on params; got {type(loss).__name__}")
        if loss.shape != ():
            raise ValueError(f"f must return one number, of shape (); got {loss.shape}")
        keep_memory()
        gradients = backward(tape, {loss.slot: np.ones_like(loss.value)})

        def gradient(x):
            return gradients[x.slot].copy() if x.slot in gradients else np.zeros_like(x.value)

        return loss.value, tree_map(gradient, tracked)
    return run

# %%
value, gradient = value_and_grad(lambda x: x * x + x)(np.float64(3.0))
print("x * x + x at 3 is", value, "and its slope", gradient)

# %% [markdown]
# And this is how it refuses:

# %%
def write_into(x):
    x[0] = 1.0
    return np.sum(x)

refused = {"x[0] = 1.0": write_into, "float(x)": lambda x: float(x[0]), "np.asarray": lambda x: np.sum(np.asarray(x)),
           "np.sqrt(64), float32": lambda x: np.sum(x / np.sqrt(64))}
for name, f in refused.items():
    try:
        value_and_grad(f)(np.ones(3, np.float32))
    except CannotDifferentiate as error:
        print(f"{name:22} {str(error)[:88]} ...")

# %% [markdown]
# Click through the walk back. Each click gives your `backward` one step of the tape.

# %%
class Watched(Tape):
    """A tape that remembers the values, for the picture."""
    def __init__(self):
        super().__init__()
        self.values = {}

    def track(self, value):
        self.values[len(self.values)] = value
        return super().track(value)

tape = Watched()
a, b, c = (tape.track(np.float64(x)) for x in (0.5, -1.0, 2.0))
result = np.tanh((a * b + c) * a) + np.exp(b) * c
figures.tape_widget(tape, {"a": a.slot, "b": b.slot, "c": c.slot}, tape.values, result.slot, backward)

# %% [markdown]
# ### Break it: overwrite instead of add
#
# **Predict** the slope of $x \cdot x + x$ at 3 if each gradient that arrives replaces the one before.

# %%
def overwriting(tape, gradients):
    while tape:
        name, rule, inputs, outputs = tape.pop()
        for slot, dx in zip(inputs, rule(*(gradients.pop(slot) for slot in outputs)), strict=True):
            gradients[slot] = dx
    return gradients

for walk in (backward, overwriting):
    tape = Tape()
    x = tape.track(np.float64(3.0))
    y = x * x + x
    print(f"{walk.__name__:12} {walk(tape, {y.slot: np.float64(1.0)})[x.slot]}")

# %% [markdown]
# A value that is used in several places loses all but one of its effects. In a Transformer that is common: every
# residual connection uses x twice.
#
# ## 5. The whole Transformer
#
# Now the model of chapter 08. Nothing in it was written with gradients in mind. **Predict:** how many times as long as
# the loss alone does the loss *with* all its gradients take? (By trying, it was two times for each number.)

# %%
small = TransformerConfig(31, 33, d_model=64, n_heads=4, d_ff=128, n_encoder_layers=2, n_decoder_layers=2,
                          max_length=12)
params = init_transformer(np.random.default_rng(0), small)
rng = np.random.default_rng(1)
src, tgt = rng.integers(4, 31, (64, 8)), rng.integers(4, 33, (64, 10))
src[5:9, 4:] = tgt[5:9, 6:] = Vocabulary.pad_id

def translation_loss(params):
    inputs, labels = teacher_forcing_pair(tgt)
    return cross_entropy(transformer(params, small, src, inputs), labels, Vocabulary.pad_id)

def best_time(f, n=5):
    times = []
    for _ in range(n):
        start = time.perf_counter()
        f(params)
        times.append(time.perf_counter() - start)
    return min(times)

alone, with_gradients = best_time(translation_loss), best_time(value_and_grad(translation_loss))
n_parameters = sum(x.size for x in flat(params).values())
print(f"{n_parameters:,} gradients in {with_gradients / alone:.1f} times the time of the loss alone")

# %% [markdown]
# A few times, however many numbers there are. Each matrix product has two on the way back, that makes three; the rest
# are the rules of all the other operations, and the sums where gradients meet. This is why models can have billions
# of parameters.
#
# Are they right? `check_gradients` compares with small steps, for some entries of every array, in float64, and says
# how large the difference is next to the array's largest gradient.

# %%
#| export
def check_gradients(f, params, n_entries=5, eps=1e-6, rng=None, by_hand=True):
    """Compare the gradients of f with small steps, for some entries of every array.

    f: a function of params that returns one number. params: nested dicts of arrays; they are copied to float64.
    n_entries: how many entries of each array are tried. eps: the size of a step. rng: a np.random.Generator.
    by_hand: as in value_and_grad.
    Returns a dict from each array's name, such as "encoder/layer_1/norm_1/gamma", to its relative error: the largest
    difference, divided by the array's largest gradient. The worst comes first.
    """
    rng = rng or np.random.default_rng(0)
    params = tree_map(lambda x: np.array(x, dtype=np.float64), params)
    gradients, errors = flat(value_and_grad(f, by_hand)(params)[1]), {}
    for name, x in flat(params).items():
        differences = []
        for i in rng.choice(x.size, min(n_entries, x.size), replace=False):
            place = np.unravel_index(i, x.shape)
            kept, heights = x[place], []
            for moved in (kept + eps, kept - eps):
                x[place] = moved
                heights.append(f(params))
            x[place] = kept
            differences.append(abs((heights[0] - heights[1]) / (2 * eps) - gradients[name][place]))
        errors[name] = float(np.max(differences) / max(np.abs(gradients[name]).max(), 1e-8))
    return dict(sorted(errors.items(), key=lambda item: -np.nan_to_num(item[1], nan=np.inf)))

# %%
tiny = TransformerConfig(31, 33, d_model=8, n_heads=2, d_ff=12, n_encoder_layers=1, n_decoder_layers=1, max_length=12,
                         activation="gelu")

def tiny_loss(params):
    inputs, labels = teacher_forcing_pair(tgt[4:7])
    return cross_entropy(transformer(params, tiny, src[4:7], inputs), labels, Vocabulary.pad_id)

errors = check_gradients(tiny_loss, init_transformer(np.random.default_rng(0), tiny))
print(len(errors), "arrays; the three with the largest relative errors:")
for name in list(errors)[:3]:
    print(f"{errors[name]:.0e}  {name}")

# %% [markdown]
# Is the *model* right, then? **Predict:** does attention without the root of d_k pass?

# %%
def wrong_attention(params):
    q, k, v = params["q"], params["k"], params["v"]
    return np.sum(np.sin(softmax(q @ np.swapaxes(k, -1, -2)) @ v))

shapes = {"q": (2, 5, 8), "k": (2, 6, 8), "v": (2, 6, 3)}
print(check_gradients(wrong_attention, {name: rng.standard_normal(shape) for name, shape in shapes.items()}))

# %% [markdown]
# It does. The gradients belong to the function, whatever the function is. Whether it is the right one, other tests
# have to say. (Ours compare every part with PyTorch.)
#
# ### What it costs: memory
#
# On the way back the rules need what the forward pass computed, so all of it is kept: that is most of what training
# needs in memory. Your `backward` takes the steps off the tape one by one, and with each step goes what it had kept.

# %%
import tracemalloc

tracemalloc.start()
tape = Tape()
loss = translation_loss(tree_map(tape.track, params))
gradients, n_steps = {loss.slot: np.ones_like(loss.value)}, len(tape)
print(f"{n_steps} steps on the tape hold {tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB")
tracemalloc.reset_peak()
for share in (0.75, 0.5, 0.25, 0):
    while len(tape) > share * n_steps:
        gradients = backward([tape.pop()], gradients)
    print(f"{share:4.0%} of them left: {tracemalloc.get_traced_memory()[0] / 1e6:.1f} MB")
print(f"at most, on the way back: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB")
tracemalloc.stop()

# %% [markdown]
# Each step takes with it what it had kept. What is left at the end are the gradients themselves.

# %% [markdown]
# ### Downhill
#
# A gradient is not yet learning. Learning is what one does with it: take a step, and again. In chapter 10 that is done
# well. Here is the plainest way, on the numbers of chapter 08: from random weights, every parameter takes steps of
# half its slope. Twenty numbers of two digits are kept out again. **Predict** how many of them it will translate after
# 150 steps.

# %%
english = Vocabulary(" ".join(in_english(n) for n in range(1, 100)).split())
german = Vocabulary(" ".join(in_german(n) for n in range(1, 100)).split())
src = english.encode([in_english(n) for n in range(1, 100)])
tgt = german.encode([f"<START> {in_german(n)} <END>" for n in range(1, 100)])
numbers = np.arange(1, 100)
kept_out = np.isin(numbers, np.random.default_rng(0).permutation(numbers[(numbers > 20) & (numbers % 10 > 0)])[:20])

small = TransformerConfig(len(english), len(german), d_model=32, n_heads=4, d_ff=64, n_encoder_layers=1,
                          n_decoder_layers=1, max_length=8, pre_norm=True)

def numbers_loss(params, rows):
    inputs, labels = teacher_forcing_pair(tgt[rows])
    return cross_entropy(transformer(params, small, src[rows], inputs), labels, Vocabulary.pad_id)

params, losses = init_transformer(np.random.default_rng(1), small), []
for _ in range(150):
    loss, gradients = value_and_grad(numbers_loss)(params, ~kept_out)
    slopes = flat(gradients)
    params = nested({name: x - 0.5 * slopes[name] for name, x in flat(params).items()})
    losses.append(float(loss))
losses.append(float(numbers_loss(params, ~kept_out)))

written = german.decode(greedy_decode(lambda src, tgt: transformer(params, small, src, tgt), src, 8))
right = np.array([text == f"{in_german(int(n))} <END>" for n, text in zip(numbers, written, strict=True)])
print(f"seen: {right[~kept_out].sum()} of 79 right; never seen: {right[kept_out].sum()} of 20")
print(in_english(64), "->", written[63])
figures.falling_picture(losses, floor=0.0, name="no surprise")

# %% [markdown]
# A translator, trained from nothing. The rules and the walk are yours; with `begin("09", mine=True)` in the first
# cell, so are the functions that they went through.

# %% [markdown]
# ## 6. What you built
#
# | | what it does | returns |
# |---|---|---|
# | `numerical_gradient(f, x)` | slopes by trying | x's shape |
# | `descend(table, inputs, labels, rate)` | p - y, one step | a new table |
# | `multiply_gradient`, `exp_gradient`, `matmul_gradient` | one rule each | a gradient for each argument |
# | `unbroadcast(dx, shape)` | what was stretched is summed | that shape |
# | `backward(tape, gradients)` | from the result back to the beginning | gradients by slot |
# | `value_and_grad(f)` | all of it together | value, gradients |
#
# ### Test yourself
#
# <details><summary>Is this the same as small steps, only faster?</summary>
#
# No. It computes the slopes exactly, up to rounding, by the rules of calculus, and with no step size. Nor does it
# produce a formula for the gradient, as algebra programs do: it computes numbers, for the numbers that went in.
#
# </details>
# <details><summary>Why backwards? One could go forward, from each parameter to the loss.</summary>
#
# One could, once for each parameter. There are millions of parameters and one loss; backwards, all of them come out of
# one walk.
#
# </details>
# <details><summary>A weight is used in two layers (a tied table). What is its gradient?</summary>
#
# The sum of the gradients of its two uses.
#
# </details>
#
# ### Where to read on
#
# - Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.
# - Baydin et al., "Automatic differentiation in machine learning: a survey", 2018.
# - NumPy enhancement proposals 13 and 18: the two doors, `__array_ufunc__` and `__array_function__`.
#
# `progress()` in a new cell shows the map. Next comes [chapter 10](10_training.ipynb): training.

# %%
#| export-only
class differentiable:
    """A function that may have a gradient derived by hand, which is used in place of those of its steps.

    f: a function of arrays. It keeps its name and its docstring; differentiable(differentiable(f)) is the first.
    """
    def __new__(cls, f):
        return f if isinstance(f, cls) else super().__new__(cls)

    def __init__(self, f):
        if f is not self:
            functools.update_wrapper(self, f)
            parameters = inspect.signature(f).parameters
            self.f, self.forward, self.names = f, None, list(parameters)
            self.n_positional = sum(x.kind is x.POSITIONAL_OR_KEYWORD for x in parameters.values())

    def __call__(self, *args, **options):
        tape = next((x.tape for x in (*args, *options.values()) if isinstance(x, Tracked)), None)
        if tape is None or self.forward is None or not tape.by_hand:
            return self.f(*args, **options)
        args, names = list(args), self.names[len(args):]            # as many as can be, in the order of the signature
        while len(args) < self.n_positional and names[0] in options:
            args.append(options.pop(names.pop(0)))
        if any(map(holds, [*args, *options.values()])):
            refuse(f"a list or dict of arrays that {self.__name__} is given", "give it arrays, each as an argument")
        outputs, rule = self.forward(*told_apart(args), **{name: plain(x) for name, x in options.items()})
        inputs = [*args, *(options.get(name) for name in names)]
        if isinstance(outputs, tuple):
            return tuple(tape.write(self.__name__, rule, inputs, outputs))
        return tape.write(self.__name__, rule, inputs, [outputs])[0]

    def __repr__(self):
        return repr(self.f)

    def __reduce__(self):               # copied and pickled as functions are: by its name
        return self.__qualname__

    def gradient(self, rule):
        """Register rule(dy, y, *args), which returns a gradient for each argument, as a decorator."""
        def forward(*args, **options):
            y = self.f(*args, **options)
            return y, lambda dy: rule(dy, y, *args, **options)
        self.forward = forward
        return rule

    def fused(self, forward):
        """Register forward(*args), which returns the outputs and a backward(*d_outputs), as a decorator.

        d_outputs has None for an output that the loss does not use. backward is called once; it may write into what
        forward kept, but not into d_outputs, nor into the arguments and outputs of forward.
        """
        self.forward = forward
        return forward


def told_apart(args):
    """The plain arrays of the arguments; where two that are tracked apart are one array, two views of it, so that a
    rule that asks whether `memory is x` does not take one for the other."""
    slots = {}
    for x in args:
        slots.setdefault(id(plain(x)), set()).add(getattr(x, "slot", None))
    return [x.value[...] if isinstance(x, Tracked) and len(slots[id(x.value)]) > 1 else plain(x) for x in args]
