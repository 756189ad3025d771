"""GPT: it writes. Made from solutions/12_gpt.py: edit there."""
import math
from dataclasses import dataclass

import numpy as np

from .attention import causal_mask, scaled_dot_product_attention
from .block import dropout, feed_forward, gelu, layer_norm, relu
from .embeddings import embed, init_embedding, positional_encoding
from .encoder import encoder, init_encoder, layers_of
from .multi_head import init_linear, linear, merge_heads, split_heads
from .softmax import softmax
from .support.arguments import (
    check_batch,
    check_cache,
    check_choice,
    check_count,
    check_gpt_config,
    check_known,
    check_length,
    check_multi_head,
    check_prompts,
    check_share,
    check_stream,
    check_targets,
)
from .support.models import Model
from .support.steps import Cache, Steps, WithShortcut
from .training import cross_entropy


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT, and the choices in it. What is not given is as in GPT-2, the small one.

    n_vocab: how many tokens it knows. d_model: D. n_heads: H. n_layers: blocks. d_ff: F; 4 D if None.
    max_length: how many tokens it can read at once.
    positions: "learned" or "sinusoidal"; with sinusoids the tokens' vectors are multiplied by the root of D.
    activation: "relu" or "gelu". pre_norm: normalize what goes into each part of a block, instead of each sum.
    dropout: the rate, while training. tied_output: the last matrix is the table. end_id: the token that ends a text.
    Raises ValueError for sizes that do not fit.
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    n_vocab: int
    d_model: int = 768
    n_heads: int = 12
    n_layers: int = 12
    d_ff: int | None = None
    max_length: int = 1024
    positions: str = "learned"
    activation: str = "gelu"
    pre_norm: bool = True
    dropout: float = 0.1
    tied_output: bool = True
    end_id: int | None = None

    def __post_init__(self):
        check_gpt_config(self)


def init_transformer_lm(rng, config):
    """Draw the parameters of transformer_lm.

    rng: a np.random.Generator. config: a GPTConfig.
    Returns a dict of "table" (n_vocab, D), "positions" (max_length, D) where they are learned, "blocks", and "output"
    (D, n_vocab) where it is not tied; all arrays float32.
    """
    D = config.d_model
    params = {"table": init_embedding(rng, config.n_vocab, D)}
    if config.positions == "learned":
        params["positions"] = init_embedding(rng, config.max_length, D)
    params["blocks"] = init_encoder(rng, config.n_layers, D, config.n_heads, config.d_ff or 4 * D,
                                    pre_norm=config.pre_norm)
    return params if config.tied_output else params | {"output": init_linear(rng, D, config.n_vocab)}


def embed_tokens(params, config, ids, start=0, n_pad=None):
    """The vectors of tokens and of their positions, added up.

    ids: (B, T). start: the position of the first of them.
    n_pad: (B,), how many tokens at the left of each row are padding: its positions begin after them.
    Returns (B, T, D).
    """
    position = np.arange(start, start + ids.shape[-1])
    if n_pad is not None:
        position = np.maximum(position - n_pad[:, None], 0)
    x = embed(ids, params["table"])
    if config.positions == "learned":
        return x + embed(position, params["positions"])
    waves = positional_encoding(start + ids.shape[-1], config.d_model, params["table"].dtype)
    return math.sqrt(config.d_model) * x + embed(position, waves)


def last_matrix(params, config):
    """What turns the vectors that come out into logits, (D, n_vocab)."""
    return params["table"].T if config.tied_output else params["output"]


def block_options(config):
    """What the config says about each block, as options of transformer_block."""
    return {"n_heads": config.n_heads, "pre_norm": config.pre_norm,
            "activation": {"relu": relu, "gelu": gelu}[config.activation]}


def transformer_lm(params, config, ids, rng=None, record=None):
    """Score, at every position, every token that could come next.

    params: as init_transformer_lm draws them. config: a GPTConfig. ids: (B, T).
    rng: for dropout; None means: not training. record: a dict that receives, by layer, the attention weights.
    Returns logits (B, T, n_vocab). Raises ValueError for ids that are not in the vocabulary, or too many of them.
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    check_batch("ids", ids, config.n_vocab, config.max_length)
    ids = np.asarray(ids)
    W = last_matrix(params, config)
    x = dropout(embed_tokens(params, config, ids), config.dropout, rng)
    x = encoder(x, params["blocks"], mask=causal_mask(ids.shape[1]), rate=config.dropout, rng=rng, record=record,
                **block_options(config))
    return linear(x, W)


def next_token_pair(stream, length):
    """Cut a text into rows, and say for each of their tokens which comes next.

    stream: (N,), the ids of the text, N above length. length: T, of a row.
    Returns (inputs, labels), both (n_rows, T). What is left at the end, too short for a row, is left out.
    Raises ValueError where the stream is something else, or too short for one row.
    """
    check_stream(stream, length)
    stream = np.asarray(stream)
    n_rows = (len(stream) - 1) // length
    inputs, labels = stream[:n_rows * length], stream[1:n_rows * length + 1]
    return inputs.reshape(n_rows, length), labels.reshape(n_rows, length)


def perplexity(logits, targets, ignore_id=None):
    """e to the mean surprise: among how many equally likely tokens one would be as unsure.

    logits: (..., n_vocab). targets: (...), ids of the right tokens. ignore_id: an id that does not count.
    Returns a number, at least 1. Raises ValueError as cross_entropy does.
    Source: Jelinek et al., "Perplexity, a measure of the difficulty of speech recognition tasks", 1977.
    """
    check_targets(logits, targets, ignore_id)
    return np.exp(cross_entropy(logits, targets, ignore_id))


def rank(logits):
    """The place of each token of a row, from the likeliest down: 0, 1, 2. Of equal ones the smaller id comes first.

    logits: (..., n_vocab). Returns whole numbers of the same shape.
    """
    return np.argsort(np.argsort(-logits, axis=-1, kind="stable"), axis=-1)


def top_k(logits, k):
    """Keep the k likeliest tokens.

    logits: (..., n_vocab). k: at least 1.
    Returns the same shape: the k largest of each row, and -inf for the others. Of equal ones the smaller ids count.
    Raises ValueError for another k.
    Source: Fan, Lewis and Dauphin, "Hierarchical neural story generation", 2018.
    """
    check_count("k", k)
    return np.where(rank(logits) < k, logits, -np.inf)


def top_p(logits, p):
    """Keep the fewest of the likeliest tokens that have a share of at least p together.

    logits: (..., n_vocab). p: above 0, at most 1.
    Returns the same shape, -inf for what is not kept. Of equal ones the smaller ids count.
    Raises ValueError for another p.
    Source: Holtzman et al., "The curious case of neural text degeneration", 2020.
    """
    check_share("p", p)
    shares = np.sort(softmax(logits), axis=-1)[..., ::-1]
    before = np.cumsum(shares, axis=-1) - shares
    k = np.sum(before < p, axis=-1, keepdims=True)
    return np.where(rank(logits) < k, logits, -np.inf)


def sample(logits, rng=None, temperature=1.0, k=None, p=None):
    """Choose a token for each row of logits.

    logits: (B, n_vocab). rng: a np.random.Generator; None means: the likeliest. temperature: 0 means the same.
    k, p: as in top_k and top_p; None means: all.
    Returns ids (B,). Raises ValueError for logits that are not numbers.
    """
    logits = logits.astype(np.float64)
    logits -= np.max(logits, axis=-1, keepdims=True)
    if np.isnan(logits).any():
        raise ValueError("logits must be numbers, one in each row above -inf; got NaN, as of a training that diverged")
    if rng is None or temperature == 0:
        return np.argmax(logits, axis=-1)
    with np.errstate(over="ignore"):                        # a tiny temperature: -inf for all but the likeliest
        logits /= temperature
    if k is not None:
        logits = top_k(logits, k)
    if p is not None and p < 1:
        logits = top_p(logits, p)
    reached = np.cumsum(softmax(logits), axis=-1)           # the shares, laid end to end on a line
    point = rng.random((len(logits), 1)) * reached[:, -1:]  # a random point on it; it may end at 0.999...
    return np.argmax(reached > point, axis=-1)              # the token in whose stretch the point lies


def attend_with_cache(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    """Let new positions look at themselves and at all that came before, whose keys and values were kept.

    x: (B, T, D), the new positions. W_Q, W_K: (D, H * d_k). W_V: (D, H * d_v). W_O: (H * d_v, D_out). n_heads: H.
    cache: a dict, empty at first; then of "k" (B, H, S, d_k) and "v" (B, H, S, d_v). It receives those of x as well.
    mask: bool, (T, S + T) or with more axes, as in multi_head_attention.
    Returns (B, T, D_out). Raises ValueError where shapes do not fit.
    """
    check_multi_head(x, x, W_Q, W_K, W_V, W_O, n_heads)
    check_cache(cache, x, W_K, W_V, n_heads, mask)
    q, k, v = (split_heads(linear(x, W), n_heads) for W in (W_Q, W_K, W_V))
    if cache:
        k = np.concatenate([cache["k"], k], axis=-2)
        v = np.concatenate([cache["v"], v], axis=-2)
    output, _ = scaled_dot_product_attention(q, k, v, mask)
    cache["k"], cache["v"] = k, v
    return linear(merge_heads(output), W_O)


def block_with_cache(x, params, n_heads, cache, mask=None, pre_norm=True, activation=gelu):
    """transformer_block for new positions, x (B, T, D). cache: a dict, as in attend_with_cache."""
    def attend(x):
        return attend_with_cache(x, **params["attention"], n_heads=n_heads, cache=cache, mask=mask)

    def think(x):
        return feed_forward(x, **params["feed_forward"], activation=activation)

    def norm(x, name):
        return layer_norm(x, **params[name])

    if pre_norm:
        x = x + attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x = norm(x + attend(x), "norm_1")
    return norm(x + think(x), "norm_2")


def stack_with_cache(x, params, cache, mask=None, **options):
    """encoder for new positions, x (B, T, D). cache: a dict that holds a cache for each layer, empty at first."""
    for name, layer in layers_of(params):
        x = block_with_cache(x, layer, cache=cache.setdefault(name, {}), mask=mask, **options)
    return layer_norm(x, **params["norm"]) if options["pre_norm"] else x


def hidden_with_cache(params, config, ids, cache, n_pad=None):
    """What comes out of the blocks for tokens that come after those in the cache; the arguments of lm_with_cache.

    Returns (B, T, D).
    """
    start = length_of(cache)
    check_length("the length of ids and cache together", start + ids.shape[1], config.max_length)
    x = embed_tokens(params, config, ids, start, n_pad)
    place = np.arange(start + ids.shape[1])
    mask = place <= place[start:, None]                 # the last rows of the causal mask
    if n_pad is not None:
        mask = mask & (place >= n_pad[:, None, None, None])
    return stack_with_cache(x, params["blocks"], cache, mask, **block_options(config))


def lm_with_cache(params, config, ids, cache, n_pad=None):
    """transformer_lm for tokens that come after those in the cache.

    params: as init_transformer_lm draws them. config: a GPTConfig. ids: (B, T), the new tokens.
    cache: a dict, empty at first; it receives keys and values of the new tokens.
    n_pad: (B,), how many tokens at the left of each row are padding, which no query sees.
    Returns logits (B, T, n_vocab). Raises ValueError for tokens that are not in the vocabulary, or too many of them.
    """
    check_batch("ids", ids, config.n_vocab)
    return linear(hidden_with_cache(params, config, np.asarray(ids), cache, n_pad), last_matrix(params, config))


def length_of(cache):
    """The number of positions in a cache."""
    return cache["layer_1"]["k"].shape[-2] if cache else 0


hidden_with_cache = WithShortcut(hidden_with_cache)


@hidden_with_cache.shortcut
def next_hidden(params, config, ids, cache, n_pad=None):
    """hidden_with_cache for one token more in each row of `generate`; None for anything else."""
    if not isinstance(cache, Cache):
        return None
    n = length_of(cache)
    if n == 0 or n >= config.max_length or ids.shape != (len(cache["layer_1"]["k"]), 1):
        cache.steps = None                              # the plain function keeps keys and values elsewhere
        return None
    if cache.steps is None:
        waves = params["positions"] if config.positions == "learned" else positional_encoding(
            config.max_length, config.d_model, params["table"].dtype)
        cache.steps = Steps(params, config, cache, waves, n_pad)
    return cache.steps(ids[:, 0], n)


def generate(model, prompt, max_length, temperature=1.0, top_k=None, top_p=None, rng=None, use_cache=True):
    """Go on writing from a prompt, or from several at once.

    model: a TransformerLM. prompt: ids (T,); or several of them, of any lengths, as a list. max_length: how many tokens
    are written at most, the prompt not counted. temperature, top_k, top_p: of the choice; see sample.
    rng: a np.random.Generator; None means: always the likeliest token, for which there is nothing to choose.
    use_cache: False computes everything again for every token; only slower.
    Where the text grows longer than config.max_length, the model sees its last config.max_length tokens.
    Returns what was written, without the prompt, ids (n,) or (B, n). A text is over where config.end_id is drawn; what
    comes after that in its row is end_id again. Raises ValueError for what is no prompt, or a number out of its range.
    """
    config, params, prompts = model.config, model.params, check_prompts(prompt, model.config.n_vocab)
    check_count("max_length", max_length)
    check_choice(rng, temperature, top_k, top_p)
    longest = max(map(len, prompts))
    n_pad = np.array([longest - len(one) for one in prompts])
    ids = np.array([[0] * (longest - len(one)) + one for one in prompts])
    cache, ended = Cache(), np.zeros(len(ids), dtype=bool)
    for _ in range(max_length):
        dropped = max(0, ids.shape[1] - config.max_length)
        if dropped or not use_cache:                    # positions move: nothing that is in the cache holds
            cache = Cache()
        left = np.maximum(n_pad - dropped, 0)
        x = hidden_with_cache(params, config, ids[:, dropped + length_of(cache):], cache, left if left.any() else None)
        logits = linear(x[:, -1], last_matrix(params, config))
        token = sample(logits, rng, temperature, top_k, top_p)
        if config.end_id is not None:
            token = np.where(ended, config.end_id, token)
            ended |= token == config.end_id
        ids = np.concatenate([ids, token[:, None]], axis=1)
        if ended.all():
            break
    written = ids[:, longest:]
    return written[0] if np.ndim(prompt[0]) == 0 else written


def generate_text(model, vocabulary, prompt="", max_length=None, temperature=1.0, top_k=None, top_p=None, rng=None):
    """Go on writing from a text, or from several at once, in words.

    model: a TransformerLM. vocabulary: its Vocabulary. prompt: a text, or a list of texts; it may be empty.
    max_length: how many words are written at most; as many as the model can read at once if None.
    temperature, top_k, top_p, rng: as in generate. Returns the prompt and what was written, a text or a list of texts.
    Raises ValueError for a word that is not in the vocabulary, or a vocabulary of another size.
    """
    check_known("prompt", prompt, vocabulary, model.config.n_vocab)
    prompts = [prompt] if isinstance(prompt, str) else prompt
    starts = [[vocabulary.start_id, *(vocabulary.encode(one) if one.split() else [])] for one in prompts]
    written = generate(model, starts, model.config.max_length if max_length is None else max_length, temperature, top_k,
                       top_p, rng)
    texts = []
    for start, ids in zip(starts, written, strict=True):
        ended = np.flatnonzero(ids == model.config.end_id)
        texts.append(" ".join(vocabulary.words[i] for i in [*start[1:], *ids[:ended[0] if len(ended) else None]]))
    return texts[0] if isinstance(prompt, str) else texts


class TransformerLM(Model):
    """A GPT: a config and its parameters, in one object that scores, writes, and can be saved.

    config: a GPTConfig. params: as init_transformer_lm draws them for it.
    Raises ValueError where an array is missing, is not in the config, or has another shape.
    """
    config_class, draw = GPTConfig, staticmethod(init_transformer_lm)

    def __call__(self, ids, rng=None, record=None):
        """Logits (B, T, n_vocab) for ids (B, T); see transformer_lm."""
        return transformer_lm(self.params, self.config, ids, rng, record)

    def generate(self, prompt, max_length, **choice):
        """Go on writing from a prompt; see generate."""
        return generate(self, prompt, max_length, **choice)
