"""Gradients: every rule against small steps, what must be refused, and whole models against PyTorch."""
import copy
import inspect
import itertools
import math
import re
import tracemalloc
from collections import Counter

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_block import our_block
from test_decoder import our_decoder
from test_encoder import our_encoder
from test_multi_head import ours as our_multi_head
from test_transformer import our_transformer

from scratchformer_lib import autograd
from scratchformer_lib.attention import scaled_dot_product_attention
from scratchformer_lib.autograd import (
    BY_OTHERS,
    RULES,
    CannotDifferentiate,
    Tape,
    Tracked,
    backward,
    check_gradients,
    differentiable,
    gradient_of,
    tree_map,
    unbroadcast,
    value_and_grad,
)
from scratchformer_lib.block import feed_forward, gelu, layer_norm, relu
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.files import flat, nested
from scratchformer_lib.training import cross_entropy
from scratchformer_lib.transformer import TransformerConfig, init_transformer, transformer

few = settings(max_examples=20, deadline=None)


# Small steps

def distinct(shapes, seed=0):
    """Positive arrays by name, no two numbers in them close to each other, so that small steps meet no kink."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    numbers = np.random.default_rng(seed).permutation(np.linspace(0.3, 1.71, sum(sizes)))
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    return {name: part.reshape(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}


def parts_of(y):
    """The arrays of real numbers in what a function returned."""
    if isinstance(y, (list, tuple)):
        return [part for one in y for part in parts_of(one)]
    return [y] if getattr(getattr(y, "dtype", None), "kind", "") == "f" else []


def loss_of(f, params):
    """A function of params that returns one number. Every entry of what f returns counts, each another amount; and so
    do the params themselves, for the case that f loses sight of them."""
    weights = [(parity.weights_like(y) + i).astype(y.dtype) for i, y in enumerate(parts_of(f(params)))]

    def loss(params):
        counted = [np.sum(w * y) for w, y in zip(weights, parts_of(f(params)), strict=True)]
        return sum(counted, sum(np.sum(x) for x in params.values()))
    return loss


def wrong(f, params):
    """What is wrong with the gradients of f, in words: "" where they are what two small steps say."""
    loss, rng = loss_of(f, params), np.random.default_rng(1)
    expected, (value, gradients) = loss(params), value_and_grad(loss)(params)
    if not abs(value - expected) <= 1e-12 * (1 + abs(expected)):
        return f"the value is {value}, not {expected}"
    direction = {name: rng.standard_normal(x.shape) for name, x in params.items()}
    forth, back = ({name: x + step * direction[name] for name, x in params.items()} for step in (1e-5, -1e-5))
    expected, got = (loss(forth) - loss(back)) / 2e-5, 0.0
    for name, dx in gradients.items():
        if dx.shape != params[name].shape:
            return f"the gradient of {name} has shape {dx.shape}"
        got += np.sum(dx * direction[name])
    return "" if abs(got - expected) <= 1e-7 * (1 + abs(expected)) else f"the slope is {got}, not {expected}"


# Expressions: what a learner would write with params of these SHAPES, by name, and with these NAMES.

SHAPES = {"x": (3, 4), "row": (4,), "col": (3, 1), "W": (4, 2), "cube": (2, 3, 4), "one": ()}
NAMES = {"np": np, "math": math, "mask": np.arange(12).reshape(3, 4) % 3 > 0, "ids": np.array([0, 2, 0])}


def written(text, **more):
    """The function of params whose text this is: an expression, or statements and an expression."""
    *lines, result = text.split("; ")

    def f(params):
        names = NAMES | more | params
        if lines:
            exec("\n".join(lines), names)
        return eval(result, names)
    return f


TESTED = {
    np.add: ["x + row", "1 + x", "np.add(col, row)", "x + x"],
    np.subtract: ["col - row", "1 - x", "x - 1"],
    np.multiply: ["x * col", "x * x", "2 * x", "one * cube", "x * [1, 2, 3, 4]", "x * [1.0]"],
    np.divide: ["x / row", "1 / x", "x / 3", "row / cube"],
    np.negative: ["-x"],
    np.exp: ["np.exp(x)"],
    np.log: ["np.log(x)"],
    np.sqrt: ["np.sqrt(x)"],
    np.tanh: ["np.tanh(x)"],
    np.sin: ["np.sin(x)"],
    np.cos: ["np.cos(x)"],
    np.absolute: ["abs(x - 0.99)", "np.abs(x - row)", "np.absolute(-x)"],
    np.power: ["x ** 3", "x ** 0", "np.power(x, -0.5)", "one ** 2.5", "x ** -1"],
    np.maximum: ["np.maximum(x, row)", "np.maximum(x, 0.99)", "np.maximum(0.99, x)", "np.maximum(col, cube)"],
    np.minimum: ["np.minimum(x, row)", "np.minimum(x, 0.99)", "np.minimum(0.99, x)", "np.minimum(col, cube)"],
    np.where: ["np.where(mask, x, row)", "np.where(mask, x, 0)", "np.where(x > col, -9, x)",
               "np.where(mask, col, row)", "np.where(mask[0], one, cube)"],
    np.clip: ["np.clip(x, 0.6, 1.2)", "x.clip(0.6)", "np.clip(x, None, 1.2)", "x.clip(0.6, None)",
              "np.clip(one, 0, 1)"],
    np.reshape: ["np.reshape(x, (4, 3))", "x.reshape(2, -1)", "x.reshape((2, 6))", "x.reshape([6, 2])",
                 "x.reshape(-1)", "cube.reshape(*cube.shape[:-1], 2, 2)", "one.reshape(1, 1)"],
    np.ravel: ["np.ravel(x)", "x.ravel()", "x.flatten()", "x.T.flatten()"],
    np.squeeze: ["np.squeeze(col)", "col.squeeze(-1)", "np.squeeze(col[None], axis=(0, 2))"],
    np.expand_dims: ["np.expand_dims(x, 1)", "np.expand_dims(x, (0, -1))", "np.expand_dims(x, axis=-1)"],
    np.swapaxes: ["np.swapaxes(cube, -1, -3)", "cube.swapaxes(0, 1)", "cube.mT", "x.mT"],
    np.moveaxis: ["np.moveaxis(cube, 0, -1)", "np.moveaxis(cube, (0, 1), (2, 0))",
                  "np.moveaxis(cube, [0, -1], [1, 0])", "np.moveaxis(cube, source=0, destination=1)"],
    np.broadcast_to: ["np.broadcast_to(row, (5, 3, 4))", "np.broadcast_to(col, (3, 4))", "np.broadcast_to(one, 3)",
                      "np.broadcast_to(one, shape=(2, 2))"],
    np.flip: ["np.flip(x)", "np.flip(x, 1)", "np.flip(cube, axis=(0, -1))"],
    np.roll: ["np.roll(x, 1)", "np.roll(x, -1, axis=1)", "np.roll(cube, (1, 2), (0, 1))",
              "np.roll(x, shift=1, axis=0)"],
    np.tril: ["np.tril(x)", "np.tril(cube, k=1)", "np.tril(x, -1)"],
    np.triu: ["np.triu(x)", "np.triu(cube, k=1)", "np.triu(x, -1)"],
    autograd.astype: ["x.astype(np.float64)", "x.astype(float, copy=False)", "x.astype(dtype=x.dtype)"],
    np.matmul: ["x @ W", "x @ row", "row @ W", "row @ row", "cube @ W", "cube @ x.T", "x @ cube.mT", "row @ cube.mT",
                "cube @ row", "cube[:1] @ cube.mT", "cube[:, None] @ cube.mT", "np.matmul(x, W)"],
    np.sum: ["np.sum(x)", "x.sum(-1)", "x.sum(axis=0, keepdims=True)", "np.sum(cube, axis=(0, -1))", "one.sum()",
             "np.sum(cube, (0, -1), keepdims=True)", "np.sum(x, axis=None, keepdims=True)", "np.sum(x, axis=())"],
    np.mean: ["np.mean(x)", "x.mean(-1)", "x.mean(axis=0, keepdims=True)", "np.mean(cube, axis=(0, -1))", "one.mean()"],
    np.var: ["np.var(x)", "x.var(-1)", "x.var(axis=0, keepdims=True)", "np.var(cube, axis=(0, -1), ddof=1)",
             "x.var(-1, ddof=2, keepdims=True)"],
    np.max: ["np.max(x)", "x.max(-1)", "x.max(axis=0, keepdims=True)", "np.max(cube, axis=(0, -1))", "one.max()"],
    np.min: ["np.min(x)", "x.min(-1)", "x.min(axis=0, keepdims=True)", "np.min(cube, axis=(0, -1))", "one.min()"],
    np.amax: ["np.amax(x)", "np.amax(x, axis=-1, keepdims=True)"],
    np.amin: ["np.amin(x)", "np.amin(x, axis=-1, keepdims=True)"],
    np.cumsum: ["np.cumsum(x)", "x.cumsum(-1)", "np.cumsum(cube, axis=1)", "np.cumsum(x, 0)", "np.cumsum(one)"],
    np.transpose: ["x.T", "cube.T", "row.T", "np.transpose(cube, (1, 2, 0))", "cube.transpose(2, 0, 1)",
                   "cube.transpose((2, 0, 1))", "np.transpose(cube, axes=[1, 2, 0])", "cube.transpose()",
                   "np.transpose(cube, (1, -1, 0))", "cube.transpose(0, -1, -2)"],
    np.concatenate: ["np.concatenate([x, x, row[None]])", "np.concatenate((x, col), axis=-1)",
                     "np.concatenate([x, np.zeros_like(x), col], 1)", "np.concatenate([cube, cube[:1]], axis=-3)",
                     "np.concatenate(cube)", "np.concatenate(cube, -1)"],
    autograd.getitem: [
        "x[0]", "x[-1, 1:]", "x[::-1, ::2]", "x[:, None]", "x[..., -2:]", "x[None, ..., 0]", "one[()]", "one[None]",
        "x[1][2]", "x[slice(0, 2)]", "x[np.int64(1)]", "x[np.array(1)]", "x[3:]", "cube[1, :, ::-2]", "[*x]",
        "x[ids]", "x[[0, 0, 1]]", "x[range(2)]", "x[:, [0, 0, 3]]", "x[[0, 1, 0], [2, 3, 2]]", "x[ids[:, None], ids]",
        "x[np.arange(3), ids]", "cube[:, ids, 1:]", "cube[..., ids]", "cube[1, ids]", "W[np.array([[1, 1], [0, 1]])]",
        "x[mask]", "x[x > 0.9]", "x[mask[:, 0], 1]", "x[:, mask[0]]", "x[[True, False, True]]", "x[:, (0, 0, 1)]",
        "x[(0, 1, 0), (2, 3, 2)]"],
    np.take_along_axis: ["np.take_along_axis(x, ids[:, None], axis=-1)", "np.take_along_axis(x, np.argsort(x, 0), 0)",
                         "np.take_along_axis(x, indices=np.array([[0, 0, 1]] * 3), axis=1)",
                         "np.take_along_axis(cube, np.argmax(cube, -1)[..., None], -1)[..., 0]"],
    np.einsum: [
        "np.einsum('ij,jk->ik', x, W)", "np.einsum('ij,jk', x, W)", "np.einsum('ba,cb', W, x)",
        "np.einsum('ij->ji', x)", "np.einsum('ji', x)", "np.einsum('ij->', x)", "np.einsum('ij->i', x)",
        "np.einsum('ij,ij->i', x, x)",
        "np.einsum('ij,k->jk', x, row)", "np.einsum('i,i', row, row)", "np.einsum('bij,jk,k->bi', cube, W, W[0])",
        "np.einsum('bij,kj,bkl->bil', cube, x, cube)", "np.einsum('...ij,jk->...ik', cube, W)",
        "np.einsum('...i,i', cube, row)", "np.einsum('...j,...j->...', cube, x)", "np.einsum('i...,i...->...', x, col)",
        "np.einsum('ij,ij->ij', x, col)", "np.einsum('ij,jk->ik', col, row[None])", "np.einsum(',ij->ij', one, x)",
        "np.einsum(' i j , j -> i ', x, row)", "np.einsum('ij,jk->ik', x, W, optimize=True)",
        "np.einsum('Ab,bC->CA', x, W)"],
    np.square: ["np.square(x)"],
    np.dot: ["np.dot(x, W)", "x.dot(row)", "np.dot(row, row)", "np.dot(one, x)", "np.dot(cube, W)",
             "np.dot(cube, row)", "np.dot(row, W)"],
    np.vecdot: ["np.vecdot(x, row)", "np.vecdot(cube, x)", "np.vecdot(x, x[::-1], axis=0)"],
    np.outer: ["np.outer(row, col)", "np.outer(x, row)"],
    np.std: ["np.std(x)", "x.std(-1)", "x.std(axis=0, keepdims=True)", "np.std(cube, axis=(0, -1), ddof=1)"],
    np.linalg.norm: ["np.linalg.norm(x)", "np.linalg.norm(row)", "np.linalg.norm(x, axis=-1)",
                     "np.linalg.norm(x, axis=0, keepdims=True)", "np.linalg.norm(cube, axis=(1, 2))"],
    np.logaddexp: ["np.logaddexp(x, row)", "np.logaddexp(0, x - 1)"],
    np.stack: ["np.stack([x, x * x])", "np.stack([x, x + row], axis=-1)", "np.stack([one, 1.0])", "np.stack(x)",
               "np.stack((row, np.zeros_like(row)), 1)"],
    np.hstack: ["np.hstack([x, col])", "np.hstack([row, row])", "np.hstack((cube, cube[:, :1]))"],
    np.vstack: ["np.vstack([x, row])", "np.vstack([row, row])", "np.vstack((cube, cube[:1]))", "np.vstack([one, one])"],
    np.split: ["np.split(x, 3)", "np.split(x, 2, axis=1)", "np.split(cube, [1, 3], axis=-1)", "np.split(x, [2, 2])",
               "a, b = np.split(x, 2, -1); a * b"],
    np.array_split: ["np.array_split(x, 2)", "np.array_split(x, 3, axis=1)", "np.array_split(cube, 3, axis=-1)"],
    np.take: ["np.take(x, [0, 0, 5])", "np.take(x, ids, axis=0)", "x.take([1, 1], axis=-1)", "np.take(x, 2, axis=1)",
              "np.take(cube, np.array([[0, 2], [2, 2]]), 1)", "np.take(x, (0, 0, 1), axis=1)"],
    np.repeat: ["np.repeat(x, 2)", "np.repeat(x, 3, axis=0)", "x.repeat([1, 0, 2, 1], axis=1)",
                "np.repeat(cube, 2, -1)"],
    np.matrix_transpose: ["np.matrix_transpose(cube)"],
    np.full_like: ["np.full_like(x, one)", "np.full_like(x, 3) * x"],
    np.copy: ["np.copy(x) * x"],
    np.positive: ["+x"],
}
IDIOMS = [
    "np.clip(x, a_min=0.6, a_max=None)", "x.copy() * x", "x.T.T",
    "np.where(True, x, row)", "np.where(False, x, row)", "np.where(ids[:, None], row, x)",
    "np.where(ids.astype(x.dtype)[:, None], x, 0)", "np.where(mask.astype(int), row, x)",
    "x * ((0.6 < x) & (x < 1.2))", "x * (x > 0.9) + row * ~(x > 0.9)", "x * (x > row)", "x * np.sign(x - 0.99)",
    "x * (x == x.max(-1, keepdims=True))", "x * np.isfinite(x)", "x / np.size(x) * np.shape(x)[0]", "x.size * x",
    "x / len(x) * x.ndim", "x * (0.5 if x.max() > 1 else 2)", "x * np.ones_like(x)", "x * np.full_like(x, 3)",
    "x[np.argmax(x, 0), np.arange(4)]", "x[np.argsort(row)[:3] % 3]", "np.eye(3, dtype=x.dtype)[ids] @ x",
    "np.arange(4, dtype=x.dtype) * x", "np.arange(3, dtype=x.dtype) @ x", "x.dtype.type(2) / x", "x / x.dtype.type(2)",
    "[2] + x", "sum(x)", "sum(y * y for y in x)", "max(one, one * 2)", "np.stack([y.sum() for y in x])",
    "a, b, c = x; a * b - c", "x * x.argmax(-1)[:, None].astype(x.dtype)", "1e-5 + x.astype(float).astype(x.dtype)",
    "e = np.exp(x - x.max(-1, keepdims=True)); e / e.sum(-1, keepdims=True)",
    "c = x - x.mean(-1, keepdims=True); c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)",
    "(x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-5)",
    "np.exp(one) * np.sqrt(one)", "np.maximum(one, 0)", "np.tanh(one)[None]", "np.where(one > 1, one, -one)",
    "np.mean(one)", "np.expand_dims(one, 0)", "np.ravel(one)", "np.transpose(one)", "np.stack([one, one])",
    *(f"y = x * 1; y {operator} {other}; y" for operator in ("+=", "-=", "*=", "/=") for other in ("row", "2", "y")),
    "y = x * 1; y **= 2; y", "y = x * 1; y @= cube[1].T[:, :1] * row; y", "y = x.copy(); y += 1; y * x",
    "y = x * 1; z = y * 2; y += z; z += y; y * z",
]
TEXTS = [*itertools.chain(*TESTED.values()), *IDIOMS]


def test_every_rule_is_tested():
    assert {*RULES, *BY_OTHERS} - {*TESTED} == set()


@pytest.mark.parametrize("function, text", [
    pytest.param(function, text, id=text) for function, texts in TESTED.items() for text in texts])
def test_a_rule_gives_what_small_steps_say(monkeypatch, function, text):
    table, calls = BY_OTHERS if function in BY_OTHERS else RULES, []
    rule = table[function]
    monkeypatch.setitem(table, function, lambda *args, **options: calls.append(1) or rule(*args, **options))
    assert wrong(written(text), distinct(SHAPES)) == ""
    assert calls


@pytest.mark.parametrize("text", IDIOMS)
def test_what_learners_write_gives_what_small_steps_say(text):
    assert wrong(written(text), distinct(SHAPES)) == ""


@pytest.mark.parametrize("text", TEXTS)
def test_float32_gets_gradients_in_float32(text):
    exact = distinct(SHAPES)
    params = {name: x.astype(np.float32) for name, x in exact.items()}
    if "astype" not in text and any(y.dtype != np.float32 for y in parts_of(written(text)(params))):
        with pytest.raises(CannotDifferentiate, match="float32"):       # NumPy has made it float64
            value_and_grad(loss_of(written(text), params))(params)
        return
    (value, gradients), expected = (value_and_grad(loss_of(written(text), p))(p) for p in (params, exact))
    for name, dx in gradients.items():
        assert dx.dtype == np.float32, name
        assert np.allclose(dx, expected[1][name], rtol=1e-3, atol=1e-3)
    assert np.isclose(value, expected[0], rtol=1e-4)


@pytest.mark.parametrize("name, args", [
    *itertools.product("sum mean var std max min cumsum argmax argmin".split(), [(), (0,), (-1,)]),
    ("clip", (0.6, 1.2)), ("dot", (np.eye(4),)), ("swapaxes", (0, 1)), ("squeeze", ()), ("take", ([0, 0],)),
    ("repeat", (2,)), ("ravel", ()), ("transpose", ()), ("reshape", ((4, 3),))])
def test_a_method_is_the_function_of_its_name(name, args):
    params = distinct(SHAPES)
    (value, gradients), expected = (value_and_grad(lambda p, f=f: total(f(p["x"])) + np.sum(p["x"]))(params)
                                    for f in (lambda x: getattr(x, name)(*args), lambda x: getattr(np, name)(x, *args)))
    assert value == expected[0] and np.array_equal(gradients["x"], expected[1]["x"])


def total(y):
    return np.sum(y * parity.weights_like(y))


# The same for shapes that nobody thought of

@st.composite
def broadcast(draw, n):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=n, max_dims=4, max_side=3))
    return distinct(dict(zip("abc", shapes.input_shapes, strict=False)), draw(st.integers(0, 99)))


@pytest.mark.parametrize("text", ["a + b", "a - b", "a * b", "a / b", "np.maximum(a, b)", "np.minimum(a, b)",
                                  "np.logaddexp(a, b)", "np.where(a > 1, a, b)"])
@few
@given(broadcast(2))
def test_what_was_stretched_is_summed(text, params):
    assert wrong(written(text), params) == ""


@few
@given(broadcast(3))
def test_where_stretches_all_three(params):
    condition = params.pop("c") > 1
    assert wrong(lambda p: np.where(condition, p["a"], p["b"]), params) == ""


@few
@given(broadcast(2))
def test_unbroadcast_undoes_broadcast_to(params):
    a, b = params.values()
    stretched = np.broadcast_to(a, np.broadcast_shapes(a.shape, b.shape))
    summed = unbroadcast(stretched, a.shape)
    assert summed.shape == a.shape and np.allclose(summed, a * (stretched.size / a.size))


@pytest.mark.parametrize("name", "sum mean var std max min".split())
@few
@given(st.data())
def test_reductions_along_any_axes(name, data):
    shape = data.draw(hnp.array_shapes(min_dims=0 if name != "std" else 1, max_dims=4, max_side=3, min_side=2))
    axes = data.draw(st.none() if not shape else st.none() | hnp.valid_tuple_axes(len(shape), min_size=1)
                     | st.integers(-len(shape), len(shape) - 1))
    options = {"axis": axes, "keepdims": data.draw(st.booleans())}
    assert wrong(lambda p: getattr(np, name)(p["x"], **options), distinct({"x": shape})) == ""


@few
@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3))
def test_products_of_any_shapes(shapes):
    a, b = shapes.input_shapes
    assert wrong(written("a @ b"), distinct({"a": a, "b": b})) == ""


@few
@given(st.permutations(range(4)), st.integers(-4, 3), st.integers(-4, 3))
def test_axes_in_any_order(order, i, j):
    params = distinct({"x": (2, 1, 3, 2)})
    for move in (lambda x: np.transpose(x, order), lambda x: np.moveaxis(x, i, j), lambda x: np.swapaxes(x, i, j),
                 lambda x: np.concatenate([x, x], i), lambda x: np.stack([x, x], j), lambda x: np.flip(x, i),
                 lambda x: np.roll(x, j, i), lambda x: np.cumsum(x, i), lambda x: np.repeat(x, 2, i)):
        assert wrong(lambda p, move=move: move(p["x"]), params) == ""


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_index(data):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    integers = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
    index = data.draw(st.one_of(hnp.basic_indices(shape, allow_newaxis=True), integers, hnp.arrays(bool, shape)))
    assert wrong(lambda p: p["x"][index], distinct({"x": shape})) == ""


@few
@given(st.lists(st.text("ijk", max_size=3).filter(lambda t: len(set(t)) == len(t)), min_size=1, max_size=3), st.data())
def test_einsum_of_any_letters(terms, data):
    sizes = dict(zip("ijk", (2, 3, 4), strict=True))
    letters = sorted(set("".join(terms)))
    result = "".join(data.draw(st.permutations(letters)))[:data.draw(st.integers(0, len(letters)))]
    subscripts = ",".join(terms) + data.draw(st.sampled_from(["", f"->{result}"]))
    params = distinct({str(i): tuple(sizes[letter] for letter in term) for i, term in enumerate(terms)})
    assert wrong(lambda p: np.einsum(subscripts, *p.values()), params) == ""


# Where a function has no slope

def test_equal_ones_share_the_gradient_of_the_largest():
    x = np.array([[1.0, 1, 0], [2, 3, 3]])
    assert np.array_equal(value_and_grad(lambda x: np.sum(np.max(x, -1)))(x)[1], [[0.5, 0.5, 0], [0, 0.5, 0.5]])
    assert np.array_equal(value_and_grad(np.min)(np.zeros((2, 2)))[1], np.full((2, 2), 0.25))


@pytest.mark.parametrize("f", [np.maximum, np.minimum])
def test_of_two_equal_ones_together_they_get_the_gradient(f):
    gradients = value_and_grad(lambda p: np.sum(f(p["a"], p["b"])))({"a": np.ones(3), "b": np.ones(3)})[1]
    assert np.array_equal(gradients["a"] + gradients["b"], np.ones(3))


def test_relu_is_flat_at_0_as_it_is_in_pytorch():
    assert np.array_equal(value_and_grad(lambda x: np.sum(relu(x)))(np.array([-1.0, 0, 1]))[1], [0, 0, 1])


@pytest.mark.parametrize("n, expected", [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_powers_at_0_are_numbers(n, expected):
    assert value_and_grad(lambda x: x ** n)(np.float64(0))[1] == expected


# What has no gradient here is refused, in words

def test_a_refusal_is_a_type_error():
    assert issubclass(CannotDifferentiate, TypeError)


@pytest.mark.parametrize("text, what, instead", [
    ("x.__setitem__(0, 1)", "item assignment", "np.where"), ("x[mask] *= 2; x", "item assignment", "np.where"),
    ("y = np.zeros((3, 4)); y[:] = x; y", "writing into an array", "np.stack"),
    ("y = np.zeros((3, 4)); y[0] = row; y", "writing into an array", "np.stack"),
    ("np.asarray(x)", "np.asarray", "leave"), ("np.array(x)", "np.array", "leave"),
    ("np.ascontiguousarray(x)", "np.asarray", "leave"),
    ("np.array([one, one])", "np.array", "np.stack"), ("np.array([*x])", "np.array", "np.stack"),
    ("np.exp(x, out=np.zeros((3, 4)))", "np.exp with out=", "leave out= away"),
    ("np.exp(x, out=x)", "np.exp with out=", "leave out= away"), ("np.exp(row, x)", "np.exp with out=", "leave out="),
    ("y = np.zeros((3, 4)); y += x; y", "np.add with out=", ""),
    ("np.sum(x, out=np.zeros(()))", "sum", "leave out= away"),
    ("np.einsum('ij->i', x, out=np.zeros(3))", "einsum", "leave out= away"),
    ("np.add.reduce(x)", "np.add.reduce", "np.sum"), ("np.add.at(x, 0, 1)", "np.add.at", ""),
    ("np.multiply.outer(x, row)", "np.multiply.outer", ""), ("np.maximum.accumulate(x)", "np.maximum.accumulate", ""),
    ("bool(one)", "if, and, or, not", "np.where"), ("1 if one else 2", "if, and, or, not", "np.where"),
    ("one or x", "if, and, or, not", "np.where"), ("not one", "if, and, or, not", "np.where"),
    ("float(one)", "float", "NumPy"), ("int(one)", "int", "NumPy"), ("one.item()", "item", "NumPy"),
    ("math.sqrt(one)", "function of math", "NumPy"), ("[1, 2][one]", "int", "NumPy"), ("range(one)", "int", "NumPy"),
    ("np.prod(x)", "np.prod", "other functions"), ("x % 1", "np.remainder", "other functions"),
    ("x // 1", "np.floor_divide", "other functions"), ("np.sort(x)", "np.sort", "other functions"),
    ("np.apply_along_axis(np.sum, 0, x)", "np.apply_along_axis", "other functions"),
    ("np.vectorize(abs)(x)", "np.asarray", ""), ("np.linalg.inv(x[:, :3])", "inv", "other functions"),
    ("np.sum(a=x)", "np.sum", ""), ("np.mean(a=x)", "np.mean", ""),
    ("2 ** x", "power", ""), ("x ** row", "power", ""), ("np.where(x, 1.0, 2.0)", "where", ""),
    ("np.clip(x, col, 2)", "clip", ""),
    ("np.sum(x, where=mask)", "sum", ""), ("np.max(x, initial=0)", "max", ""), ("np.linalg.norm(x, ord=1)", "norm", ""),
    ("np.einsum('ii->i', x[:, :3])", "einsum", ""), ("np.einsum(x, [0, 1], [1, 0])", "einsum", ""),
])
def test_what_cannot_be_differentiated_is_refused(text, what, instead):
    with pytest.raises(CannotDifferentiate) as refusal:
        value_and_grad(lambda p: total(written(text)(p)))(distinct(SHAPES))
    said, _, advice = str(refusal.value).partition(" cannot be differentiated; ")
    assert what in said and instead in advice and advice


def test_filling_an_array_number_by_number_is_refused():
    """NumPy puts its own error in front of ours."""
    with pytest.raises(ValueError) as refusal:
        value_and_grad(lambda p: total(written("y = np.zeros(3); y[0] = one; y")(p)))(distinct(SHAPES))
    assert isinstance(refusal.value.__cause__, CannotDifferentiate)


@pytest.mark.parametrize("text, name", [
    ("x * np.sqrt(64)", "multiply"), ("x / np.float64(2)", "divide"), ("x + np.ones(4)", "add"),
    ("x - ids[:, None]", "subtract"), ("np.where(mask, x, np.zeros(4))", "where"), ("W.T @ np.eye(4)", "matmul"),
    ("np.maximum(x, np.zeros(4))", "maximum"),
    ("np.concatenate([x, np.zeros((1, 4))])", "concatenate"),
    ("np.einsum('ij,j->i', x, np.ones(4))", "einsum"), ("x ** np.array([2, 3, 2, 3])", "power")])
def test_float32_that_became_float64_is_refused_by_name(text, name):
    params = {key: x.astype(np.float32) for key, x in distinct(SHAPES).items()}
    with pytest.raises(CannotDifferentiate, match=f"float32 that {name} turned into float64 .* look for an argument"):
        value_and_grad(lambda p: total(written(text)(p)))(params)


# Nothing gets a wrong gradient in silence

def outcome(f, params):
    """"right", "refused", "not for NumPy", or what is silently wrong. NaN is not silent."""
    with np.errstate(all="ignore"):
        try:
            if not all(np.isfinite(y).all() for y in parts_of(f(tree_map(np.copy, params)))):
                return "not for NumPy"
        except Exception:
            return "not for NumPy"
        try:
            found = wrong(f, params)
        except Exception:
            return "refused"
    return "right" if not found or "nan" in found else found


def silent(calls, least, **more):
    """Which of these expressions get wrong gradients and no error. At least so many of them must be refused."""
    params = distinct(SHAPES | {"square": (3, 3)})
    outcomes = {text: outcome(written(text, **more), tree_map(np.copy, params)) for text in calls}
    assert Counter(outcomes.values())["refused"] >= least
    return {text: said for text, said in outcomes.items() if said not in ("right", "refused", "not for NumPy")}


CONSOLE_AND_FILES = """
    test info show_config show_runtime seterr seterrcall setbufsize set_printoptions printoptions errstate get_include
    save savez savez_compressed savetxt load loadtxt genfromtxt fromfile fromregex tofile dump dumps""".split()
ARGUMENTS = ["x", "square", "one", "x, row", "row, x", "x, 1", "x, 1, 0", "x, 0.5, 1.2", "[x, x]", "[x], row",
             "x, mask", "x, [0, 0, 1]", "mask, x", "mask, x, row", "[mask], [x]", "x[0], x[1]", "np.sum, 0, x",
             "x, x.shape", "'ij->', x", "square, [1.0, 2.0, 3.0]", "row[0], row[1], 5", "row, 0.5, col"]


@pytest.mark.filterwarnings("ignore")
def test_no_function_of_numpy_gets_a_wrong_gradient_in_silence():
    names = [f"np.{name}" for name in np.__all__] + [f"np.linalg.{name}" for name in np.linalg.__all__]
    functions = [name for name in names if callable(eval(name)) and not isinstance(eval(name), type)]
    calls = [f"{name}({arguments})" for name in functions if name.split(".")[-1] not in CONSOLE_AND_FILES
             for arguments in ARGUMENTS]
    assert silent(calls, least=500) == {}


@pytest.mark.filterwarnings("ignore")
def test_no_method_of_arrays_gets_a_wrong_gradient_in_silence():
    names = [name for name in dir(np.ndarray) if not name.startswith("__") and name not in CONSOLE_AND_FILES]
    calls = [f"y = x * 1; z = y.{name}{arguments}; [y, z]" for name in names for arguments in (
        "", "()", "(0)", "(-1)", "(1, 0)", "((1, 0))", "('F')", "(2, 6)", "(6, order='F')", "(int)", "(bool)", "(row)",
        "([0, 0, 1])", "(0, None, None, True)", "(axis=0, dtype=y.dtype)", "(0, one)")]
    assert silent(calls, least=100) == {}


OPTIONS = ["axis=0", "axis=-1", "axis=(0, 1)", "axis=None", "keepdims=True", "axis=1, keepdims=True", "dtype=float",
           "axis=1, dtype=float", "where=mask", "where=mask[0]", "order='F'", "order='A'", "initial=0.9", "mode='clip'",
           "ord=1", "ord=2, axis=1", "ddof=1", "correction=1", "mean=np.ones((1, 4))", "a_min=0.7", "a_max=1.2",
           "min=0.7", "max=1.2", "k=1", "subok=True", "casting='unsafe'", "axes=(1, 0)", "axis=0, mode='wrap'"]
PLACES = ["0", "1", "-1", "2", "None", "float", "'F'", "(0, 1)", "(1, 0)", "(-1, 0)", "[0, 0, 1]", "(0, 0, 1)"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", [f for f in TESTED if f not in (autograd.astype, autograd.getitem)])
def test_no_option_of_a_function_gets_a_wrong_gradient_in_silence(function):
    arguments = ["x", "square", "cube", "x, row", "[x, x]", "mask, x, row", "'ij,jk->ik', x, W", "x, ids[:, None]"]
    more = [*OPTIONS, *PLACES, *map(", ".join, itertools.product(PLACES, [*PLACES, "True"])),
            *(f"{a}, {b}, None, {c}" for a in ("None", "1") for b in ("None", "1") for c in ("None", "True"))]
    calls = [f"f({args}, {others})" for args in arguments for others in more]
    assert silent(calls, least=0, f=function) == {}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", [f for f in TESTED if f not in (autograd.astype, autograd.getitem)])
def test_no_output_is_written_into_in_silence(function):
    def f(params):
        function(*eval(arguments, NAMES | params), out=buffer)
        return params["x"] * np.sum(buffer)
    for arguments in ("x,", "x, row", "[x, x],", "x, W", "'ij,jk->ik', x, W", "x, 0.5, 1.2", "x, [0, 1]"):
        with np.errstate(all="ignore"):
            try:
                buffer = np.empty_like(function(*eval(arguments, NAMES | distinct(SHAPES))))
            except Exception:
                continue
        assert outcome(f, distinct(SHAPES)) in ("refused", "not for NumPy")


@pytest.mark.parametrize("text", [
    "[1.0, 2.0, 3.0, 4.0] * x", "x * x.astype(int)", "x * x.astype(bool)", "row * [one, 1.0, 1.0, 1.0]",
    "row * [one, 1.0, one, 1.0]", "np.where(mask[0], row, [one, 1.0, 1.0, 1.0])", "y = x * 1; np.exp(y, out=y); y",
    "y = x * 1; np.add(x, row, y); y", "np.ravel(x, 'F')", "x.flatten('F')",
    "np.reshape(x, (2, 6), order='F')", "np.linalg.norm(cube, None, 1)", "np.linalg.norm(x, 1)",
    "y = x * 1; v = y[0]; v *= 2; v * y",
    "y = x * 1; v = y; v += 1; y * v", "y = x * 1; v = [y, y]; y += 1; v[0] * v[1]", "y = x.copy(); y += 1; x * y",
    "y = x * 1; v = +y; v += 1; y",
    "y = x.sum(); v = y; y += 1; v * y", "y = one * 1; v = [y]; y *= 2; v[0] * y", "y = x[0, 0]; v = y; y -= 1; v",
    "np.linalg.norm(x, 2, -1)", "np.sum(cube[..., :3], 2, float)", "np.mean(cube[..., :3], 2, float)",
    "np.dot(cube, cube.mT)", "np.dot(x, cube.mT)", "np.clip(x, min=1)",
    "np.swapaxes(x, axis1=0, axis2=1)", "np.concatenate([x, x], axis=None)", "np.array_split(x, 5)",
    "copy.deepcopy(x) * x"])
def test_it_is_right_or_refused(text):
    assert outcome(written(text, copy=copy), distinct(SHAPES)) in ("right", "refused")


# value_and_grad

def test_gradients_have_the_form_of_the_params():
    rng = np.random.default_rng(0)
    params = {"a": rng.standard_normal((2, 3)), "b": [rng.standard_normal(3), {"c": np.float64(2.0)}],
              "d": (rng.standard_normal(1), rng.standard_normal(()).astype(np.float32))}
    value, gradients = value_and_grad(lambda p: np.sum(p["a"] * p["b"][0]) * p["b"][1]["c"] + np.sum(p["d"][0]))(params)
    a, (b, c), d = params["a"], (params["b"][0], params["b"][1]["c"]), params["d"]
    assert value == np.sum(a * b) * c + np.sum(d[0])
    assert list(gradients) == ["a", "b", "d"] and list(map(type, gradients.values())) == [np.ndarray, list, tuple]
    assert np.allclose(gradients["a"], np.broadcast_to(c * b, (2, 3))) and np.allclose(gradients["b"][0], c * a.sum(0))
    assert np.isclose(gradients["b"][1]["c"], np.sum(a * b)) and np.array_equal(gradients["d"][0], [1.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_used_has_a_gradient_of_zeros(dtype):
    params = {"x": np.ones(3, dtype), "unused": np.ones((2, 3), dtype), "dropped": np.ones((), dtype)}

    def f(params):
        params["dropped"] * params["x"]
        return np.sum(params["x"])
    gradients = value_and_grad(f)(params)[1]
    for name in ("unused", "dropped"):
        assert gradients[name].dtype == dtype and np.array_equal(gradients[name], np.zeros(params[name].shape))


def test_an_array_that_is_used_twice_collects_both_gradients():
    W = np.random.default_rng(0).standard_normal((3, 3))
    agree = value_and_grad(lambda p: np.sum((p["W"] @ p["W"].T) * p["W"][:, :1]))({"W": W})[1]["W"]
    apart = value_and_grad(lambda p: np.sum((p["a"] @ p["b"].T) * p["c"][:, :1]))({"a": W, "b": W, "c": W})[1]
    assert np.allclose(agree, sum(apart.values())) and not np.allclose(apart["a"], apart["b"])


@pytest.mark.parametrize("f, message", [
    (lambda p: p["x"], "one number, of shape (); got (3,)"), (lambda p: p["x"][:1], "of shape (); got (1,)"),
    (lambda p: 3.0, "depends on params; got float"), (lambda p: None, "depends on params; got NoneType"),
    (lambda p: p["x"].argmax(), "on params; got int64"), (lambda p: [p["x"][0]], "depends on params; got list")])
def test_a_loss_is_one_number_that_depends_on_the_params(f, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        value_and_grad(f)({"x": np.arange(3.0)})


@pytest.mark.parametrize("params", [{"x": np.arange(3)}, [1.0, 2.0], 3.0, {"x": None}, {"x": np.ones(3) * 1j}])
def test_params_are_arrays_of_real_numbers(params):
    with pytest.raises(ValueError, match="params must be arrays of float32 or float64; got "):
        value_and_grad(lambda params: 1.0)(params)


def test_gradients_have_the_dtype_of_their_params_though_these_differ():
    params = {"a": np.ones(3, np.float32), "b": np.ones(3)}
    gradients = value_and_grad(lambda p: np.sum(p["a"] * p["b"]) + np.sum(p["a"]))(params)[1]
    assert {name: dx.dtype for name, dx in gradients.items()} == {"a": np.float32, "b": np.float64}


def test_other_arguments_and_options_are_passed_through():
    data = np.arange(3.0)

    def f(params, inputs, power=1, *, scale):
        assert inputs is data
        return scale * np.sum(inputs * params["x"] ** power)
    value, gradients = value_and_grad(f)({"x": np.full(3, 2.0)}, data, 3, scale=10)
    assert value == 240 and np.array_equal(gradients["x"], 10 * data * 3 * 4)


def test_params_are_not_changed_not_even_where_the_function_adds_in_place():
    params = {"x": np.arange(3.0), "y": np.ones(3)}

    def f(params):
        x = params["x"]
        x += params["y"]
        x *= 2
        return np.sum(x * x)
    value_and_grad(f)(params)
    assert np.array_equal(params["x"], np.arange(3.0)) and np.array_equal(params["y"], np.ones(3))


def test_gradients_can_be_written_into_one_by_one():
    """As clipping does; so no two of them, nor a param, may share their memory."""
    params = {name: np.ones((2, 3)) for name in "abc"}
    gradients = value_and_grad(lambda p: np.sum(p["a"] + p["b"]) + np.sum(p["c"]))(params)[1]
    for dx in gradients.values():
        dx *= 0.5
    assert all(np.array_equal(dx, np.full((2, 3), 0.5)) for dx in gradients.values())
    assert all(np.array_equal(x, np.ones((2, 3))) for x in params.values())


def test_the_tape_is_empty_afterwards(monkeypatch):
    tapes = []
    monkeypatch.setattr(autograd, "Tape", lambda by_hand: tapes.append(Tape(by_hand)) or tapes[-1])
    value_and_grad(lambda p: np.sum(np.exp(p["x"]) * 2))({"x": np.ones(3)})
    assert len(tapes) == 1 and tapes[0] == []


def test_a_function_that_fails_leaves_nothing_behind():
    def f(params):
        return np.sum(params["x"] * math.sqrt(params["x"][0]))
    for _ in range(2):
        with pytest.raises(CannotDifferentiate):
            value_and_grad(f)({"x": np.ones(3)})
    assert value_and_grad(lambda p: np.sum(p["x"]))({"x": np.ones(3)})[0] == 3


def test_a_gradient_within_a_function_is_a_constant_in_it():
    def f(params):
        inner = value_and_grad(lambda p: np.sum(p["w"] ** 3))({"w": np.full(3, 2.0)})[1]["w"]
        return np.sum(inner * params["x"])
    value, gradients = value_and_grad(f)({"x": np.arange(3.0)})
    assert value == 36 and np.array_equal(gradients["x"], np.full(3, 12.0))


def test_two_tapes_do_not_meet():
    one, other = Tape(), Tape()
    x, y = one.track(np.arange(3.0)), other.track(np.full(3, 5.0))
    a, b = x * x, np.exp(y)
    a, b = np.sum(a * 2), np.sum(b)
    assert np.array_equal(backward(other, {b.slot: np.float64(1)})[y.slot], np.exp(np.full(3, 5.0)))
    assert np.array_equal(backward(one, {a.slot: np.float64(1)})[x.slot], 4 * np.arange(3.0))


def leak(leaked):
    """What a function kept from an earlier run, as `record` does."""
    value_and_grad(lambda p: np.sum(leaked.setdefault("x", p["x"] * 2)))({"x": np.arange(3.0)})
    return leaked["x"]


@pytest.mark.parametrize("f", [
    lambda p, kept: np.sum(p["x"] * kept), lambda p, kept: np.sum(kept * p["x"]), lambda p, kept: np.sum(kept),
    lambda p, kept: np.sum(np.concatenate([p["x"], kept])),
    lambda p, kept: value_and_grad(lambda q: np.sum(q["w"] * p["x"] * 3))({"w": np.ones(3)})[0],
    lambda p, kept: np.sum(p["x"] * value_and_grad(lambda q: np.sum(q["w"] * p["x"] * 3))({"w": np.ones(3)})[1]["w"])])
def test_what_belongs_to_another_run_is_right_or_refused(f):
    kept, x = leak({}), np.array([2.0, 3.0, 5.0])
    try:
        value, gradients = value_and_grad(f)({"x": x}, kept)
    except (CannotDifferentiate, ValueError):
        return
    assert np.allclose(value, f({"x": x}, kept.value)), "the value is wrong"
    ups, downs = ([f({"x": x + step}, kept.value) for step in sign * 1e-6 * np.eye(3)] for sign in (1, -1))
    assert np.allclose(gradients["x"], (np.array(ups) - downs) / 2e-6), "the gradient is wrong"


def test_the_walk_back_frees_what_it_leaves_behind():
    held = []
    watched = differentiable(lambda x: x * 1)
    watched.gradient(lambda dy, y, x: held.append(tracemalloc.get_traced_memory()[0]) or dy)

    def f(params):
        x = watched(params["x"])
        for i in range(50):
            x = np.exp(-x)
            x = watched(x) if i in (24, 49) else x
        return np.sum(x)
    params = {"x": np.full(20_000, 0.5)}
    tracemalloc.start()
    value_and_grad(f)(params)
    tracemalloc.stop()
    at_the_end, half_way, at_the_start = np.array(held) / params["x"].nbytes
    assert at_the_end > 100 and 0.45 < half_way / at_the_end < 0.6 and at_the_start < 0.12 * at_the_end


def test_a_tracked_array_is_as_an_array_where_it_is_asked():
    x = Tape().track(np.ones((2, 3), np.float32))
    assert (x.shape, x.ndim, x.dtype, x.size, len(x)) == ((2, 3), 2, np.float32, 6, 2)
    assert isinstance(x > 0, np.ndarray) and (x > 0).all() and not (x != x).any()
    assert isinstance(x, Tracked) and isinstance(x[0], Tracked) and {x: 1}[x] == 1


def test_a_rule_of_ones_own():
    with pytest.raises(CannotDifferentiate, match="np.log1p"):
        value_and_grad(lambda p: np.sum(np.log1p(p["x"])))({"x": np.ones(3)})
    try:
        gradient_of(np.log1p)(lambda dy, y, x: dy / (1 + x))
        assert wrong(written("np.log1p(x * row)"), distinct(SHAPES)) == ""
    finally:
        del RULES[np.log1p]


# check_gradients

def two_arrays(params):
    return np.sum(np.tanh(params["a"]["bent"]) * 3) + np.sum(np.exp(params["b"]))


TWO = {"b": np.linspace(-1, 1, 6).reshape(2, 3), "a": {"bent": np.linspace(-0.7, 1, 8)}}


def test_right_gradients_pass():
    errors = check_gradients(two_arrays, TWO)
    assert set(errors) == {"b", "a/bent"} and max(errors.values()) < 1e-8


@pytest.mark.parametrize("wrong_rule", [lambda dy, y, x: dy * (1 - y), lambda dy, y, x: 1.001 * dy * (1 - y * y),
                                        lambda dy, y, x: -dy * (1 - y * y)])
def test_a_wrong_rule_is_found_and_what_it_touches_named_first(monkeypatch, wrong_rule):
    monkeypatch.setitem(RULES, np.tanh, wrong_rule)
    errors = check_gradients(two_arrays, TWO)
    assert list(errors) == ["a/bent", "b"] and errors["a/bent"] > 5e-4 and errors["b"] < 1e-8


def test_a_gradient_that_is_not_a_number_is_named_first():
    def f(params):
        return np.std(params["z"]) + np.sum(params["a"] ** 2) + np.sum(params["b"] ** 2)
    with np.errstate(all="ignore"):
        errors = check_gradients(f, {"a": np.arange(1.0, 3), "z": np.ones(3), "b": np.arange(3.0)})
    assert list(errors)[0] == "z" and math.isnan(errors["z"])


def test_checking_changes_no_params_and_takes_float32_as_float64():
    params = tree_map(lambda x: x.astype(np.float32), TWO)
    before = tree_map(np.copy, params)
    assert max(check_gradients(two_arrays, params).values()) < 1e-8
    assert all(np.array_equal(x, y) and x.dtype == np.float32
               for x, y in zip(flat(params).values(), flat(before).values(), strict=True))


def test_as_many_entries_are_tried_as_asked_for():
    calls = []

    def f(params):
        calls.append(params["x"].copy())
        return np.sum(params["x"] ** 2)
    check_gradients(f, {"x": np.arange(1.0, 9)}, n_entries=3, eps=0.5)
    moved = {int(np.flatnonzero(x != np.arange(1.0, 9))[0]) for x in calls[1:]}
    assert len(calls) == 1 + 2 * 3 and len(moved) == 3
    assert len(check_gradients(f, {"x": np.arange(1.0, 9)}, n_entries=100)) == 1


# differentiable

def curve(x, factor=3.0, *, power=2):
    """Its docstring."""
    return x ** power * factor


def test_a_differentiable_function_keeps_its_name_and_docstring_and_is_made_once():
    f = differentiable(curve)
    assert (f.__name__, f.__doc__, f.__module__) == ("curve", "Its docstring.", __name__)
    assert str(inspect.signature(f)) == str(inspect.signature(curve)) and f(2.0) == 12
    rule = f.gradient(lambda dy, y, x, *_, **__: dy)
    assert differentiable(f) is f and value_and_grad(f)(np.float64(2.0)) == (12, 1) and rule(5, 0, 0) == 5


def test_a_rule_by_hand_is_used_unless_it_is_not_wanted():
    f, used = differentiable(curve), []

    @f.gradient
    def curve_gradient(dy, y, x, factor=3.0, *, power=2):
        used.append((y, x, factor, power))
        return 100 * dy, 200 * dy
    x = np.float64(2.0)
    assert value_and_grad(f)(x) == (12, 100) and used == [(12, 2, 3, 2)]
    assert value_and_grad(f, by_hand=False)(x) == (12, 12) and len(used) == 1
    assert value_and_grad(lambda factor: f(x, factor, power=3))(x)[1] == 200 and used[-1] == (16, 2, 2, 3)
    assert value_and_grad(lambda p: f(factor=p["b"], x=p["a"]))({"a": x, "b": x})[1] == {"a": 100, "b": 200}
    assert value_and_grad(lambda factor: f(x, factor=factor))(x)[1] == 200


def test_without_a_rule_by_hand_the_steps_are_walked():
    assert value_and_grad(differentiable(curve))(np.float64(2.0)) == (12, 12)


def test_a_rule_by_hand_is_summed_where_it_was_stretched_and_has_to_serve_every_argument():
    f = differentiable(lambda x, b: x + b)
    f.gradient(lambda dy, y, x, b: (dy, dy))
    gradients = value_and_grad(lambda p: np.sum(f(p["x"], p["b"])))({"x": np.ones((3, 2)), "b": np.ones(2)})[1]
    assert np.array_equal(gradients["b"], [3, 3])
    f.gradient(lambda dy, y, x, b: (dy, None))
    assert np.array_equal(value_and_grad(lambda x: np.sum(f(x, np.ones(2))))(np.ones(2))[1], [1, 1])
    with pytest.raises(CannotDifferentiate, match="one of the arguments of"):
        value_and_grad(lambda b: np.sum(f(np.ones(2), b)))(np.ones(2))


def both(x, y):
    return x * y, np.exp(x)


@pytest.mark.parametrize("used, seen", [((True, True), [True, True]), ((True, False), [True, False]),
                                        ((False, True), [False, True])])
def test_a_fused_function_of_several_outputs_gets_none_for_one_that_is_not_used(used, seen):
    f, given = differentiable(both), []

    @f.fused
    def forward(x, y):
        outputs = x * y, np.exp(x)

        def backward(d_product, d_exp):
            given.append([d_product is not None, d_exp is not None])
            dx = (0 if d_product is None else d_product * y) + (0 if d_exp is None else d_exp * outputs[1])
            return dx, np.zeros_like(y) if d_product is None else d_product * x
        return outputs, backward

    def loss(params, by_hand):
        outputs = f(params["x"], y=params["y"])
        return sum(np.sum(3 * output) for output, wanted in zip(outputs, used, strict=True) if wanted)
    params = {"x": np.arange(3.0), "y": np.full(3, 2.0)}
    (value, gradients), expected = (value_and_grad(loss, by_hand)(params, by_hand) for by_hand in (True, False))
    assert given == [seen] and value == expected[0]
    assert all(np.allclose(gradients[name], expected[1][name]) for name in params)


def test_a_fused_function_whose_outputs_are_not_used_is_not_walked():
    f = differentiable(both)
    f.fused(lambda x, y: ((x * y, np.exp(x)), lambda *_: pytest.fail("it was walked")))

    def loss(x):
        f(x, x)
        return np.sum(x)
    assert np.array_equal(value_and_grad(loss)(np.ones(2))[1], [1, 1])


def test_plain_arrays_pay_nothing():
    f = differentiable(curve)
    f.fused(lambda *args, **options: pytest.fail("the function itself should have run"))
    assert np.array_equal(f(np.arange(3.0), power=1), 3 * np.arange(3.0))


def test_a_rule_by_hand_that_makes_float64_is_refused_by_name():
    f = differentiable(curve)
    f.fused(lambda x: (x.astype(np.float64), lambda dy: dy))
    with pytest.raises(CannotDifferentiate, match="float32 that curve turned into float64"):
        value_and_grad(lambda x: np.sum(f(x)))(np.ones(2, np.float32))


# The library, against PyTorch and against small steps

ACTIVATIONS = {"relu": relu, "gelu": gelu}
OURS = {"softmax": softmax, "log_softmax": log_softmax, "attention": scaled_dot_product_attention, "gelu": gelu,
        "multi_head": our_multi_head, "layer_norm": layer_norm, "block": our_block, "encoder": our_encoder,
        "decoder": our_decoder,
        "feed_forward": lambda activation, **arrays: feed_forward(**arrays, activation=ACTIVATIONS[activation]),
        "loss": lambda labels, ignore_id, label_smoothing, **inputs: cross_entropy(
            our_transformer(**inputs), labels, ignore_id, label_smoothing)}


def gradients_of(case):
    def weighted(floats):
        outputs = OURS[case.function](**case.inputs | floats)
        return sum(map(total, outputs)) if isinstance(outputs, tuple) else total(outputs)
    return value_and_grad(weighted)({name: x for name, x in case.inputs.items() if parity.is_float(x)})[1]


@pytest.mark.parametrize("case", parity.stored("gradients"), ids=str)
def test_gradients_agree_with_what_pytorch_once_said(case):
    parity.gradients_agree(case, gradients_of(case))


@pytest.mark.slow
def test_gradients_agree_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("gradients"):
        parity.gradients_agree(case, gradients_of(case))


def translation(dtype=np.float64, **fields):
    """A loss of a small Transformer with padding on both sides, and params that are of order 1."""
    config = TransformerConfig(**{"n_src_vocab": 9, "n_tgt_vocab": 9, "d_model": 8, "n_heads": 2, "d_ff": 12,
                                  "n_encoder_layers": 2, "n_decoder_layers": 1, "dropout": 0.3} | fields)
    rng = np.random.default_rng(0)
    params = nested({name: (p + (p.ndim == 1) * rng.standard_normal(p.shape)).astype(dtype)
                     for name, p in flat(init_transformer(rng, config)).items()})
    src = np.array([[3, 4, 3, 8], [6, 7, 0, 0], [4, 0, 0, 0]])
    tgt = np.array([[1, 4, 5, 4], [1, 6, 0, 0], [1, 5, 5, 2]])

    def loss(params, seed=None):
        rng = None if seed is None else np.random.default_rng(seed)
        return cross_entropy(transformer(params, config, src, tgt[:, :-1], rng), tgt[:, 1:], 0, 0.1)
    return loss, params


@pytest.mark.parametrize("fields", [{}, {"pre_norm": True}, {"shared_embeddings": True, "tied_output": True}])
def test_with_a_fixed_draw_of_dropout_the_gradients_are_what_small_steps_say(fields):
    loss, params = translation(**fields | {"activation": "gelu"})
    errors = check_gradients(lambda params: loss(params, seed=3), params, n_entries=3)
    assert max(errors.values()) < 1e-5 and len(errors) == len(flat(params))
    assert loss(params, seed=3) != loss(params)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [None, 3])
def test_the_loss_of_a_transformer_is_the_same_to_the_bit_and_its_gradients_have_its_dtype(dtype, seed):
    loss, params = translation(dtype)
    value, gradients = value_and_grad(loss, by_hand=False)(params, seed)
    expected = loss(params, seed)
    assert value == expected and value.dtype == expected.dtype == dtype
    for name, dx in flat(gradients).items():
        assert (dx.shape, dx.dtype) == (flat(params)[name].shape, dtype), name
