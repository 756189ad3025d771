"""Texts from anywhere, characters as tokens, windows, presets and their cost, a training that goes on to the bit."""
import hashlib
import http.server
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib import minigpt
from scratchformer_lib.block import feed_forward, init_block, transformer_block
from scratchformer_lib.gpt import GPTConfig, TransformerLM, init_transformer_lm
from scratchformer_lib.minigpt import (
    PRESETS,
    CharTokenizer,
    Cost,
    Preset,
    ablate,
    bits_per_byte,
    cost,
    estimate_loss,
    get_batch,
    hold_out,
    in_time,
    lm_loss,
    memory_of,
    n_parameters,
    train,
    write,
)
from scratchformer_lib.support import data
from scratchformer_lib.support.data import cache_folder, kept_file, load_text
from scratchformer_lib.support.trees import flat
from scratchformer_lib.tokenizer import train_bpe

TEXT = "The cat sat on the mat.\nDer Käse lag auf der Straße, 猫.\n" * 40
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()
TINY = Preset(1, 2, 16, length=8, n_rows=4, n_steps=12, peak=0.01, lowest=0.001, warmup=3)
few = settings(max_examples=60, deadline=None)


# ---- a text from a file -------------------------------------------------------------------------------------------

@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


def test_a_file_is_read_by_its_path_as_a_text_or_a_path(file, monkeypatch):
    assert load_text(file) == load_text(str(file)) == TEXT
    assert load_text(file, sha256=SHA256.upper()) == TEXT
    monkeypatch.setenv("HOME", str(file.parent))
    monkeypatch.setenv("USERPROFILE", str(file.parent))
    assert load_text("~/text.txt") == TEXT


def test_line_ends_and_a_mark_at_the_beginning_make_no_other_text(file):
    for ends in ("\r\n", "\r"):
        file.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", ends).encode())
        assert load_text(file) == TEXT


def test_a_file_that_is_not_there_is_named_with_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="my_text.txt") as error:
        load_text("my_text.txt")
    assert str(tmp_path) in str(error.value)
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        load_text(tmp_path)


def test_what_is_not_utf_8_is_named_with_byte_and_line(file):
    raw = TEXT.encode("utf-8")
    at = raw.index(b"\n") + 5
    file.write_bytes(raw[:at] + b"\xe4" + raw[at:])
    with pytest.raises(ValueError, match=f"byte {at}, in line 2, is not: 0xe4") as error:
        load_text(file)
    assert str(file) in str(error.value)


def test_a_text_that_is_too_short_is_refused(file):
    file.write_text("x" * 999)
    with pytest.raises(ValueError, match="1,000 characters .* it has 999"):
        load_text(file)
    file.write_text("x" * 1000)
    assert load_text(file) == "x" * 1000


def test_a_checksum_is_compared_for_files_too(file):
    with pytest.raises(ValueError, match=SHA256):
        load_text(file, sha256="0" * 64)
    for wrong in ("abc", "g" * 64, 5):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            load_text(file, sha256=wrong)


def test_pythons_documentation_is_there():
    text = load_text()
    assert len(text) > 300_000 and "assert" in text
    with pytest.raises(ValueError, match="with a source"):
        load_text(sha256=SHA256)


def test_without_the_documentation_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    monkeypatch.delattr("pydoc_data.topics", raising=False)
    with pytest.raises(FileNotFoundError, match=r'load_text\("my.txt"\)'):
        load_text()


# ---- a text from the web ------------------------------------------------------------------------------------------

class Server(http.server.BaseHTTPRequestHandler):
    """Says what its class attributes say, and counts how often it was asked."""
    body, status, length, asked = TEXT.encode(), 200, None, 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(self.status)
        self.send_header("Content-Length", str(self.length or len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A server, and an empty cache: (the handler, an address)."""
    monkeypatch.setenv("SCRATCHFORMER_CACHE", str(tmp_path / "cache"))
    handler = type("Handler", (Server,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/books/a text.txt?part=1".replace(" ", "%20")
    server.shutdown()
    server.server_close()


def nothing_kept():
    return not cache_folder().exists() or not any(cache_folder().iterdir())


def test_a_text_is_fetched_once_and_then_kept(web):
    handler, url = web
    assert load_text(url) == load_text(url) == load_text(url, sha256=SHA256) == TEXT
    assert handler.asked == 1
    assert [path.name for path in cache_folder().iterdir()] == [kept_file(url).name]
    assert load_text(url + "2") == TEXT and handler.asked == 2


def test_nothing_is_fetched_without_being_asked(web, file):
    handler, _ = web
    load_text()
    load_text(file)
    assert handler.asked == 0 and nothing_kept()


def test_a_wrong_checksum_keeps_nothing(web):
    handler, url = web
    with pytest.raises(ValueError, match=SHA256) as error:
        load_text(url, sha256="0" * 64)
    assert "0" * 64 in str(error.value) and url in str(error.value)
    assert handler.asked == 1 and nothing_kept()


def test_what_is_kept_and_damaged_is_fetched_again(web):
    handler, url = web
    load_text(url, sha256=SHA256)
    kept_file(url).write_bytes(b"x" * 2000)
    assert load_text(url, sha256=SHA256) == TEXT and handler.asked == 2
    assert kept_file(url).read_bytes() == TEXT.encode()


def test_what_is_kept_is_used_where_there_is_no_network(web, monkeypatch):
    _, url = web
    load_text(url)
    monkeypatch.setattr(data, "download", lambda url: pytest.fail("asked the network"))
    assert load_text(url) == TEXT


def test_a_download_that_breaks_off_is_refused(web):
    handler, url = web
    handler.length = len(TEXT.encode()) + 100
    with pytest.raises(ConnectionError, match=f"after {len(TEXT.encode()):,} bytes"):
        load_text(url)
    assert nothing_kept()


def test_an_address_that_is_not_there_is_named_with_what_the_server_says(web):
    handler, url = web
    handler.status = 404
    with pytest.raises(FileNotFoundError, match="404, Not Found"):
        load_text(url)
    assert nothing_kept()


def test_without_a_network_it_is_said_what_to_do(web):
    with pytest.raises(ConnectionError, match="Is this machine online"):
        load_text("http://127.0.0.1:9/text.txt")
    with pytest.raises(ConnectionError, match="could not be fetched"):
        load_text("http:///text.txt")
    assert nothing_kept()


def test_other_kinds_of_addresses_are_refused(web, file):
    for url in (file.as_uri(), "ftp://example.org/text.txt"):
        with pytest.raises(ValueError, match="https://"):
            load_text(url)


def test_the_cache_is_a_folder_of_this_user(monkeypatch, tmp_path):
    for name in ("SCRATCHFORMER_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder().is_relative_to(cache_folder().home()) and cache_folder().name == "scratchformer"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "scratchformer"


# ---- characters, and what is held out -----------------------------------------------------------------------------

@few
@given(st.text(min_size=1, max_size=60), st.data())
def test_characters_come_back(text, more):
    tokenizer = CharTokenizer(text)
    part = more.draw(st.text(alphabet=list(set(text)), max_size=30))
    ids = tokenizer.encode(part)
    assert tokenizer.decode(ids) == part and ids.dtype == np.int64 and ids.shape == (len(part),)
    assert len(tokenizer) == len(set(text)) and set(tokenizer.encode(text)) == set(range(len(tokenizer)))


def test_a_character_that_is_not_known_is_named_with_its_place():
    tokenizer = CharTokenizer("abc")
    with pytest.raises(ValueError, match="the 3 characters .* 'é', at 2"):
        tokenizer.encode("abéé")
    for wrong in (3, -1, [0, 3]):
        with pytest.raises(ValueError, match="between 0 and 2"):
            tokenizer.decode(wrong)
    for wrong in ("", None, b"abc"):
        with pytest.raises(ValueError, match="at least one character"):
            CharTokenizer(wrong)


def test_a_tokenizer_of_characters_is_saved(tmp_path):
    tokenizer, path = CharTokenizer(TEXT + '"\\\x00\u2028'), tmp_path / "characters.json"
    tokenizer.save(path)
    assert CharTokenizer.load(path).tokens == tokenizer.tokens
    path.write_text('{"format": 1, "kind": "CharTokenizer"}')
    with pytest.raises(ValueError, match="damaged"):
        CharTokenizer.load(path)
    train_bpe(TEXT, 260).save(path)
    with pytest.raises(ValueError, match="must hold a CharTokenizer"):
        CharTokenizer.load(path)


def test_what_is_held_out_is_the_end_and_nothing_is_in_both():
    training, validation = hold_out(TEXT)
    assert training + validation == TEXT and len(validation) == round(len(TEXT) / 10)
    left, right = hold_out(np.arange(10), 0.35)
    assert left.tolist() == list(range(6)) and right.tolist() == list(range(6, 10))
    for wrong in (0, 1, -0.1, 1.5):
        with pytest.raises(ValueError, match="share"):
            hold_out(TEXT, wrong)
    with pytest.raises(ValueError, match="both sides"):
        hold_out("abc")


# ---- windows and the loss -----------------------------------------------------------------------------------------

@few
@given(st.integers(2, 40), st.data())
def test_windows_are_parts_of_the_text_and_their_labels_come_next(n, more):
    length = more.draw(st.integers(1, n - 1))
    ids = 50 + np.arange(n)
    inputs, labels = get_batch(ids, 5, length, np.random.default_rng(more.draw(st.integers(0, 99))))
    assert inputs.shape == labels.shape == (5, length)
    assert np.array_equal(labels, inputs + 1) and (np.diff(inputs, axis=1) == 1).all()


def test_every_window_is_drawn_about_as_often():
    inputs, _ = get_batch(np.arange(10), 7000, 3, np.random.default_rng(0))
    counts = np.bincount(inputs[:, 0])
    assert len(counts) == 7 and (np.abs(counts - 1000) < 150).all()


def test_a_text_that_is_too_short_for_a_window_is_refused():
    for ask in (lambda: get_batch(np.arange(4), 2, 4, np.random.default_rng(0)),
                lambda: estimate_loss(None, {}, np.arange(4), 2, 4)):
        with pytest.raises(ValueError, match="more than 4 ids"):
            ask()
    with pytest.raises(ValueError, match="n_rows"):
        get_batch(np.arange(9), 0, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="n_batches"):
        estimate_loss(None, {}, np.arange(9), 2, 4, n_batches=0)


def test_an_estimate_is_the_mean_over_the_same_windows_each_time():
    seen = []

    def loss(params, inputs, labels):
        seen.append(inputs)
        return float(inputs.sum() % 17)

    ids = np.arange(100)
    first = estimate_loss(loss, {}, ids, 3, 5, n_batches=4, seed=2)
    assert estimate_loss(loss, {}, ids, 3, 5, n_batches=4, seed=2) == first == np.mean([x.sum() % 17 for x in seen[:4]])
    assert np.array_equal(seen[:4], seen[4:]) and not np.array_equal(seen[0], seen[1])
    assert estimate_loss(loss, {}, ids, 3, 5, n_batches=4, seed=3) != first


def test_an_estimate_does_not_drop_out():
    config = GPTConfig(9, 16, 2, 1, max_length=6, dropout=0.5)
    params, ids = init_transformer_lm(np.random.default_rng(0), config), np.arange(60) % 9
    same = replace(config, dropout=0.0)
    assert estimate_loss(lm_loss(config), params, ids, 2, 6) == estimate_loss(lm_loss(same), params, ids, 2, 6)


@few
@given(st.floats(0, 20), st.text(min_size=1, max_size=40))
def test_bits_per_byte_do_not_depend_on_how_the_text_is_cut(nats, text):
    """The same surprise of the whole text, shared among more or fewer tokens."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    tokenizers = CharTokenizer(text), train_bpe("the cat sat on the mat " * 3, 280)
    found = [bits_per_byte(nats / len(tokenizer.encode(text)), text, tokenizer) for tokenizer in tokenizers]
    assert found[0] == pytest.approx(found[1]) == pytest.approx(nats / np.log(2) / len(text.encode()))


def test_bits_per_byte_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one byte"):
        bits_per_byte(1.0, "", CharTokenizer("a"))
    with pytest.raises(ValueError, match="loss"):
        bits_per_byte(-1.0, "a", CharTokenizer("a"))


# ---- pieces -------------------------------------------------------------------------------------------------------

def test_all_pieces_are_the_block_and_none_is_x():
    rng = np.random.default_rng(0)
    params, x = init_block(rng, 6, 3, 8), rng.standard_normal((2, 5, 6))
    every = {"attention", "heads", "feed_forward", "residuals", "norm"}
    block = transformer_block(x, params, 3, np.tri(5, dtype=bool), pre_norm=True)
    assert np.allclose(ablate(x, params, 3, every), block, atol=1e-6)
    assert np.array_equal(ablate(x, params, 3, ()), x)
    thought = feed_forward(x, **params["feed_forward"])
    assert np.array_equal(ablate(x, params, 3, {"feed_forward"}), thought)
    assert np.array_equal(ablate(x, params, 3, {"feed_forward", "residuals"}), x + thought)
    with pytest.raises(ValueError, match="'heds'"):
        ablate(x, params, 3, {"attention", "heds"})
    with pytest.raises(ValueError, match="one text"):
        ablate(x, params, 3, "attention")


# ---- presets and what they cost -----------------------------------------------------------------------------------

def test_the_first_preset_is_nanogpts_for_a_computer_without_gpu():
    preset = next(iter(PRESETS.values()))
    assert preset == Preset(4, 4, 128, 64, 12, 2000, 1e-3, 1e-4, 100, 0.0, (0.9, 0.99), 0.1)
    assert preset.rate(100) == 1e-3 and preset.rate(2000) == pytest.approx(1e-4) and preset.rate(50) == 5e-4
    assert preset.optimizer().betas == (0.9, 0.99) and preset.optimizer().weight_decay == 0.1
    assert preset.config(65) == GPTConfig(65, 128, 4, 4, max_length=64, dropout=0.0)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())
def test_every_preset_is_a_model_and_costs_more_than_the_one_before(preset):
    assert preset.config(100).max_length == preset.length
    assert n_parameters(preset.config(100)) > 500_000
    costs = [memory_of(other, 100) for other in PRESETS.values()]
    assert costs == sorted(costs)


@pytest.mark.parametrize("wrong", [{"n_heads": 3}, {"n_rows": 0}, {"n_steps": 1.5}, {"warmup": 0}, {"peak": -1.0},
                                   {"dropout": 1.0}, {"betas": (0.9, 1.0)}, {"length": 0}, {"weight_decay": -0.1}])
def test_a_preset_that_makes_no_model_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("length", "max_length")):
        replace(TINY, **wrong)


def test_parameters_are_counted_without_making_them():
    config = TINY.config(30)
    assert n_parameters(config) == TransformerLM.random(config, np.random.default_rng(0)).n_parameters
    assert n_parameters(GPTConfig(50257)) > 10**8


@pytest.mark.parametrize("preset", [Preset(4, 4, 128, 64, 12, 3), Preset(2, 4, 64, 64, 16, 3),
                                    Preset(2, 8, 128, 128, 8, 3), Preset(3, 6, 192, 16, 2, 3)], ids=str)
def test_the_memory_that_is_computed_is_what_a_training_takes(preset):
    """To a quarter."""
    import tracemalloc
    ids = np.arange(5000) % 100
    tracemalloc.start()
    try:
        train(preset, ids, ids[:preset.length * 40], 100, np.random.default_rng(0), every=1, say=None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.75 < memory_of(preset, 100) / peak < 1.33


def test_the_time_of_a_step_is_measured_and_grows_with_the_rows(monkeypatch):
    clock = iter(np.arange(0, 1000, 0.25))
    monkeypatch.setattr(minigpt.time, "perf_counter", lambda: float(next(clock)))
    preset = replace(TINY, n_rows=64, n_steps=10)
    small = cost(preset, 20, n_tokens=64)               # 8 rows are measured, of 64
    assert small.step == pytest.approx(0.25 + 0.25 * 8) and small.seconds == pytest.approx(10 * small.step)
    assert cost(preset, 20, n_tokens=10**6).step == pytest.approx(0.5)
    assert small.n_parameters == n_parameters(preset.config(20)) and small.memory == memory_of(preset, 20)


def test_a_cost_is_a_sentence():
    text = str(Cost(812_672, 53.2e6, 0.0346, 2000))
    assert text == "812,672 parameters, about 53 MB; 2000 steps of 35 ms: 69 s"
    assert [in_time(s) for s in (5, 119, 300, 7200, 86400 * 3)] == ["5 s", "119 s", "5.0 minutes", "2.0 hours",
                                                                   "3.0 days"]


# ---- training -----------------------------------------------------------------------------------------------------

def ids_of_text():
    tokenizer = CharTokenizer(TEXT)
    return tokenizer, *hold_out(tokenizer.encode(TEXT))


def same(a, b):
    a, b = flat(a), flat(b)
    return list(a) == list(b) and all(np.array_equal(x, b[name]) for name, x in a.items())


def test_a_text_is_learned():
    tokenizer, training, validation = ids_of_text()
    preset = replace(TINY, n_steps=150, d_model=32)
    said = []
    model, run = train(preset, training, validation, len(tokenizer), np.random.default_rng(0), every=50,
                       say=said.append)
    assert list(run.validations) == [50, 100, 150] and run.validations[150] < 1.5 < run.losses[0]
    best = min(run.validations.values())
    assert estimate_loss(lm_loss(model.config), model.params, validation, preset.n_rows, preset.length) == best
    assert isinstance(said[0], Cost) and len(said) == 1
    assert write(model, tokenizer, "The c", 20, rng=None).startswith("The cat sat")


def test_what_it_costs_is_said_before_it_begins():
    tokenizer, *parts = ids_of_text()
    order = []
    train(TINY, *parts, len(tokenizer), np.random.default_rng(0), on_step=lambda step: order.append("step"),
          say=lambda cost: order.append("cost"))
    assert order == ["cost"] + 12 * ["step"]


def test_a_training_that_was_stopped_goes_on_to_the_bit(tmp_path):
    tokenizer, *parts = ids_of_text()

    def run(**options):
        return train(replace(TINY, dropout=0.2), *parts, len(tokenizer), np.random.default_rng(0), every=5, say=None,
                     **options)

    def stop(step):
        if step.step == 7:
            raise KeyboardInterrupt

    whole, checkpoint = run(), tmp_path / "mine.npz"
    with pytest.warns(UserWarning, match="stopped by hand after step 7"):
        run(checkpoint=checkpoint, on_step=stop)
    with pytest.warns(UserWarning, match="going on after step 7"):
        rest = run(checkpoint=checkpoint)
    assert same(whole[0].params, rest[0].params) and whole[1].losses == rest[1].losses
    assert whole[1].validations == rest[1].validations


def test_a_checkpoint_of_another_text_or_preset_is_refused(tmp_path):
    tokenizer, training, validation = ids_of_text()
    file = tmp_path / "mine.npz"

    def run(preset=TINY, training=training):
        return train(preset, training, validation, len(tokenizer), np.random.default_rng(0), checkpoint=file, say=None)

    run()
    other = training.copy()
    other[0] += 1
    for options in ({"training": other}, {"preset": replace(TINY, peak=0.02)}, {"preset": replace(TINY, n_rows=5)}):
        with pytest.raises(ValueError, match="must be a checkpoint of this training"):
            run(**options)
    with pytest.warns(UserWarning, match="going on after step 12"):
        _, longer = run(replace(TINY, n_steps=20))      # more steps are the same training
    assert len(longer.losses) == 20


def test_the_preset_says_how_it_is_trained(monkeypatch):
    """Its optimizer, its rates, its windows and its steps reach fit."""
    seen = []

    def fit(loss, params, draw, n_steps, rng, optimizer, rate, **options):
        seen.append((n_steps, optimizer, rate, [x.shape for x in draw(rng)], options["every"], options["workers"]))
        raise InterruptedError

    monkeypatch.setattr(minigpt, "fit", fit)
    tokenizer, *parts = ids_of_text()
    with pytest.raises(InterruptedError):
        train(TINY, *parts, len(tokenizer), np.random.default_rng(0), every=7, workers=2, say=None)
    assert seen == [(12, TINY.optimizer(), TINY.rate, [(4, 8), (4, 8)], 7, 2)]


def test_a_text_that_is_too_short_to_train_on_is_refused_before_any_work():
    ids = np.arange(100) % 9
    for training, validation in ((ids[:8], ids), (ids, ids[:8])):
        with pytest.raises(ValueError, match="more than 8 ids"):
            train(TINY, training, validation, 9, np.random.default_rng(0),
                  say=lambda cost: pytest.fail("it was measured"))


def test_the_same_seed_writes_the_same_with_any_tokenizer():
    for tokenizer in (CharTokenizer(TEXT), train_bpe(TEXT, 300)):
        model = TransformerLM.random(TINY.config(len(tokenizer)), np.random.default_rng(0))
        texts = [write(model, tokenizer, "Straße", 12, top_k=5, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
        assert texts[0] == texts[1] != texts[2] and texts[0].startswith("Straße")
