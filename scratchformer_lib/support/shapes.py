"""Trees of parameters compared by their shapes, without the memory that the parameters would take."""
from .trees import flat


def check_same_shapes(params, expected):
    """Both trees must hold arrays of the same names and shapes; the error names the first that differ."""
    given, wanted = flat(params), flat(expected)
    dtypes = {getattr(x, "dtype", type(x).__name__) for x in given.values()}
    if len(dtypes) > 1 or any(getattr(dtype, "kind", "") != "f" for dtype in dtypes):
        raise ValueError(f"params must be arrays of floats, all of one dtype; got {', '.join(map(str, dtypes))}")
    for name in [*wanted, *given]:
        if name not in given:
            raise ValueError(f"params must hold {name}, of shape {wanted[name].shape}; it is missing")
        if name not in wanted:
            raise ValueError(f"params must fit the config, which has no {name}")
        if given[name].shape != wanted[name].shape:
            raise ValueError(f"{name} must have shape {wanted[name].shape}, for this config; got {given[name].shape}")


class OnlyShapes:
    """Stands in for a np.random.Generator where only the shapes matter of what an init_* function would draw."""

    def standard_normal(self, shape, dtype):
        return Shaped(shape)


class Shaped:
    """What OnlyShapes draws: a shape, which the scaling in init_* functions leaves as it is."""

    def __init__(self, shape):
        self.shape = tuple(shape)

    def __mul__(self, factor):
        return self

    __truediv__ = __mul__
