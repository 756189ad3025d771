"""Vocabulary, embed, positional_encoding and shift_matrix: by their properties."""
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.embeddings import Vocabulary, embed, init_embedding, positional_encoding, shift_matrix

few = settings(max_examples=25, deadline=None)
words = st.text("aBé猫<>.'0", min_size=1, max_size=6) | st.sampled_from(Vocabulary.SPECIAL)
seeds = st.integers(0, 1000)
even = st.integers(1, 20).map(lambda half: 2 * half)


@few
@given(st.lists(words, min_size=1))
def test_ids_become_the_words_they_came_from(some):
    vocabulary = Vocabulary(some)
    said = [word for word in some if word != "<PAD>"]
    assert vocabulary.decode(vocabulary.encode(" ".join(some))) == " ".join(said)


@few
@given(st.lists(words), st.lists(words))
def test_more_words_leave_the_ids_of_the_first_ones(some, more):
    first, all_words = Vocabulary(some), Vocabulary(some + more)
    assert all_words.words[:len(first)] == first.words
    assert len(all_words) == len(set(all_words.words)) == len({*Vocabulary.SPECIAL, *some, *more})


def test_the_special_words_come_first_and_the_others_in_the_order_they_came():
    vocabulary = Vocabulary("the cat sat on the mat".split())
    assert vocabulary.words == ["<PAD>", "<START>", "<END>", "<UNK>", "the", "cat", "sat", "on", "mat"]
    ids = [vocabulary.pad_id, vocabulary.start_id, vocabulary.end_id, vocabulary.unk_id]
    assert [vocabulary.ids[word] for word in Vocabulary.SPECIAL] == ids == [0, 1, 2, 3]


def test_texts_become_a_rectangle_that_padding_fills_up():
    vocabulary = Vocabulary(["the", "cat", "sat"])
    ids = vocabulary.encode(["the cat sat", " the\n", "the dog"])
    assert np.array_equal(ids, [[4, 5, 6], [4, 0, 0], [4, 3, 0]])
    assert vocabulary.decode(ids) == ["the cat sat", "the", "the <UNK>"]
    assert vocabulary.encode("the cat").dtype.kind == ids.dtype.kind == "i"


@few
@given(seeds, st.integers(1, 9), st.integers(1, 9), st.lists(st.integers(1, 4), max_size=3))
def test_every_id_becomes_its_row(seed, n_vocab, d_model, shape):
    rng = np.random.default_rng(seed)
    table, ids = init_embedding(rng, n_vocab, d_model), rng.integers(0, n_vocab, shape)
    x = embed(ids, table)
    assert x.shape == (*shape, d_model)
    for place in np.ndindex(*shape):
        assert np.array_equal(x[place], table[ids[place]])


def test_a_table_has_rows_of_length_one_or_so():
    table = init_embedding(np.random.default_rng(0), 1000, 64)
    assert table.shape == (1000, 64) and table.dtype == np.float32
    assert np.mean(np.sum(table ** 2, axis=1)) == pytest.approx(1, rel=0.02)
    assert np.array_equal(table, init_embedding(np.random.default_rng(0), 1000, 64))


def test_embedding_changes_neither_the_ids_nor_the_table():
    ids, table = np.array([[1, 0], [1, 1]]), np.ones((2, 3))
    embed(ids, table)[:] = 7
    assert np.array_equal(ids, [[1, 0], [1, 1]]) and np.array_equal(table, np.ones((2, 3)))


@few
@given(st.integers(1, 50), st.integers(1, 20))
def test_the_waves_are_those_of_the_paper(length, d_model):
    waves = positional_encoding(length, d_model, np.float64)
    for pos in range(length):
        for column in range(d_model):
            i = column // 2
            wave = np.cos if column % 2 else np.sin
            assert waves[pos, column] == pytest.approx(wave(pos / 10000 ** (2 * i / d_model)), abs=1e-12)


@few
@given(even, st.integers(0, 300), st.integers(-300, 300))
def test_the_shift_matrix_moves_every_position(d_model, pos, k):
    waves = positional_encoding(301, d_model, np.float64)
    k = np.clip(pos + k, 0, 300) - pos
    assert np.allclose(waves[pos] @ shift_matrix(k, d_model, np.float64), waves[pos + k], rtol=0, atol=1e-9)


@few
@given(even, st.integers(-50, 50), st.integers(-50, 50))
def test_two_shifts_are_one_and_a_shift_can_be_undone(d_model, j, k):
    one, other, both = (shift_matrix(n, d_model, np.float64) for n in (j, k, j + k))
    assert np.allclose(one @ other, both, rtol=0, atol=1e-12)
    assert np.allclose(one @ one.T, np.eye(d_model), rtol=0, atol=1e-12)


@few
@given(even, st.integers(1, 200))
def test_every_position_is_as_long_as_every_other(d_model, length):
    norms = np.linalg.norm(positional_encoding(length, d_model, np.float64), axis=1)
    assert np.allclose(norms, np.sqrt(d_model / 2), rtol=1e-12)


@few
@given(even, st.integers(2, 100))
def test_products_of_positions_depend_on_their_distance_alone(d_model, length):
    waves = positional_encoding(length, d_model, np.float64)
    products = waves @ waves.T
    for distance in range(length):
        along = np.diagonal(products, distance)
        assert np.allclose(along, along[0], rtol=0, atol=1e-9)


def test_no_two_positions_are_the_same():
    assert len(np.unique(positional_encoding(1000, 16), axis=0)) == 1000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_the_one_asked_for(dtype):
    assert positional_encoding(3, 4, dtype).dtype == shift_matrix(2, 4, dtype).dtype == dtype
    assert embed(np.array([0, 1]), np.ones((2, 3), dtype)).dtype == dtype
    exact = positional_encoding(5000, 8, np.float64)
    assert np.allclose(positional_encoding(5000, 8, dtype), exact, rtol=0, atol=1e-7)


def test_without_a_word_about_the_dtype_it_is_float32():
    assert positional_encoding(3, 4).dtype == shift_matrix(2, 4).dtype == np.float32


TABLE, VOCABULARY = np.ones((6, 3)), Vocabulary(["a", "b"])


@pytest.mark.parametrize("call, message", [
    (lambda: embed(np.array([0, 6]), TABLE), "ids must lie between 0 and 5, for a vocabulary of 6; got 6"),
    (lambda: embed(np.array([-1, 0]), TABLE), "ids must lie between 0 and 5, for a vocabulary of 6; got -1"),
    (lambda: embed(np.array([1.0]), TABLE), "ids must be whole numbers; got dtype float64"),
    (lambda: embed(np.array([True]), TABLE), "ids must be whole numbers; got dtype bool"),
    (lambda: embed(np.array([], int), TABLE), "ids must hold at least one id; got shape (0,)"),
    (lambda: VOCABULARY.decode(np.array([6])), "ids must lie between 0 and 5, for a vocabulary of 6; got 6"),
    (lambda: VOCABULARY.decode(np.array([-1])), "ids must lie between 0 and 5, for a vocabulary of 6; got -1"),
    (lambda: VOCABULARY.decode(np.array([0.5])), "ids must be whole numbers; got dtype float64"),
    (lambda: VOCABULARY.decode(np.array([[False]])), "ids must be whole numbers; got dtype bool"),
    (lambda: VOCABULARY.decode([]), "ids must hold at least one id; got shape (0,)"),
    (lambda: Vocabulary("the cat"), "words must be a list of words; got one text, 'the cat'. Split it: text.split()"),
    (lambda: Vocabulary(["the", "cat sat"]), "words must be words without spaces; got 'cat sat'"),
    (lambda: Vocabulary(["the", ""]), "words must be words without spaces; got ''"),
    (lambda: Vocabulary(["the", " cat"]), "words must be words without spaces; got ' cat'"),
    (lambda: Vocabulary([1]), "words must be words without spaces; got 1"),
    (lambda: VOCABULARY.encode(""), "text must hold at least one word in every text; got ''"),
    (lambda: VOCABULARY.encode(["a", "  "]), "text must hold at least one word in every text; got '  '"),
    (lambda: VOCABULARY.encode(["a", 1]), "text must hold at least one word in every text; got 1"),
    (lambda: VOCABULARY.encode([]), "text must be a text, or a list of at least one; got []"),
    (lambda: VOCABULARY.encode(None), "text must be a text, or a list of at least one; got None"),
    (lambda: init_embedding(None, 0, 3), "n_vocab must be a whole number, at least 1; got 0"),
    (lambda: init_embedding(None, 3, -1), "d_model must be a whole number, at least 1; got -1"),
    (lambda: positional_encoding(0, 4), "length must be a whole number, at least 1; got 0"),
    (lambda: positional_encoding(2.5, 4), "length must be a whole number, at least 1; got 2.5"),
    (lambda: positional_encoding(True, 4), "length must be a whole number, at least 1; got True"),
    (lambda: positional_encoding(4, 0), "d_model must be a whole number, at least 1; got 0"),
    (lambda: shift_matrix(1, 0), "d_model must be a whole number, at least 1; got 0"),
    (lambda: shift_matrix(1, 5), "d_model must be even, so that every sine has its cosine; got 5"),
])
def test_bad_input_is_an_error_that_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_words_may_come_one_by_one():
    assert len(Vocabulary(word for word in ["a", "b"])) == 6


def test_one_id_is_decoded_too():
    assert Vocabulary(["a"]).decode(np.int64(4)) == "a"
