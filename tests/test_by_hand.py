"""Gradients by hand: each is that of the bare function, and that of small steps; whole models have PyTorch's."""
import inspect
import itertools
import sys
from typing import NamedTuple

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_autograd import OURS, total, translation

from scratchformer_lib.attention import padding_mask, scaled_dot_product_attention
from scratchformer_lib.autograd import check_gradients, differentiable, tree_map, value_and_grad
from scratchformer_lib.block import gelu, layer_norm, layer_norm_gradient, relu
from scratchformer_lib.embeddings import embed, embed_gradient
from scratchformer_lib.multi_head import linear, linear_gradient, multi_head_attention
from scratchformer_lib.softmax import log_softmax, softmax, softmax_gradient
from scratchformer_lib.support.trees import flat
from scratchformer_lib.training import cross_entropy, cross_entropy_gradient

BY_HAND = {f.__name__: f for f in (linear, softmax, log_softmax, cross_entropy, layer_norm, embed, relu, gelu,
                                   scaled_dot_product_attention, multi_head_attention)}


def looks_at_itself(x, **others):
    return multi_head_attention(x, x, **others)


class Case(NamedTuple):
    function: str
    name: str
    arrays: dict                # by argument; they are differentiated
    others: dict = {}           # arguments that are not
    use: str = "all"            # of attention's outputs: "all", "output" or "weights"

    def __str__(self):
        return f"{self.function}-{self.name}-{self.use}".removesuffix("-all")

    def loss(self, arrays):
        """One number, in which every entry of what is used counts another amount."""
        return self.loss_of((BY_HAND | {"looks_at_itself": looks_at_itself})[self.function](**arrays, **self.others))

    def loss_of(self, y):
        used = {"all": y, "output": y[:1], "weights": y[1:]}[self.use] if isinstance(y, tuple) else [y]
        return sum(np.sum(part * parity.weights_like(part).astype(part.dtype)) for part in used)


def agree(got, expected, tolerance=1e-10):
    """Raise an error where a gradient is off by more than this share of the largest in its array."""
    got, expected = flat(got), flat(expected)
    assert list(got) == list(expected)
    for name, theirs in expected.items():
        assert (got[name].shape, got[name].dtype) == (theirs.shape, theirs.dtype), name
        error = np.max(np.abs(got[name] - theirs))
        assert error <= tolerance * np.max(np.abs(theirs)) + 1e-13, f"{name} is {error:.1e} off"


def both_ways(loss, *args):
    """(value, gradients) with the rules by hand, and without."""
    return [value_and_grad(loss, by_hand)(*args) for by_hand in (True, False)]


def normal(seed=0, **shapes):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def turned(x):
    """The same numbers, which lie in memory the other way around."""
    return np.ascontiguousarray(x.T).T


B, T, S, H = 3, 4, 5, 2
SOME = np.random.default_rng(2).random((B, H, T, S)) < 0.6
PADDING = padding_mask(np.array([[4, 5, 4, 6, 7], [8, 8, 0, 0, 0], [0, 0, 0, 0, 0]]), 0)    # the last row: all of it


def simple_cases():
    x, W, b, gamma, beta = normal(x=(2, 3, 4), W=(4, 5), b=(5,), gamma=(4,), beta=(4,)).values()
    yield Case("linear", "bias", {"x": x, "W": W, "b": b})
    yield Case("linear", "no-bias", {"x": x, "W": W})
    yield Case("linear", "one-row", {"x": x[0, 0], "W": W, "b": b})
    yield Case("linear", "many-axes", {"x": x[:, None, :, None], "W": W, "b": b})
    yield Case("linear", "turned", {"x": turned(x), "W": turned(W), "b": b})

    for name in ("softmax", "log_softmax"):
        for axis in (-1, 0, 1, None):
            yield Case(name, f"axis-{axis}", {"x": x}, {"axis": axis})
            yield Case(name, f"axis-{axis}-turned", {"x": turned(x)}, {"axis": axis})
        yield Case(name, "large", {"x": 300 * x})
        yield Case(name, "one-axis", {"x": x[0, 0]})

    logits, targets = 2 * normal(logits=(3, 4, 5))["logits"], np.array([[1, 1, 4, 0], [2, 0, 0, 0], [3, 1, 3, 1]])
    for ignore_id, smoothing in itertools.product((None, 0, 3), (0.0, 0.1, 0.9)):
        yield Case("cross_entropy", f"ignore-{ignore_id}-smoothing-{smoothing}", {"logits": logits},
                   {"targets": targets, "ignore_id": ignore_id, "label_smoothing": smoothing})
    for name, z, ids in (("list", logits, targets.tolist()), ("one-axis", logits[0], targets[0]),
                         ("one", logits[0, 0], 2), ("many-axes", logits[:, None], targets[:, None]),
                         ("turned", turned(logits), turned(targets)), ("large", 100 * logits, targets)):
        yield Case("cross_entropy", name, {"logits": z}, {"targets": ids, "label_smoothing": 0.1})

    still = np.where(np.arange(3)[:, None] == 1, 0.5, x)
    for name, rows, options in (("usual", x, {}), ("still-row", still, {}), ("large-eps", x, {"eps": 0.5}),
                                ("no-eps", x, {"eps": 0.0}), ("one-row", x[0, 0], {}), ("turned", turned(x), {}),
                                ("far-from-0", x + 30, {})):
        yield Case("layer_norm", name, {"x": rows, "gamma": gamma, "beta": beta}, options)

    table = normal(table=(6, 4))["table"]
    for name, ids in (("repeated", np.array([[5, 1, 5, 5], [0, 1, 1, 3]])), ("list", [[5, 1], [5, 5]]), ("one", 2),
                      ("one-axis", np.array([4, 4, 0])), ("small-ints", np.array([[[1, 2], [1, 1]]], np.uint8))):
        yield Case("embed", name, {"table": table}, {"ids": ids})
    yield Case("embed", "turned", {"table": turned(table)}, {"ids": turned(np.array([[5, 1, 5], [0, 5, 3]]))})

    for name, z in (("usual", x), ("turned", turned(x)), ("strided", x[:, ::-1, ::2]), ("one", np.float64(0.7)),
                    ("far-out", np.linspace(-8, 8, 64)), ("swapped", np.swapaxes(x, 0, 2))):
        yield Case("relu", name, {"x": z})
        yield Case("gelu", name, {"x": z})


def attention_cases():
    q, k, v = normal(q=(B, H, T, 6), k=(B, H, S, 6), v=(B, H, S, 3)).values()
    for name, mask, *arrays in (
            ("one", None, q[0, 0], k[0, 0], v[0, 0]), ("many", None, q, k, v), ("mask-for-each", SOME, q, k, v),
            ("same-mask-for-all", np.tri(T, S, dtype=bool), q, k, v), ("padding", PADDING, q, k, v),
            ("padding-and-causal", PADDING & np.tri(T, S, -1, dtype=bool), q, k, v),
            ("nothing-to-look-at", np.zeros((T, S), bool), q, k, v), ("mask-for-each-head", SOME[:1], q, k, v),
            ("mask-for-each-key", SOME[:, :1, :1], q, k, v), ("q-alone-has-a-batch", SOME, q, k[0], v[0]),
            ("k-has-one-head", SOME, q, k[:, :1], v), ("v-alone-has-a-batch", SOME[0], q[0], k[0], v),
            ("q-is-one-for-all", SOME, q[0, 0], k, v), ("each-has-other-axes", SOME, q[:, :1], k[:1], v[0, 0]),
            ("k-and-v-have-other-axes", None, q, k[0, 0], v[:, :1]),
            ("one-query-one-key", None, q[..., :1, :], k[..., :1, :], v[..., :1, :]),
            ("turned", turned(SOME), turned(q), turned(k), turned(v)), ("large", SOME, 30 * q, k, v)):
        yield Case("scaled_dot_product_attention", name, dict(zip("qkv", arrays, strict=True)), {"mask": mask})


def multi_head_cases():
    D, d_k, d_v = 6, 3, 4
    x, memory, narrow = normal(x=(B, T, D), memory=(B, S, D), narrow=(B, S, 5)).values()
    W = normal(3, W_Q=(D, H * d_k), W_K=(D, H * d_k), W_V=(D, H * d_v), W_O=(H * d_v, 7))
    W_narrow = W | normal(4, W_K=(5, H * d_k), W_V=(5, H * d_v))
    W_turned = {name: turned(matrix) for name, matrix in W.items()}
    for name, mask, x_, memory_, W_ in (
            ("memory", None, x, memory, W), ("padding", PADDING, x, memory, W),
            ("causal", np.tri(T, S, dtype=bool), x, memory, W), ("mask-for-each-head", SOME, x, memory, W),
            ("first-sees-nothing", np.tri(T, S, -1, dtype=bool), x, memory, W),
            ("narrow-memory", SOME, x, narrow, W_narrow), ("memory-without-batch", SOME, x, memory[0], W),
            ("memory-is-one-for-all", None, x, memory[:1], W), ("x-without-batch", SOME, x[0], memory, W),
            ("two-batch-axes", None, x[:, None], memory[:2], W), ("no-batch", SOME[0], x[0], memory[0], W),
            ("turned", turned(SOME), turned(x), turned(memory), W_turned)):
        yield Case("multi_head_attention", name, {"x": x_, "memory": memory_, **W_}, {"n_heads": H, "mask": mask})
    for name, mask, z in (("usual", None, x), ("causal", np.tri(T, dtype=bool), x), ("turned", None, turned(x)),
                          ("padding", PADDING[..., :T], x), ("no-batch", None, x[0])):
        yield Case("looks_at_itself", name, {"x": z, **W}, {"n_heads": H, "mask": mask})
    yield Case("looks_at_itself", "one-head", {"x": x, **W}, {"n_heads": 1})


CASES = [*simple_cases(), *(case._replace(use=use) for case in (*attention_cases(), *multi_head_cases())
                            for use in ("all", "output", "weights"))]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_there_are_cases_for_every_rule():
    rules = {name for module in list(sys.modules) if module.startswith("scratchformer_lib.") and "course" not in module
             for name, f in vars(sys.modules[module]).items() if isinstance(f, differentiable)}
    assert rules == set(BY_HAND) == {case.function for case in CASES} - {"looks_at_itself"}


# What a rule gives

@every_case
def test_it_is_the_gradient_of_the_bare_function_and_the_value_is_the_same(case):
    (value, gradients), (expected, theirs) = both_ways(case.loss, case.arrays)
    agree(gradients, theirs)
    assert abs(value - expected) <= 1e-12 * (1 + abs(expected)) and expected == case.loss(case.arrays)


@pytest.mark.parametrize("case", [case for case in CASES if case.use == "all"], ids=str)
def test_it_is_what_small_steps_say(case):
    errors = check_gradients(case.loss, case.arrays)
    assert max(errors.values()) < 1e-6 and set(errors) == set(case.arrays)


@every_case
def test_float32_gets_gradients_in_float32(case):
    arrays = {name: x.astype(np.float32) for name, x in case.arrays.items()}
    (value, gradients), (expected, theirs) = (value_and_grad(case.loss)(some) for some in (arrays, case.arrays))
    assert value.dtype == np.float32 and np.isclose(value, expected, rtol=1e-3, atol=1e-3)
    for name, dx in gradients.items():
        assert dx.dtype == np.float32, name
        assert np.allclose(dx, theirs[name], rtol=0, atol=1e-3 * np.max(np.abs(theirs[name])) + 1e-5), name


@every_case
def test_an_array_has_the_same_gradient_where_the_others_are_constants(case):
    gradients = value_and_grad(case.loss)(case.arrays)[1]
    for name, x in case.arrays.items():
        alone = value_and_grad(lambda x, name=name: case.loss(case.arrays | {name: x}))(x)[1]
        agree({name: alone}, {name: gradients[name]}, 1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if case.function in BY_HAND], ids=str)
def test_arguments_may_be_given_by_name_or_in_their_places(case):
    f = BY_HAND[case.function]

    def in_places(arrays):
        given = arrays | case.others
        return case.loss_of(f(*(given.get(name, x.default) for name, x in inspect.signature(f).parameters.items())))
    (value, gradients), (expected, theirs) = (value_and_grad(g)(case.arrays) for g in (in_places, case.loss))
    assert value == expected and all(np.array_equal(gradients[name], dx) for name, dx in theirs.items())


@every_case
def test_neither_way_changes_what_it_was_given_nor_the_way_back_what_came_out(case):
    f, arrays = BY_HAND.get(case.function, multi_head_attention), tree_map(np.copy, case.arrays)
    if f is multi_head_attention:
        arrays.setdefault("memory", arrays["x"])
    outputs, rule = f.forward(**arrays, **case.others)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    dys = [np.ones_like(y) for y in outputs]
    before = [x.tobytes() for x in (*arrays.values(), *outputs, *dys)]
    rule(*dys)
    assert [x.tobytes() for x in (*arrays.values(), *outputs, *dys)] == before
    assert all(np.array_equal(x, arrays[name]) for name, x in case.arrays.items())


@every_case
def test_both_ways_stay_in_float32_themselves(case):
    f = BY_HAND.get(case.function, multi_head_attention)
    arrays = {name: x.astype(np.float32) for name, x in case.arrays.items()}
    if f is multi_head_attention:
        arrays.setdefault("memory", arrays["x"])
    outputs, rule = f.forward(**arrays, **case.others)
    dys = [np.ones_like(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]
    if case.use != "all":
        dys[case.use == "output"] = None
    dxs = rule(*dys)
    found = [dx for dx in (dxs if isinstance(dxs, (list, tuple)) else [dxs]) if dx is not None]
    assert {x.dtype for x in (*found, *(dy for dy in dys if dy is not None))} == {np.dtype(np.float32)}


# Shapes that nobody thought of

def drawn_case(draw, function):
    """A case of this function, of any shapes that it takes."""
    few, rng = st.integers(1, 4), np.random.default_rng(draw(st.integers(0, 999)))
    D, F, T, S, H = (draw(few) for _ in range(5))

    def arrays(**shapes):
        form = draw(st.sampled_from([np.asarray, turned]))
        return {name: form(rng.standard_normal(shape)) for name, shape in shapes.items()}

    def axes(n, most):
        return draw(hnp.mutually_broadcastable_shapes(num_shapes=n, max_dims=most, max_side=3)).input_shapes

    def mask(*scores):
        full = np.broadcast_shapes(*scores)
        stretched = [1 if draw(st.booleans()) else n for n in full]
        shape = draw(st.sampled_from([None, full, full[-2:], stretched]))
        return None if shape is None else rng.random(shape) < draw(st.sampled_from([0, 0.3, 0.8]))

    shape = (*draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)), D)
    match function:
        case "linear":
            b = {"b": (F,)} if draw(st.booleans()) else {}
            return Case(function, "", arrays(x=shape, W=(D, F), **b))
        case "softmax" | "log_softmax":
            return Case(function, "", arrays(x=shape), {"axis": draw(st.integers(-len(shape), len(shape) - 1))})
        case "cross_entropy":
            targets, ignore_id = rng.integers(0, D, shape[:-1]), draw(st.none() | st.integers(0, D))
            ignore_id = None if np.all(targets == ignore_id) else ignore_id
            return Case(function, "", arrays(logits=shape), {
                "targets": targets, "ignore_id": ignore_id, "label_smoothing": draw(st.sampled_from([0.0, 0.3]))})
        case "layer_norm":
            return Case(function, "", arrays(x=shape, gamma=D, beta=D), {"eps": draw(st.sampled_from([0.01, 1.0]))})
        case "embed":
            return Case(function, "", arrays(table=(F, D)), {"ids": rng.integers(0, F, shape[:-1])})
        case "relu" | "gelu":
            return Case(function, "", arrays(x=shape))
        case "scaled_dot_product_attention":
            q, k, v = axes(3, 3)
            return Case(function, "", arrays(q=(*q, T, D), k=(*k, S, D), v=(*v, S, F)),
                        {"mask": mask((*q, T, 1), (*k, 1, S))}, draw(st.sampled_from(["all", "output", "weights"])))
        case "multi_head_attention":
            x, memory = axes(2, 2)
            d_k, d_v, D_memory = (draw(few) for _ in range(3))
            return Case(function, "", arrays(
                x=(*x, T, D), memory=(*memory, S, D_memory), W_Q=(D, H * d_k), W_K=(D_memory, H * d_k),
                W_V=(D_memory, H * d_v), W_O=(H * d_v, F)),
                {"n_heads": H, "mask": mask((*x, H, T, 1), (*memory, 1, 1, S))},
                draw(st.sampled_from(["all", "output", "weights"])))


@pytest.mark.parametrize("function", BY_HAND)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_shapes_it_is_the_gradient_of_the_bare_function(function, data):
    test_it_is_the_gradient_of_the_bare_function_and_the_value_is_the_same(drawn_case(data.draw, function))


def test_gelu_of_more_numbers_than_one_block_has():
    test_it_is_the_gradient_of_the_bare_function_and_the_value_is_the_same(
        Case("gelu", "long", {"x": turned(normal(x=(300, 701))["x"])}))


def test_arrays_that_happen_to_be_one_have_a_gradient_each():
    arrays = normal(x=(B, T, 6), W_Q=(6, 6), W_K=(6, 6), W_V=(6, 6), W_O=(6, 6))
    case = Case("multi_head_attention", "", {**arrays, "memory": arrays["x"]}, {"n_heads": H})
    apart = value_and_grad(case.loss)(case.arrays | {"memory": arrays["x"].copy()})[1]
    agree(value_and_grad(case.loss)(case.arrays)[1], apart)
    for name in ("x", "memory"):                        # and where one of them is a constant
        alone = value_and_grad(lambda z, name=name: case.loss(case.arrays | {name: z}))(arrays["x"])[1]
        agree({name: alone}, {name: apart[name]})


@pytest.mark.parametrize("case, name", [
    (case, name) for case in CASES for name in case.arrays if len(case.arrays) > 1 and case.use == "all"
    and case.name in ("one", "many", "bias", "usual", "memory")], ids=str)
def test_a_constant_may_be_whole_numbers(case, name):
    arrays = case.arrays | {name: np.rint(3 * case.arrays[name])}
    constant = {name: arrays.pop(name).astype(int)}
    (value, gradients), (expected, theirs) = both_ways(lambda arrays: case.loss(arrays | constant), arrays)
    agree(gradients, theirs)
    assert np.isclose(value, expected, rtol=1e-12)


def test_the_rules_are_functions_that_can_be_called():
    dy, x, W, b = normal(dy=(2, 3), x=(2, 4), W=(4, 3), b=(3,)).values()
    assert np.allclose(linear_gradient(dy, x @ W + b, x, W, b)[2], dy.sum(0))
    assert linear_gradient(dy, x @ W, x, W)[2] is None
    assert np.allclose(softmax_gradient(np.array([1.0, 0]), np.array([0.8, 0.2]), None), [0.16, -0.16])
    assert np.allclose(cross_entropy_gradient(1.0, None, np.zeros((1, 2)), [1]), [[0.5, -0.5]])
    assert [dx.shape for dx in layer_norm_gradient(dy, dy, dy[:, :1], b)] == [(2, 3), (3,), (3,)]
    none, d_table = embed_gradient(dy, None, [1, 1], np.ones((4, 3)))
    assert none is None and np.array_equal(d_table, [np.zeros(3), dy.sum(0), np.zeros(3), np.zeros(3)])


# When it is used

@pytest.mark.parametrize("name", BY_HAND)
def test_it_is_used_unless_it_is_not_wanted(monkeypatch, name):
    monkeypatch.setattr(BY_HAND[name], "forward", lambda *_, **__: pytest.fail("it was used"))
    case = next(case for case in CASES if case.function == name)
    value_and_grad(case.loss, by_hand=False)(case.arrays)
    case.loss(case.arrays)
    with pytest.raises(pytest.fail.Exception, match="it was used"):
        value_and_grad(case.loss)(case.arrays)


def test_a_model_uses_none_of_them_where_they_are_not_wanted(monkeypatch):
    loss, params = translation()
    for f in BY_HAND.values():
        monkeypatch.setattr(f, "forward", lambda *_, **__: pytest.fail("it was used"))
    value_and_grad(loss, by_hand=False)(params, seed=3)


@pytest.mark.parametrize("f", BY_HAND.values(), ids=BY_HAND)
def test_a_function_with_a_rule_looks_as_it_did(f):
    assert differentiable(f) is f and callable(f.f) and not isinstance(f.f, differentiable)
    assert (f.__name__, f.__doc__, f.__module__) == (f.f.__name__, f.f.__doc__, f.f.__module__) and f.__doc__
    assert inspect.signature(f) == inspect.signature(f.f) and len(inspect.signature(f).parameters) >= 1


# What does not fit

def wrong_calls():
    """Arrays and other arguments that a function refuses."""
    x, W, b = normal(x=(2, 3, 4), W=(4, 5), b=(5,)).values()
    for changed in ({"W": W.T}, {"W": W[0]}, {"b": b[:4]}, {"b": b[None]}, {"x": x[..., :3]}, {"x": np.float64(1)}):
        yield Case("linear", "", {"x": x, "W": W, "b": b} | changed)
    for changed in ({"gamma": b}, {"beta": b}, {"beta": W[:1, :4]}, {"gamma": np.float64(1)}, {"x": np.float64(1)}):
        yield Case("layer_norm", "", {"x": x, "gamma": W[:, 0], "beta": W[:, 1]} | changed)
    for changed in ({"targets": [[1, 2]]}, {"targets": np.full((2, 3), 4)}, {"targets": np.ones((2, 3))},
                    {"ignore_id": 1}, {"label_smoothing": 1.0}, {"label_smoothing": -0.1}, {"targets": []}):
        yield Case("cross_entropy", "", {"logits": x}, {"targets": np.ones((2, 3), int)} | changed)
    for ids in ([4], [-1], [0.5], []):
        yield Case("embed", "", {"table": W}, {"ids": ids})
    q, k, v = normal(q=(B, H, T, 6), k=(B, H, S, 6), v=(B, H, S, 3)).values()
    for changed in ({"k": v}, {"v": q}, {"q": q[0, 0, 0]}, {"k": k[:2]}, {"mask": SOME[:2]}, {"mask": SOME * 1},
                    {"mask": SOME[0]}, {"mask": SOME[..., :4]}, {"v": v[..., :0]}, {"mask": [[True] * S] * T}):
        changed = {"q": q, "k": k, "v": v, "mask": None} | changed
        yield Case("scaled_dot_product_attention", "", changed, {"mask": changed.pop("mask")})
    fits = next(multi_head_cases())
    for changed in ({"x": fits.arrays["x"][..., :5]}, {"memory": fits.arrays["memory"][:2]}, {"n_heads": 4},
                    {"W_K": fits.arrays["W_V"]}, {"W_O": fits.arrays["W_Q"]}, {"W_V": fits.arrays["W_V"][0]},
                    {"mask": SOME[..., :4]}, {"mask": SOME[:, 0]}, {"n_heads": 0}, {"mask": 1 * SOME}):
        arguments = fits.arrays | fits.others | changed
        others = {name: arguments.pop(name) for name in fits.others}
        yield Case("multi_head_attention", "", arguments, others)


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("case", [*wrong_calls()], ids=str)
def test_what_does_not_fit_is_refused_in_the_same_words(case, by_hand):
    with pytest.raises(ValueError) as expected:
        case.loss(case.arrays)
    with pytest.raises(ValueError) as error:
        value_and_grad(case.loss, by_hand)(case.arrays)
    assert str(error.value) == str(expected.value) and " must " in str(error.value)


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_argument_too_many_or_too_few_is_a_type_error(by_hand):
    for f in (lambda x: linear(x), lambda x: gelu(x, 1), lambda x: softmax(x, axes=0), lambda x: embed(table=x)):
        with pytest.raises(TypeError):
            value_and_grad(f, by_hand)(np.ones((2, 3)))


# Whole models

@pytest.mark.parametrize("fields", [
    {"pre_norm": pre_norm, "activation": activation, **more} for pre_norm in (False, True)
    for activation in ("relu", "gelu")
    for more in ({}, {"d_k": 3, "d_v": 5}, {"shared_embeddings": True, "tied_output": True})], ids=str)
@pytest.mark.parametrize("seed", [None, 3])
def test_a_model_has_the_same_gradients_by_hand_also_with_dropout(fields, seed):
    loss, params = translation(**fields)
    (value, gradients), (expected, theirs) = both_ways(loss, params, seed)
    agree(gradients, theirs)
    assert np.isclose(value, expected, rtol=1e-13) and loss(params, seed=3) != loss(params)


def gradients_of(case, by_hand):
    def loss(floats):
        outputs = OURS[case.function](**case.inputs | floats)
        return sum(map(total, outputs)) if isinstance(outputs, tuple) else total(outputs)
    return value_and_grad(loss, by_hand)({name: x for name, x in case.inputs.items() if parity.is_float(x)})[1]


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("case", parity.stored("gradients"), ids=str)
def test_both_ways_give_what_pytorch_once_said(case, by_hand):
    parity.gradients_agree(case, gradients_of(case, by_hand))


@pytest.mark.slow
@pytest.mark.parametrize("by_hand", [True, False])
def test_both_ways_give_what_pytorch_says(by_hand):
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("gradients"):
        parity.gradients_agree(case, gradients_of(case, by_hand))
