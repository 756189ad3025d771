"""What the learner's single file does when it is run: export.py puts it below their functions."""
import sys

import numpy as np

from ..embeddings import Vocabulary
from ..gpt import GPTConfig, TransformerLM, generate_text, transformer_lm
from ..training import cross_entropy, fit, teacher_forcing_pair, warmup_cosine

SENTENCES = [f"the {animal} {does}" for animal in ("cat", "dog") for does in ("sat on the mat", "ran fast")]


def main(prompt):
    """Train a GPT on four sentences, in seconds, and let it go on from a prompt."""
    vocabulary, rng = Vocabulary(" ".join(SENTENCES).split()), np.random.default_rng(0)
    batch = teacher_forcing_pair(vocabulary.encode([f"<START> {sentence} <END>" for sentence in SENTENCES]))
    config = GPTConfig(len(vocabulary), d_model=16, n_heads=4, n_layers=2, d_ff=16, max_length=16,
                       positions="sinusoidal", dropout=0.0, end_id=Vocabulary.end_id)
    model = TransformerLM.random(config, rng)

    def loss(params, inputs, labels, rng=None):
        return cross_entropy(transformer_lm(params, config, inputs, rng), labels, Vocabulary.pad_id)

    known = vocabulary.words[len(Vocabulary.SPECIAL):]
    if unknown := [word for word in prompt.split() if word not in known]:
        sys.exit(f"it does not know {unknown[0]!r}; it knows: {' '.join(known)}")
    run = fit(loss, model.params, lambda rng: batch, 400, rng, rate=lambda step: warmup_cosine(step, 0.01, 50, 400))
    print(f"{model.n_parameters:,} parameters, 400 steps: loss {run.losses[0]:.2f} -> {run.losses[-1]:.2f}")
    print(*generate_text(TransformerLM(config, run.params), vocabulary, [prompt] * 3, rng=rng), sep="\n")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
