"""softmax and log_softmax: against PyTorch, and by their properties."""
import numpy as np
import parity
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scratchformer_lib.softmax import log_softmax, softmax

FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax}


@pytest.mark.parametrize("case", parity.stored("softmax"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, FUNCTIONS[case.function](**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("softmax"):
        parity.agrees(case, FUNCTIONS[case.function](**case.inputs))


arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.floats(-1000, 1000))


@st.composite
def scores_and_axis(draw):
    x = draw(arrays)
    return x, draw(st.integers(-x.ndim, x.ndim - 1))


@given(scores_and_axis())
def test_shares_add_up_to_one(case):
    x, axis = case
    shares = softmax(x, axis)
    assert shares.shape == x.shape
    assert np.all(shares >= 0)
    assert np.allclose(shares.sum(axis), 1, rtol=1e-12)


@given(scores_and_axis(), st.floats(-1000, 1000))
def test_only_differences_count(case, c):
    x, axis = case
    assert np.allclose(softmax(x + c, axis), softmax(x, axis), rtol=1e-9, atol=1e-12)


@given(scores_and_axis())
def test_the_logarithm_is_that_of_the_shares(case):
    x, axis = case
    assert np.allclose(np.exp(log_softmax(x, axis)), softmax(x, axis), rtol=1e-9, atol=1e-300)
    assert np.all(np.isfinite(log_softmax(x, axis)))


@given(scores_and_axis(), st.randoms(use_true_random=False))
def test_reordering_the_scores_reorders_the_shares(case, random):
    x, axis = case
    order = random.sample(range(x.shape[axis]), x.shape[axis])
    assert np.allclose(softmax(np.take(x, order, axis), axis), np.take(softmax(x, axis), order, axis), rtol=1e-12)


@pytest.mark.parametrize("f", FUNCTIONS.values())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays_and_so_does_the_input(f, dtype):
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(dtype)
    before = x.copy()
    assert f(x).dtype == dtype
    assert np.array_equal(x, before)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_minus_infinity_means_never():
    assert np.array_equal(softmax(np.array([0.0, -np.inf])), [1, 0])
    assert np.array_equal(log_softmax(np.array([0.0, -np.inf])), [0, -np.inf])
    assert np.all(np.isnan(softmax(np.array([-np.inf, -np.inf]))))


def test_an_axis_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="axis 2 is out of bounds for array of dimension 1"):
        softmax(np.zeros(3), axis=2)
