"""Writing: 200 tokens after one, each the likeliest, with a KV cache and without; ours, and PyTorch's with a cache."""
import os

from shared import Sizes
from turns import CORETYPE, Worker

MODEL, N_TOKENS = "generation", 200
PROMPTS = [[3], [1], [4], [0]]
SIZES = Sizes(B=1, T=256, D=128, H=4, n_layers=4, n_vocab=65)      # T: the most that it can look back on
WITHOUT, QUICK = "ours without a cache, 1 thread", "PyTorch without modules"
COMPARED = [(f"{QUICK}, 2 threads", "ours, 2 threads"), (f"{QUICK}, 1 thread", "ours, 1 thread"),
            (WITHOUT, "ours, 1 thread")]


def variants(sizes, torch):
    """The workers. torch: a Python that has PyTorch, or None."""
    workers = [Worker(WITHOUT, "ours", MODEL, sizes, 1, use_cache=False)]
    for n, threads in (2, "2 threads"), (1, "1 thread"):
        workers.append(Worker(f"ours, {threads}", "ours", MODEL, sizes, n))
        if os.environ.get(CORETYPE):
            workers.append(Worker(f"ours, {threads}, free", "ours", MODEL, sizes, n, unset=True))
        if torch:
            workers.append(Worker(f"PyTorch, {threads}", "PyTorch", MODEL, sizes, n, torch))
            workers.append(Worker(f"{QUICK}, {threads}", "PyTorch", MODEL, sizes, n, torch, modules=False))
    return workers
