"""Values computed by PyTorch, for the library to agree with.

python tests/parity.py makes tests/parity/*.npz anew; it needs PyTorch. The tests read these files, and where PyTorch is
installed they also compute the values live (make test-slow).
"""
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).with_name("parity")


class Case(NamedTuple):
    function: str
    x: np.ndarray
    axis: int
    expected: np.ndarray

    def __str__(self):
        return f"{self.function}-{self.x.dtype}-{'x'.join(map(str, self.x.shape))}-axis{self.axis}"


def inputs_of_softmax():
    rng = np.random.default_rng(20)
    for shape, axis in (((7,), -1), ((3, 5), 0), ((2, 3, 4), 1), ((2, 3, 4, 5), -1), ((3, 2, 50), -1)):
        for scale in (1, 100):
            yield scale * rng.standard_normal(shape), axis


def live(name):
    """The cases, computed now by PyTorch."""
    import torch
    for x, axis in {"softmax": inputs_of_softmax}[name]():
        for dtype in (np.float64, np.float32):
            for function in ("softmax", "log_softmax"):
                x_torch = torch.from_numpy(x.astype(dtype))
                y = getattr(torch.nn.functional, function)(x_torch, dim=axis)
                yield Case(function, x.astype(dtype), axis, y.numpy())


def stored(name):
    """The cases as PyTorch once computed them."""
    with np.load(FOLDER / f"{name}.npz") as file:
        n = len(file["axis"])
        return [Case(str(file["function"][i]), file[f"x{i}"], int(file["axis"][i]), file[f"y{i}"]) for i in range(n)]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    cases = list(live("softmax"))
    arrays = {f"x{i}": case.x for i, case in enumerate(cases)}
    arrays |= {f"y{i}": case.expected for i, case in enumerate(cases)}
    np.savez_compressed(FOLDER / "softmax.npz", function=[case.function for case in cases],
                        axis=[case.axis for case in cases], **arrays)
