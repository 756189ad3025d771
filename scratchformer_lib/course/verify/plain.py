"""What an answer gives, as plain data: out of the process that it ran in, and into the one that judges it.

Nothing is unpickled. What has no plain form comes across as a thing of the same type name.
"""
import base64
import functools

import numpy as np

from ..exercise import Attempt, Failure

KINDS = "biufcUSmM"                     # of dtypes that are plain numbers, text or times
DEEPEST, LONGEST, LARGEST = 30, 10_000, 4_000_000       # levels; characters and items; bytes of an array
MOST_ITEMS = 100_000


class TooLarge(Exception):
    """An answer gave more than anybody will compare."""


# ---- out ----------------------------------------------------------------------------------------------------------

def packed(attempts):
    """Attempts as data for JSON."""
    return [packed_attempt(attempt) for attempt in attempts]


def packed_attempt(attempt):
    error, value = attempt.error, None
    try:
        value = pack(attempt.value, [MOST_ITEMS])
    except TooLarge as large:
        error = error or Failure("TooLarge", str(large))
    except BaseException as strange:    # a class of their own, with methods that raise
        error = error or Failure(type(strange).__name__, "what it returned cannot be read")
    in_parts = error and [str(part)[:LONGEST] for part in (error.kind, error.message, error.line)]
    return {"value": value, "error": in_parts,
            "printed": attempt.printed, "changed": [str(name) for name in attempt.changed]}


def pack(value, left, depth=0):
    left[0] -= 1
    if left[0] < 0 or depth > DEEPEST:
        raise TooLarge("it returned more than anybody will look at")
    if value is None or isinstance(value, (bool, str)) or (isinstance(value, int) and value.bit_length() < 1000):
        return value[:LONGEST] if isinstance(value, str) else value
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind not in KINDS:
            return ["object", list(array.shape)] if isinstance(value, np.ndarray) else ["thing", type(value).__name__]
        if array.nbytes > LARGEST:
            raise TooLarge(f"it returned an array of shape {array.shape}, {array.nbytes / 1e6:.0f} MB")
        kind = "array" if isinstance(value, np.ndarray) else "number"
        return [kind, array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value[:LONGEST]).decode()]
    if isinstance(value, range):
        return ["range", value.start, value.stop, value.step]
    if isinstance(value, dict):
        return ["dict", [[pack(part, left, depth + 1) for part in pair] for pair in value.items()]]
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return [kind.__name__, [pack(part, left, depth + 1) for part in value]]
    return ["thing", type(value).__name__]


# ---- in -----------------------------------------------------------------------------------------------------------

def unpacked(data):
    """The Attempts in data from JSON. Where it is something else, raises any of many errors."""
    return [Attempt(unpack(one["value"]), one["error"] and Failure(*map(str, one["error"])), str(one["printed"]),
                    tuple(map(str, one["changed"]))) for one in data]


def unpack(data):
    if not isinstance(data, list):
        return data
    kind, *rest = data
    if kind in ("array", "number"):
        dtype, shape, text = rest
        if np.dtype(dtype).kind not in KINDS:
            raise ValueError(f"dtype {dtype}")
        array = np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
        return array if kind == "array" else array[()]
    if kind == "object":
        return np.broadcast_to(np.array(None), rest[0])     # its entries stay behind
    if kind == "dict":
        return {unpack(key): unpack(value) for key, value in rest[0]}
    if kind in ("list", "tuple", "set", "frozenset"):
        make = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind]
        return make(map(unpack, rest[0]))
    if kind == "complex":
        return complex(*rest)
    if kind == "bytes":
        return base64.b64decode(rest[0])
    if kind == "range":
        return range(*rest)
    return thing(str(rest[0]))()


@functools.cache
def thing(name):
    """A type of that name: what came back was of such a one."""
    return type(name[:50], (), {"__repr__": lambda self: f"<{name[:50]}>"})
