"""Gradients: the way down. Made from solutions/09_gradients.py: edit there."""
import copy
import functools
import inspect
import itertools

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .support.memory import keep_memory
from .support.trees import flat


def multiply_gradient(dy, y, a, b):
    """The rule of y = a * b.

    dy: the gradient of y. y, a, b: of dy's shape, or of shapes that broadcast to it.
    Returns (da, db), of dy's shape.
    """
    return dy * b, dy * a


def exp_gradient(dy, y, x):
    """The rule of y = exp(x).

    dy: the gradient of y. y, x: any shape.
    Returns dx, of that shape.
    """
    return dy * y


def matmul_gradient(dy, y, a, b):
    """The rule of y = a @ b.

    dy: the gradient of y, (..., T, F). y: (..., T, F). a: (..., T, D). b: (..., D, F).
    Returns (da, db): (..., T, D) and (..., D, F), with the leading axes of dy.
    """
    return dy @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ dy


def unbroadcast(dx, shape):
    """Sum a gradient over the axes that broadcasting stretched.

    dx: any shape to which `shape` can be broadcast. shape: that of the array before.
    Returns an array of that shape.
    """
    if dx.shape == shape:
        return dx
    dx = np.sum(dx, axis=tuple(range(dx.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return np.sum(dx, axis=stretched, keepdims=True)


def backward(tape, gradients):
    """Walk a tape from its end to its beginning, and hand the gradients on from outputs to inputs.

    tape: a list of steps (name, rule, slots of the inputs, slots of the outputs). It is emptied.
    gradients: a dict from slots to gradients, of the result to begin with.
    Returns the dict, with the gradients of what no step has made.
    """
    while tape:
        name, rule, inputs, outputs = tape.pop()
        dys = [gradients.pop(slot, None) for slot in outputs]
        if all(dy is None for dy in dys):
            continue
        for slot, dx in zip(inputs, rule(*dys), strict=True):
            if slot is not None and dx is not None:
                gradients[slot] = gradients[slot] + dx if slot in gradients else dx
    return gradients


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
