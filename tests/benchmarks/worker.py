"""One process of the benchmark. It holds one variant, and works when it is asked to.

Its command line has the variant, as JSON. It reads lines such as "time 5" and answers each with a line of JSON:
losses n (what the next n steps return: losses, or the ids that were written), time n (the median seconds of n steps,
and the processor time of all), memory n (the most bytes that n steps hold), versions n (of what it computes with).
"""
import itertools
import json
import statistics
import sys
import time
import tracemalloc

import generation
from shared import Sizes


def make_step(kind, model, sizes, threads, by_hand=True, workers=1, use_cache=True, modules=True):
    sizes = Sizes(**sizes)
    if kind == "PyTorch":
        import baseline
        if model == generation.MODEL:
            return baseline.make_writer(sizes, threads, modules)
        return baseline.make_step(model, sizes, threads)
    import ours
    if model == generation.MODEL:
        return ours.make_writer(sizes, use_cache)
    if kind == "products":
        return ours.make_products(model, sizes)
    return ours.make_step(model, sizes, by_hand, workers)


def losses(step, n):
    return [step() for _ in range(n)]


def seconds(step, n):
    """The median of n steps, and the processor time of all that ran here."""
    before = time.process_time()
    step()                                              # what other processes took away from the cache comes back
    times = [time.perf_counter()]
    for _ in range(n):
        step()
        times.append(time.perf_counter())
    return statistics.median(end - start for start, end in itertools.pairwise(times)), time.process_time() - before


def memory(step, n):
    """The most bytes that n steps hold at a time, beyond what is there before: of NumPy's arrays, and Python's."""
    tracemalloc.start()
    losses(step, n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def versions(step, n):
    """PyTorch's version; or which BLAS NumPy has loaded, and for which processor it computes."""
    if "torch" in sys.modules:
        return sys.modules["torch"].__version__
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "not known without threadpoolctl"
    return ", ".join(f"{blas['internal_api']} {blas.get('version')} for {blas.get('architecture', 'any')}"
                     for blas in threadpool_info() if blas["user_api"] == "blas")


if __name__ == "__main__":
    variant = make_step(**json.loads(sys.argv[1]))
    answers = {"losses": losses, "time": seconds, "memory": memory, "versions": versions}
    for line in sys.stdin:
        request, n = line.split()
        print(json.dumps(answers[request](variant, int(n))), flush=True)
