"""Where a training has got to, in a file: parameters, optimizer, losses, the random numbers to come."""
from dataclasses import replace

import numpy as np

from .files import load_model, save_model
from .shapes import check_same_shapes
from .trees import flat


def save_checkpoint(path, now, losses, settings):
    """Write a checkpoint. now: a Checkpoint of chapter 10. losses: a list. settings: a text."""
    about = {"step": now.step, "rng": now.rng, "settings": settings, "validations": now.validations}
    save_model(path, "checkpoint", about, {"params": now.params, "best": now.best, "state": now.state,
                                           "losses": np.array(losses)})


def load_checkpoint(path, start, settings):
    """Read a checkpoint: (a Checkpoint, losses). start: where a training like it begins.

    Raises ValueError where it is damaged, or of another model, other settings or another kind of random generator.
    """
    about, arrays = load_model(path, "checkpoint")
    try:
        if about["settings"] != settings:
            raise ValueError(f"its settings are {about['settings']}; this training has {settings}")
        if about["rng"]["bit_generator"] != start.rng["bit_generator"]:
            raise ValueError(f"its random numbers are from {about['rng']['bit_generator']}; this training has "
                             f"{start.rng['bit_generator']}")
        dtypes = [next(iter(flat(params).values())).dtype for params in (arrays["params"], start.params)]
        if dtypes[0] != dtypes[1]:
            raise ValueError(f"its params are {dtypes[0]}; those of this training are {dtypes[1]}")
        check_same_shapes(arrays["params"], start.params)
        check_same_shapes(arrays["best"], start.params)
        numbers = {name: int(arrays["state"].pop(name)) for name, x in start.state.items() if isinstance(x, int)}
        for name in start.state.keys() - numbers.keys():
            check_same_shapes(arrays["state"][name], start.state[name])
        now = replace(start, step=int(about["step"]), params=arrays["params"], best=arrays["best"],
                      state={**arrays["state"], **numbers}, rng=about["rng"],
                      validations={int(step): value for step, value in about["validations"].items()})
        return now, [float(loss) for loss in arrays["losses"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must be a checkpoint of this training; move it away, or name another file "
                         f"({error})") from error
