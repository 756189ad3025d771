"""Files that are whole or not there, models in files, and numbers in words."""
import dataclasses
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scratchformer_lib.support import files
from scratchformer_lib.support.files import aside, flat, load_model, nested, save_model
from scratchformer_lib.support.number_words import in_english, in_german
from scratchformer_lib.support.shapes import check_same_shapes
from scratchformer_lib.transformer import Transformer, TransformerConfig, init_transformer

CONFIG = TransformerConfig(9, 7, 8, 2, 12, 1, 1)
PARAMS = {"table": np.arange(6, dtype=np.float32).reshape(2, 3), "layer_1": {"norm": {"gamma": np.ones(2, np.float32)}}}


def model_of(config=CONFIG, dtype=np.float32):
    params = flat(init_transformer(np.random.default_rng(0), config))
    return Transformer(config, nested({name: p.astype(dtype) for name, p in params.items()}))


def same_trees(a, b):
    a, b = flat(a), flat(b)
    return list(a) == list(b) and all(x.dtype == b[name].dtype and x.tobytes() == b[name].tobytes()
                                      and x.shape == b[name].shape for name, x in a.items())


@pytest.fixture
def saved(tmp_path):
    """A Transformer in a file."""
    path = tmp_path / "model.npz"
    model_of().save(path)
    return path


def refused(path, words=""):
    """It is a ValueError, which names the file."""
    with pytest.raises(ValueError) as error:
        Transformer.load(path)
    assert str(path) in str(error.value) and words in str(error.value)
    return str(error.value)


# What is saved comes back

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fields", [
    {}, {"pre_norm": True, "activation": "gelu", "dropout": 0.25, "d_k": 3, "d_v": 5, "n_encoder_layers": 11},
    {"n_src_vocab": 7, "shared_embeddings": True, "tied_output": True, "scale_embeddings": False}])
def test_a_model_comes_back_to_the_bit(tmp_path, dtype, fields):
    model = model_of(dataclasses.replace(CONFIG, **fields), dtype)
    model.params["source_table"][0, :3] = np.nan, -0.0, np.inf
    model.save(tmp_path / "model.npz")
    again = Transformer.load(tmp_path / "model.npz")
    assert again.config == model.config and same_trees(again.params, model.params)
    src, tgt = np.array([[3, 4, 5]]), np.array([[1, 4]])
    assert again(src, tgt).tobytes() == model(src, tgt).tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_a_path_is_a_text_or_a_path_and_is_taken_to_the_letter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("a", Path("b.npz"), tmp_path / "c.model"):
        model_of().save(path)
        assert Transformer.load(path).config == CONFIG
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.npz", "c.model"]


def test_sizes_that_numpy_counted_can_be_saved(tmp_path):
    ids = np.array([3, 8, 4])
    config = dataclasses.replace(CONFIG, n_src_vocab=ids.max() + 1)
    model_of(config).save(tmp_path / "model.npz")
    assert Transformer.load(tmp_path / "model.npz").config == config


def test_flat_and_nested_undo_each_other():
    assert list(flat(PARAMS)) == ["table", "layer_1/norm/gamma"]
    assert same_trees(nested(flat(PARAMS)), PARAMS) and nested(flat(PARAMS)).keys() == PARAMS.keys()
    assert flat({}) == nested({}) == {}


def test_a_file_holds_no_pickle(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert json.loads(str(file["about"])) == {"format": 1, "kind": "Transformer",
                                                  "config": dataclasses.asdict(CONFIG)}
        assert {"about", *flat(model_of().params)} == set(file.files)
        assert not any(file[name].dtype.hasobject for name in file.files)


# What is no model, or no longer whole

@pytest.mark.parametrize("name", ["about", "source_table"])
def test_a_pickle_is_refused_and_not_run(saved, tmp_path, name):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()
    with np.load(saved) as file:
        arrays = {**file} | {name: np.array([Trap()], dtype=object)}
    np.savez(saved, allow_pickle=True, **arrays)
    refused(saved, "must be a model that this library saved; it is something else, or damaged")
    assert not (tmp_path / "sprung").exists()


def test_half_a_file_is_refused(saved):
    whole = saved.read_bytes()
    for length in range(0, len(whole), 50):
        saved.write_bytes(whole[:length])
        refused(saved, "something else, or damaged")
    saved.write_bytes(whole[:-1])
    refused(saved, "something else, or damaged")


def test_a_changed_number_is_refused(saved):
    whole = saved.read_bytes()
    for p in flat(model_of().params).values():
        for place in (whole.index(p.tobytes()), whole.index(p.tobytes()) + p.nbytes - 1):
            saved.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
            refused(saved, "something else, or damaged")


@pytest.mark.parametrize("flip", [0x01, 0x40, 0xff])
def test_wherever_a_byte_is_wrong_a_file_is_refused_or_holds_the_same(tmp_path, flip):
    path = tmp_path / "model.npz"
    save_model(path, "Tiny", {"n": 2}, PARAMS)
    whole, n_refused = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1:])
        try:
            config, params = load_model(path, "Tiny")
            check_same_shapes(params, PARAMS)               # as Transformer.load does
        except ValueError:
            n_refused += 1
        else:
            assert config == {"n": 2} and same_trees(params, PARAMS)
    assert len(whole) // 2 < n_refused < len(whole)         # a wrong date, say, does no harm


def an_npz(about=None, **arrays):
    file = io.BytesIO()
    np.savez(file, **({} if about is None else {"about": json.dumps(about)}), **arrays)
    return file.getvalue()


def an_npy():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def a_damaged_compressed_npz():
    file = io.BytesIO()
    np.savez_compressed(file, about=json.dumps({"format": 1, "kind": "Transformer", "config": {}}))
    content = bytearray(file.getvalue())
    content[80:90] = b"\xff" * 10
    return bytes(content)


def a_zip(**texts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return file.getvalue()


@pytest.mark.parametrize("content", [
    b"", b"\0" * 100, b"a text\n", b"PK\x03\x04", an_npy(), an_npz(x=np.zeros(3)), a_damaged_compressed_npz(),
    a_zip(notes="a text"), a_zip(about='{"format": 1}'), an_npz([1, 2]), an_npz("a text"),
    an_npz({"kind": "Transformer"}), an_npz({"format": 1, "kind": "Transformer"}), an_npz({"format": 1, "config": {}}),
    an_npz({"format": "one", "kind": "Transformer", "config": {}}), an_npz({"format": None, "kind": "", "config": {}})])
def test_what_is_something_else_is_refused(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    refused(path)


def test_what_is_in_an_archive_and_no_array_is_refused(saved):
    with zipfile.ZipFile(saved) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    saved.write_bytes(a_zip(**parts | {"source_table.npy": "a text"}))
    refused(saved)


def saved_as(path, kind="Transformer", version=1, config=None, **changes):
    """The usual Transformer, written by hand."""
    about = {"format": version, "kind": kind, "config": config or dataclasses.asdict(CONFIG)}
    path.write_bytes(an_npz(about, **{name: p for name, p in (flat(model_of().params) | changes).items()
                                      if p is not None}))
    return path


def test_another_kind_of_model_and_a_newer_format_are_refused_by_name(tmp_path):
    path = tmp_path / "model.npz"
    assert Transformer.load(saved_as(path)).config == CONFIG
    refused(saved_as(path, kind="TransformerLM"), "must hold a Transformer; it holds a TransformerLM")
    refused(saved_as(path, version=2), "must be of format 1 or older; got 2, which a newer version of this library")
    refused(saved_as(path, version=2, config={"new": 1}), "must be of format 1 or older; got 2")


@pytest.mark.parametrize("config, changes, message", [
    ({"n_experts": 8}, {}, "unexpected keyword argument 'n_experts'"),
    ({"d_model": 10}, {}, "source_table must have shape (9, 10), for this config; got (9, 8)"),
    ({"n_heads": 3}, {}, "must be divisible by n_heads = 3; got 8"),
    ({"n_encoder_layers": 2}, {}, "params must hold encoder/layer_2/attention/W_Q, of shape (8, 8); it is missing"),
    ({"tied_output": True}, {}, "params must fit the config, which has no output/W"),
    ({}, {"output/b": None}, "params must hold output/b, of shape (7,); it is missing"),
    ({}, {"output/c": np.zeros(7, np.float32)}, "params must fit the config, which has no output/c"),
    ({}, {"output/b": np.zeros(8, np.float32)}, "output/b must have shape (7,), for this config; got (8,)"),
    ({}, {"output/b": np.zeros(7, int)}, "params must be arrays of floats, all of one dtype; got "),
])
def test_a_config_that_does_not_fit_is_refused_with_the_reason(tmp_path, config, changes, message):
    path = saved_as(tmp_path / "model.npz", config=dataclasses.asdict(CONFIG) | config, **changes)
    assert "must hold a Transformer that fits its config: " in refused(path, message)


@pytest.mark.parametrize("config", [[1, 2], "a text", {"n_src_vocab": 9}, {"n_src_vocab": "9", "n_tgt_vocab": "7"}])
def test_a_config_that_is_none_is_refused(tmp_path, config):
    refused(saved_as(tmp_path / "model.npz", config=config), "must hold a Transformer that fits its config: ")


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="model.npz"):
        Transformer.load(tmp_path / "model.npz")


# Whole, or not there

def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    before = saved.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(files.np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        model_of().save(saved)
    with pytest.raises(OSError, match="No space left"):
        model_of().save(saved.with_name("new.npz"))
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_goes_wrong_the_old_file_stays(tmp_path, error):
    path = tmp_path / "notes.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(error), aside(path) as file:
        file.write(b"new")
        raise error
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"old")
    with aside(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_of().save(tmp_path / "missing/model.npz")
    assert not any(tmp_path.iterdir())


def test_a_folder_of_that_name_stays(tmp_path):
    (tmp_path / "model.npz").mkdir()
    with pytest.raises(OSError):
        model_of().save(tmp_path / "model.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


# Numbers in words

@pytest.mark.parametrize("n, english, german", [
    (0, "zero", "null"), (1, "one", "eins"), (7, "seven", "sieben"), (11, "eleven", "elf"), (12, "twelve", "zwölf"),
    (16, "sixteen", "sechzehn"), (17, "seventeen", "siebzehn"), (19, "nineteen", "neunzehn"),
    (20, "twenty", "zwanzig"), (21, "twenty one", "ein und zwanzig"), (30, "thirty", "dreißig"),
    (42, "forty two", "zwei und vierzig"), (67, "sixty seven", "sieben und sechzig"), (70, "seventy", "siebzig"),
    (99, "ninety nine", "neun und neunzig"), (100, "one hundred", "ein hundert"),
    (101, "one hundred one", "ein hundert eins"), (111, "one hundred eleven", "ein hundert elf"),
    (121, "one hundred twenty one", "ein hundert ein und zwanzig"), (200, "two hundred", "zwei hundert"),
    (321, "three hundred twenty one", "drei hundert ein und zwanzig"),
    (840, "eight hundred forty", "acht hundert vierzig"),
    (999, "nine hundred ninety nine", "neun hundert neun und neunzig")])
def test_numbers_are_said_as_people_say_them(n, english, german):
    assert (in_english(n), in_german(n), in_german(np.int64(n))) == (english, german, german)


@pytest.mark.parametrize("say, n_words", [(in_english, 28 + 1), (in_german, 28 + 3)])
def test_no_two_numbers_are_said_alike(say, n_words):
    texts = [say(n) for n in range(1000)]
    assert len(set(texts)) == 1000 and all(text == " ".join(text.split()) for text in texts)
    assert len({word for text in texts for word in text.split()}) == n_words      # hundred; hundert, und, ein


@pytest.mark.parametrize("say", [in_english, in_german])
@pytest.mark.parametrize("n, message", [
    (-1, "n must be a whole number, at least 0; got -1"), (1000, "n must be at most 999; got 1000"),
    (2.0, "n must be a whole number, at least 0; got 2.0"), ("7", "n must be a whole number, at least 0; got '7'"),
    (True, "n must be a whole number, at least 0; got True")])
def test_other_numbers_are_refused(say, n, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        say(n)
