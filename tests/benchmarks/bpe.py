"""How fast the tokenizer learns and encodes, on Python's own documentation: python tests/benchmarks/bpe.py"""
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))    # so that any Python with NumPy can run this

from scratchformer_lib.support.bpe import split_chunks
from scratchformer_lib.tokenizer import BPETokenizer, train_bpe

SIZE, N_MERGES = 500_000, 1000


def best(f, times=3):
    """The shortest time of a few calls, in seconds, and what the last one returned."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        result = f()
        taken.append(time.perf_counter() - start)
    return min(taken), result


def measure(size=SIZE, times=3):
    """Learn and encode so many characters, the best of some times. Returns what came of it, in kB and seconds."""
    text = "\n".join(topics.values())
    text = (text + "\n" + text)[:size]                  # some versions of Python have a little less
    split_chunks("")                                    # makes its pattern, once
    learning, tokenizer = best(lambda: train_bpe(text, 256 + N_MERGES), times)
    encoding, ids = best(lambda: BPETokenizer(tokenizer.merges).encode(text), times)    # a new one: nothing is kept yet
    return {"kB": len(text.encode()) / 1000, "merges": len(tokenizer.merges), "learning": learning,
            "encoding": encoding, "tokens": len(ids)}


def sentence(found):
    return (f"Tokenizer: {found['merges']:,} merges learned on {found['kB']:.0f} kB in {found['learning']:.2f} s; "
            f"encoding {found['kB'] / found['encoding']:,.0f} kB/s.")


if __name__ == "__main__":
    print(sentence(measure()))
