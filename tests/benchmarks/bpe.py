"""How fast the tokenizer learns and encodes, on Python's own documentation: python tests/benchmarks/bpe.py"""
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

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


def measure():
    """Print a line for learning and one for encoding."""
    text = "\n".join(topics.values())
    text = (text + "\n" + text)[:SIZE]                  # some versions of Python have a little less
    split_chunks("")                                    # makes its pattern, once
    size = len(text.encode()) / 1000
    seconds, tokenizer = best(lambda: train_bpe(text, 256 + N_MERGES))
    print(f"train_bpe: {N_MERGES} merges on {size:.0f} kB in {seconds:.2f} s")
    seconds, ids = best(lambda: BPETokenizer(tokenizer.merges).encode(text))            # a new one: nothing is kept yet
    print(f"encode: {size / seconds:,.0f} kB/s, {len(ids):,} tokens")


if __name__ == "__main__":
    measure()
