"""The Transformer: everything connected. Made from solutions/08_transformer.py: edit there."""
from dataclasses import dataclass

import numpy as np

from .attention import causal_mask, combine_masks, padding_mask
from .block import dropout, gelu, relu
from .decoder import decoder, init_decoder
from .embeddings import Vocabulary, init_embedding
from .encoder import embed_sequence, encoder, init_encoder, record_of
from .multi_head import init_linear, linear
from .softmax import log_softmax
from .support.arguments import check_at_least_0, check_batch, check_config, check_count, check_length, check_pair
from .support.models import Model


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes of a Transformer, and the choices in it. Sizes that are not given are those of the paper's base model.

    n_src_vocab, n_tgt_vocab: how many words the source and the target know, the special ones among them.
    d_model: D. n_heads: H. d_ff: F. d_k, d_v: sizes of a head; D / H if None.
    max_length: the longest sequence that it takes or writes.
    activation: "relu" or "gelu". pre_norm: normalize what goes into each part of a layer, instead of each sum.
    dropout: the rate, while training. scale_embeddings: multiply the words' vectors by the root of D.
    shared_embeddings: source and target have one table together. tied_output: the last matrix is the target's table.
    Raises ValueError for sizes that do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, table 3.
    """
    n_src_vocab: int
    n_tgt_vocab: int
    d_model: int = 512
    n_heads: int = 8
    d_ff: int = 2048
    n_encoder_layers: int = 6
    n_decoder_layers: int = 6
    d_k: int | None = None
    d_v: int | None = None
    max_length: int = 512
    activation: str = "relu"
    pre_norm: bool = False
    dropout: float = 0.1
    scale_embeddings: bool = True
    shared_embeddings: bool = False
    tied_output: bool = False

    def __post_init__(self):
        check_config(self)


def init_transformer(rng, config):
    """Draw the parameters of a Transformer.

    rng: a np.random.Generator. config: a TransformerConfig.
    Returns a dict of "source_table", "target_table" (not where it is shared), "encoder", "decoder", and "output", a
    dict of W (not where it is tied) and b; in it arrays of float32.
    """
    D, sizes = config.d_model, (config.d_model, config.n_heads, config.d_ff, config.d_k, config.d_v, config.pre_norm)
    params = {"source_table": init_embedding(rng, config.n_src_vocab, D)}
    if not config.shared_embeddings:
        params["target_table"] = init_embedding(rng, config.n_tgt_vocab, D)
    params["encoder"] = init_encoder(rng, config.n_encoder_layers, *sizes)
    params["decoder"] = init_decoder(rng, config.n_decoder_layers, *sizes)
    W = {} if config.tied_output else {"W": init_linear(rng, D, config.n_tgt_vocab)}
    return params | {"output": W | {"b": np.zeros(config.n_tgt_vocab, np.float32)}}


def tables_of(params, config):
    """The tables of source (n_src_vocab, D) and target (n_tgt_vocab, D), and the last matrix W (D, n_tgt_vocab)."""
    source = params["source_table"]
    target = source if config.shared_embeddings else params["target_table"]
    return source, target, target.T if config.tied_output else params["output"]["W"]


def transformer(params, config, src, tgt, rng=None, record=None):
    """Score, at every position of a target, every word that could come next.

    params: as init_transformer draws them. config: a TransformerConfig.
    src: (B, S), ids of the source. tgt: (B, T), ids of the target so far; both filled up with <PAD>.
    rng: for dropout; None means: not training.
    record: a dict that receives "encoder" and "decoder", each a dict of the weights by layer.
    Returns logits (B, T, n_tgt_vocab). Raises ValueError for ids that are not in the vocabulary, for sequences that
    are longer than config.max_length, and where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.
    """
    check_pair(config, src, tgt)
    src, tgt = np.asarray(src), np.asarray(tgt)
    source_table, target_table, W = tables_of(params, config)
    options = {"n_heads": config.n_heads, "pre_norm": config.pre_norm, "rate": config.dropout, "rng": rng,
               "activation": {"relu": relu, "gelu": gelu}[config.activation]}

    def embedded(ids, table):
        return dropout(embed_sequence(ids, table, config.scale_embeddings), config.dropout, rng)

    source_mask = padding_mask(src, Vocabulary.pad_id)
    target_mask = combine_masks(causal_mask(tgt.shape[-1]), padding_mask(tgt, Vocabulary.pad_id))
    memory = encoder(embedded(src, source_table), params["encoder"], mask=source_mask, **options,
                     record=record_of(record, "encoder"))
    x = decoder(embedded(tgt, target_table), memory, params["decoder"], mask=target_mask, memory_mask=source_mask,
                **options, record=record_of(record, "decoder"))
    return linear(x, W, params["output"]["b"])


def greedy_decode(model, src, max_length):
    """Write a target for each source: always the likeliest next word.

    model: a function of src (B, S) and tgt (B, T) that returns logits (B, T, n_vocab).
    src: (B, S), ids. max_length: the most words that are written.
    Returns ids (B, n), n at most max_length: each row without <START>, to its <END>, then <PAD>.
    Raises ValueError where src is not a batch, or max_length is below 1.
    """
    check_batch("src", src)
    check_count("max_length", max_length)
    ids = np.full((len(src), 1), Vocabulary.start_id)
    done = np.zeros(len(src), dtype=bool)
    while ids.shape[1] <= max_length and not done.all():
        word = np.argmax(model(src, ids)[:, -1], axis=-1)
        word = np.where(done, Vocabulary.pad_id, word)
        ids = np.hstack([ids, word[:, None]])
        done = done | (word == Vocabulary.end_id)
    return ids[:, 1:]


def beam_search(model, src, max_length, width=4, length_penalty=0.6):
    """Write a target for each source: follow the `width` best beginnings at once, and keep what ends best.

    model, src, max_length: as in greedy_decode. width: 1 is greedy.
    length_penalty: a target of n words, <END> among them, that has the log-probability log p scores
    log p / ((5 + n) / 6)**length_penalty; with 0 every word costs. One that is cut off at max_length counts as ended.
    Returns (ids, scores): ids (B, n) as in greedy_decode, and the score of each, (B,), float64: never below that of
    what greedy_decode writes. Raises ValueError where src is not a batch, or a number is out of its range.
    Source: Wu et al., "Google's neural machine translation system", 2016, section 7; the defaults: Vaswani et al.,
    "Attention is all you need", 2017, section 6.1.
    """
    check_batch("src", src)
    check_count("max_length", max_length)
    check_count("width", width)
    check_at_least_0("length_penalty", length_penalty)
    found = [best_ends(model, src, max_length, w, length_penalty) for w in {1, width}]
    scores = np.array([scores for _, scores in found])
    best = [found[k][0][row] for row, k in enumerate(np.argmax(scores, axis=0))]
    n = max(map(len, best))
    return np.array([[*ids, *[Vocabulary.pad_id] * (n - len(ids))] for ids in best]), np.max(scores, axis=0)


def best_ends(model, src, max_length, width, length_penalty):
    """For each source, of all targets that end in a beam, the one with the best score. Returns (B lists, scores)."""
    B, rows = len(src), np.arange(len(src))[:, None]
    ids = np.full((B, width, 1), Vocabulary.start_id)
    log_p = np.where(np.arange(width) == 0, np.zeros((B, width)), -np.inf)      # the others are not there yet
    best, scores = [[]] * B, np.full(B, -np.inf)
    for n in range(1, max_length + 1):
        logits = model(np.repeat(src, width, axis=0), ids.reshape(B * width, n))[:, -1]
        step = log_softmax(logits.astype(np.float64)).reshape(B, width, -1)
        total = (log_p[..., None] + step).reshape(B, -1)
        chosen = np.argsort(-total, axis=-1, kind="stable")[:, :width]          # of equal length: no penalty yet
        beginning, word = np.divmod(chosen, step.shape[-1])
        ids = np.concatenate([ids[rows, beginning], word[..., None]], axis=-1)
        log_p = np.take_along_axis(total, chosen, axis=-1)
        score, ended = log_p / ((5 + n) / 6) ** length_penalty, (word == Vocabulary.end_id) | (n == max_length)
        for row, k in np.argwhere(ended):
            if score[row, k] > scores[row]:
                best[row], scores[row] = ids[row, k, 1:], score[row, k]
        hope = log_p / ((5 + max_length) / 6) ** length_penalty                 # no more words can bring more
        log_p = np.where(ended | (hope <= scores[:, None]), -np.inf, log_p)
        if np.isneginf(log_p).all():
            break
    return best, scores


class Transformer(Model):
    """A Transformer: a config and its parameters, in one object that scores, writes, and can be saved.

    config: a TransformerConfig. params: as init_transformer draws them for it.
    Raises ValueError where an array is missing, is not in the config, or has another shape.
    """
    config_class, draw = TransformerConfig, staticmethod(init_transformer)

    def __call__(self, src, tgt, rng=None, record=None):
        """Logits (B, T, n_tgt_vocab) for the ids src (B, S) and tgt (B, T); see transformer."""
        return transformer(self.params, self.config, src, tgt, rng, record)

    def greedy_decode(self, src, max_length=None):
        """Write a target for each source; see greedy_decode. max_length: the config's if None."""
        return greedy_decode(self, src, self._limit(max_length))

    def beam_search(self, src, max_length=None, width=4, length_penalty=0.6):
        """Write a target for each source; see beam_search. max_length: the config's if None."""
        return beam_search(self, src, self._limit(max_length), width, length_penalty)

    def _limit(self, max_length):
        """max_length, or the config's where it is None; an error where it is more than that."""
        if max_length is None:
            return self.config.max_length
        check_length("max_length", max_length, self.config.max_length)
        return max_length
