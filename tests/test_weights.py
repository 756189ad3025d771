"""The trained models that chapters 00 to 08 show, and the script that makes them."""
import numpy as np
import pytest

from scratchformer_lib.course import weights
from scratchformer_lib.course.weights import train
from scratchformer_lib.embeddings import Vocabulary
from scratchformer_lib.encoder import embed_sequence, encoder
from scratchformer_lib.support.number_words import in_english, in_german
from scratchformer_lib.support.trees import flat

NAMES = ["heads", "writer", "blanks", "blanks_causal", "translator"]


def test_they_are_small():
    files = sorted(weights.FOLDER.glob("*.npz"))
    assert [file.stem for file in files] == sorted(NAMES)
    assert sum(file.stat().st_size for file in files) < 2**20
    assert all(x.dtype == np.float32 for name in NAMES for x in flat(weights.load(name)[1]).values())


def test_the_translator_translates_what_it_was_never_shown():
    model, source, target, never_seen = weights.translator()
    written = target.decode(model.greedy_decode(source.encode([in_english(n) for n in never_seen])))
    assert len(never_seen) == 200
    assert np.mean([text == f"{in_german(n)} <END>" for n, text in zip(never_seen, written, strict=True)]) > 0.95
    assert weights.translate("forty two") == "zwei und vierzig"


def test_the_writer_writes_the_four_sentences():
    sentences = {text.removeprefix("<START> ").removesuffix(" <END>") for text in train.SENTENCES}
    written = [weights.write(np.random.default_rng(seed)) for seed in range(100)]
    assert set(written) >= sentences and sum(text in sentences for text in written) >= 98


def test_only_the_encoder_that_sees_both_sides_knows_the_animal():
    right = {}
    for name, mask in (("blanks", None), ("blanks_causal", np.tri(6, dtype=bool))):
        config, params = weights.load(name)
        vocabulary = Vocabulary(config["words"])
        rows = vocabulary.encode([f"the {animal} slept on the {place}" for animal, place in train.PLACES.items()])
        hidden = np.where(np.arange(6) == 1, vocabulary.unk_id, rows)
        x = encoder(embed_sequence(hidden, params["table"]), params["encoder"], config["n_heads"], mask, pre_norm=True)
        right[name] = np.sum(np.argmax(x[:, 1] @ params["output"]["W"], axis=-1) == rows[:, 1])
    assert right == {"blanks": 4, "blanks_causal": 1}


@pytest.mark.slow
def test_the_script_makes_models_as_good_as_these(tmp_path, monkeypatch):
    for name in NAMES:
        train.save_model(tmp_path / f"{name}.npz", name, *getattr(train, name)())
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    test_they_are_small()
    test_the_translator_translates_what_it_was_never_shown()
    test_the_writer_writes_the_four_sentences()
    test_only_the_encoder_that_sees_both_sides_knows_the_animal()
