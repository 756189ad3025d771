"""A batch shared out among threads, each with one BLAS thread: NumPy works outside of Python's lock.

One thread has one BLAS thread, too: several get in each other's way where matrices are small or the machine is busy.
"""
import contextlib
import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .trees import flat, nested


def shared_out(differentiate, n_workers, n_labels):
    """Make a function that does what `differentiate` does, with n_workers threads, each on a share of the rows.

    differentiate: a function of params, the arrays of a batch, (B, ...) each, and rng, that returns (loss, gradients)
    of a mean over labels. n_labels: a function of a batch: how many labels count in it. So much does a share weigh.
    """
    threads, one_blas_thread = ThreadPoolExecutor(n_workers), blas_limit()

    def alone(params, *batch, rng=None):
        with one_blas_thread():
            return differentiate(params, *batch, rng=rng)

    def run(params, *batch, rng=None):
        shares = [share for share in zip(*(np.array_split(x, n_workers) for x in batch), strict=True)
                  if n_labels(share)]
        if not shares:
            return differentiate(params, *batch, rng=rng)       # it says what is wrong
        seeds = [None] * len(shares) if rng is None else copy.deepcopy(rng).integers(2**63, size=len(shares))
        rngs = [seed if seed is None else np.random.default_rng(seed) for seed in seeds]    # of a copy: rng stays
        with one_blas_thread():
            started = [threads.submit(differentiate, params, *share, rng=rng)
                       for share, rng in zip(shares, rngs, strict=True)]
            results = [job.result() for job in started]
        weights = [n_labels(share) / n_labels(batch) for share in shares]
        parts = [flat(gradients) for _, gradients in results]
        gradients = {name: sum(weight * part[name] for weight, part in zip(weights, parts, strict=True))
                     for name in parts[0]}
        return sum(weight * loss for weight, (loss, _) in zip(weights, results, strict=True)), nested(gradients)
    return alone if n_workers == 1 else run


def blas_limit():
    """A function whose result, in a `with`, leaves one thread to BLAS; without threadpoolctl it does nothing."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return contextlib.nullcontext
    controller = ThreadpoolController()
    return lambda: controller.limit(limits=1, user_api="blas")
