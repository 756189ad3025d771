"""What all models have in common: a config and parameters in one object, which can be counted, saved and loaded."""
from dataclasses import asdict

from .files import load_model, save_model
from .shapes import OnlyShapes, check_same_shapes
from .trees import flat


class Model:
    """A config and its parameters. A model names its config_class, and the function draw(rng, config) that draws them.

    Raises ValueError where an array is missing, is not in the config, or has another shape.
    """
    config_class = draw = None

    def __init__(self, config, params):
        check_same_shapes(params, self.draw(OnlyShapes(), config))
        self.config, self.params = config, params

    @classmethod
    def random(cls, config, rng):
        """A model of this config, its parameters drawn from rng, a np.random.Generator."""
        return cls(config, cls.draw(rng, config))

    @property
    def n_parameters(self):
        """How many numbers there are in it; what is shared counts once."""
        return sum(x.size for x in flat(self.params).values())

    def summary(self):
        """A table: how many of the parameters each part has, as a text. A stack of layers is listed layer by layer."""
        parts = {}
        for name, x in flat(self.params).items():
            first, *rest = name.split("/")
            part = f"{first}, {rest[0]}" if rest and "layer_1" in self.params[first] else first
            parts[part] = parts.get(part, 0) + x.size
        parts["all"] = self.n_parameters
        return "\n".join(f"{part:22}{n:>15,}{n / self.n_parameters:>8.1%}" for part, n in parts.items())

    def save(self, path):
        """Write config and parameters to a file, .npz. The file is whole or not there."""
        save_model(path, type(self).__name__, asdict(self.config), self.params)

    @classmethod
    def load(cls, path):
        """Read a model that was saved. Raises ValueError where the file is damaged, newer, or of another model."""
        config, params = load_model(path, cls.__name__)
        try:
            return cls(cls.config_class(**config), params)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} must hold a {cls.__name__} that fits its config: {error}") from error
