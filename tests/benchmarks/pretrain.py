"""A GPT trained on Python's documentation by the library, as a preset says: its validation loss, and how long it took.

python tests/benchmarks/pretrain.py [--preset minute] [--workers 2] [--steps 2000]
"""
import argparse
import dataclasses
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))    # so that any Python with NumPy can run this

import numpy as np

from scratchformer_lib.minigpt import PRESETS, CharTokenizer, bits_per_byte, estimate_loss, hold_out, lm_loss, train
from scratchformer_lib.support.data import load_text

AT_MOST = 1.42                          # nats per character: what the first preset has to reach
N_BATCHES = 100                         # of windows of the held-out text, for the loss at the end


def pretrain(preset, workers=2, say=lambda step: None):
    """Train, and return what came of it: validation loss, bits per byte, seconds, and the sizes of the text."""
    text = load_text()
    training, validation = hold_out(text)
    tokenizer = CharTokenizer(text)
    training_ids, validation_ids = map(tokenizer.encode, (training, validation))
    start = time.perf_counter()
    model, _ = train(preset, training_ids, validation_ids, len(tokenizer), np.random.default_rng(0),
                     every=max(preset.n_steps // 4, 1), workers=workers, say=None,
                     on_step=lambda step: say(step) if step.validation is not None else None)
    seconds = time.perf_counter() - start
    loss = estimate_loss(lm_loss(model.config), model.params, validation_ids, preset.n_rows, preset.length, N_BATCHES)
    return {"validation": loss, "bits per byte": bits_per_byte(loss, validation, tokenizer), "seconds": seconds,
            "steps": preset.n_steps, "workers": workers, "characters": len(text), "tokens": len(tokenizer)}


def sentence(found):
    return (f"Training: {found['steps']:,} steps on {found['characters']:,} characters in {found['seconds']:.0f} s, "
            f"{found['workers']} workers; validation {found['validation']:.3f} nats per character (at most {AT_MOST}), "
            f"{found['bits per byte']:.2f} bits per byte.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default=next(iter(PRESETS)))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    arguments = parser.parse_args()
    preset = PRESETS[arguments.preset]
    if arguments.steps:
        preset = dataclasses.replace(preset, n_steps=arguments.steps)
    found = pretrain(preset, arguments.workers, lambda step: print(
        f"step {step.step} of {step.n_steps}: loss {step.loss:.3f}, validation {step.validation:.3f}", flush=True))
    print(sentence(found))
    if preset == next(iter(PRESETS.values())) and found["validation"] > AT_MOST:
        sys.exit(f"the validation loss must be at most {AT_MOST}")


if __name__ == "__main__":
    main()
