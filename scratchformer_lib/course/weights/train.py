"""Train the models that the course shows: python -m scratchformer_lib.course.weights.train

Each takes seconds, and comes out of random numbers and of rules that make its data; nothing else goes in. The numbers
are the same on every run on one machine; another BLAS may move their last digits, and with them all that follows.
"""
from dataclasses import asdict

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ...attention import causal_mask
from ...embeddings import Vocabulary, init_embedding
from ...encoder import embed_sequence, encoder, init_encoder
from ...multi_head import init_multi_head, linear, multi_head_attention
from ...support.files import save_model
from ...training import cross_entropy, exact_match, fit, numbers_task, teacher_forcing_pair, warmup_cosine
from ...transformer import TransformerConfig, init_transformer, transformer
from . import FOLDER

SENTENCES = [f"<START> the {animal} {does} <END>"
             for animal in ("cat", "dog") for does in ("sat on the mat", "ran fast")]
PLACES = {"cat": "mat", "dog": "rug", "bird": "bed", "fish": "chair"}
VERBS = ("sat", "slept", "stood", "lay")


def trained(loss, params, draw, n_steps, seed, peak=0.01, ignore_id=None):
    """fit, with the settings that all models here have in common."""
    with tqdm(total=n_steps) as bar:
        run = fit(loss, params, draw, n_steps, np.random.default_rng(seed), on_step=lambda step: bar.update(),
                  rate=lambda step: warmup_cosine(step, peak, 50, n_steps), ignore_id=ignore_id)
    print(f"loss {run.losses[0]:.3f} -> {run.losses[-1]:.3f}")
    return run.params


def heads():
    """A language model of attention alone: one layer of two heads, with what it adds, and a matrix. For chapter 04."""
    vocabulary, (inputs, labels) = sentences()
    d_model, n_heads, rng = 16, 2, np.random.default_rng(0)
    params = {"table": init_embedding(rng, len(vocabulary), d_model),
              "attention": init_multi_head(rng, d_model, n_heads),
              "output": {"W": np.zeros((d_model, len(vocabulary)), np.float32)}}

    def loss(params, inputs, labels, rng=None):
        x = embed_sequence(inputs, params["table"])
        y, _ = multi_head_attention(x, x, **params["attention"], n_heads=n_heads, mask=causal_mask(inputs.shape[1]))
        return cross_entropy(linear(x + y, **params["output"]), labels, Vocabulary.pad_id)

    params = trained(loss, params, lambda rng: (inputs, labels), 400, 0)
    return {"words": vocabulary.words, "n_heads": n_heads}, params


def writer():
    """A language model: two pre-norm blocks and a tied table, about 3,500 parameters. For chapters 00 and 05."""
    vocabulary, (inputs, labels) = sentences()
    d_model, n_heads, rng = 16, 4, np.random.default_rng(0)
    params = {"table": init_embedding(rng, len(vocabulary), d_model),
              "blocks": init_encoder(rng, 2, d_model, n_heads, d_ff=16, pre_norm=True)}

    def loss(params, inputs, labels, rng=None):
        x = encoder(embed_sequence(inputs, params["table"]), params["blocks"], n_heads,
                    causal_mask(inputs.shape[1]), pre_norm=True)
        return cross_entropy(linear(x, params["table"].T), labels, Vocabulary.pad_id)

    params = trained(loss, params, lambda rng: (inputs, labels), 1000, 0)
    return {"words": vocabulary.words, "n_heads": n_heads}, params


def sentences():
    """The four sentences: their vocabulary, and (inputs, labels)."""
    vocabulary = Vocabulary(" ".join(SENTENCES).split())
    return vocabulary, teacher_forcing_pair(vocabulary.encode(SENTENCES))


def blanks(causal=False):
    """An encoder that fills a blank, where every animal has a place of its own. For chapter 06.

    causal: with a causal mask, to see what that costs.
    """
    texts = [f"the {animal} {verb} on the {place}" for animal, place in PLACES.items() for verb in VERBS]
    vocabulary = Vocabulary(" ".join(texts).split())
    ids = vocabulary.encode([text for i, text in enumerate(texts) if i % 4 != 1])      # without those of "slept"
    d_model, n_heads, rng = 32, 4, np.random.default_rng(0)
    params = {"table": init_embedding(rng, len(vocabulary), d_model),
              "encoder": init_encoder(rng, 2, d_model, n_heads, d_ff=64, pre_norm=True),
              "output": {"W": np.zeros((d_model, len(vocabulary)), np.float32)}}
    mask = causal_mask(ids.shape[1]) if causal else None

    def draw(rng):
        rows = ids[rng.integers(0, len(ids), 32)]
        hidden = np.arange(ids.shape[1]) == rng.integers(0, ids.shape[1], (32, 1))
        return np.where(hidden, Vocabulary.unk_id, rows), np.where(hidden, rows, Vocabulary.pad_id)

    def loss(params, inputs, labels, rng=None):
        x = encoder(embed_sequence(inputs, params["table"]), params["encoder"], n_heads, mask, pre_norm=True)
        return cross_entropy(linear(x, **params["output"]), labels, Vocabulary.pad_id)

    params = trained(loss, params, draw, 300, 0, ignore_id=Vocabulary.pad_id)
    return {"words": vocabulary.words, "n_heads": n_heads}, params


def blanks_causal():
    """The same with a causal mask."""
    return blanks(causal=True)


def translator():
    """Numbers from English to German, 1 to 999, of which 200 are never shown. For chapters 00, 07 and 08."""
    numbers = np.random.default_rng(0).permutation(np.arange(1, 1000))
    task, never_seen = numbers_task(numbers[200:]), np.sort(numbers[:200])
    config = TransformerConfig(len(task.source), len(task.target), d_model=32, n_heads=4, d_ff=64, n_encoder_layers=1,
                               n_decoder_layers=1, max_length=12, pre_norm=True, dropout=0.0)

    def loss(params, src, inputs, labels, rng=None):
        return cross_entropy(transformer(params, config, src, inputs, rng), labels, Vocabulary.pad_id)

    params = trained(loss, init_transformer(np.random.default_rng(1), config), task.batch, 1500, 0,
                     ignore_id=Vocabulary.pad_id)
    unseen = numbers_task(never_seen)
    src, tgt = unseen.draw(np.random.default_rng(0), 1000)
    print(f"{exact_match(params, config, src, tgt):.1%} of numbers never seen")
    return {"source": task.source.words, "target": task.target.words, "never_seen": never_seen.tolist(),
            "sizes": asdict(config)}, params


if __name__ == "__main__":
    with threadpool_limits(1):                          # the same digits on any number of cores
        for make in (heads, writer, blanks, blanks_causal, translator):
            print(make.__name__)
            save_model(FOLDER / f"{make.__name__}.npz", make.__name__, *make())
