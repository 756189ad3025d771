"""The same models in PyTorch, with the same first weights, as one would write them there. Run eagerly."""
import itertools
import math

import numpy as np
import torch
from generation import N_TOKENS, PROMPTS
from shared import BETAS, MAX_NORM, RATE, WEIGHT_DECAY, batches, first_params, writer
from torch import nn
from torch.nn import functional as F

from scratchformer_lib.embeddings import Vocabulary, positional_encoding


def linear(W, b=None):
    """nn.Linear with our weights; it keeps the matrix the other way round."""
    layer = nn.Linear(*W.shape, bias=b is not None)
    layer.weight = parameter(np.ascontiguousarray(W.T))
    if b is not None:
        layer.bias = parameter(b)
    return layer


def layer_norm(gamma, beta):
    norm = nn.LayerNorm(len(gamma))
    norm.weight, norm.bias = parameter(gamma), parameter(beta)
    return norm


def parameter(x):
    return nn.Parameter(torch.tensor(x))


class Attention(nn.Module):
    """Queries, keys and values of one sequence come out of one wide product; of two, out of two."""
    def __init__(self, W_Q, W_K, W_V, W_O, n_heads, two=False):
        super().__init__()
        self.n_heads, self.width = n_heads, W_Q.shape[1]
        wide = [W_Q, np.hstack([W_K, W_V])] if two else [np.hstack([W_Q, W_K, W_V])]
        self.wide, self.out = nn.ModuleList(map(linear, wide)), linear(W_O)

    def forward(self, *sources, mask=None, causal=False, cache=None):
        parts = [part for x, layer in zip(sources, self.wide, strict=True) for part in layer(x).split(self.width, -1)]
        q, k, v = (part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        if cache is not None:
            k, v = cache.extended(k, v)
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal)
        return self.out(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A block, an encoder layer or a decoder layer, by what its params hold."""
    def __init__(self, params, n_heads, activation, pre_norm):
        super().__init__()
        self.activation, self.pre_norm = activation, pre_norm
        self.attention = Attention(**params.get("attention", params.get("self_attention")), n_heads=n_heads)
        if "cross_attention" in params:
            self.cross_attention = Attention(**params["cross_attention"], n_heads=n_heads, two=True)
        W_1, b_1, W_2, b_2 = (params["feed_forward"][name] for name in ("W_1", "b_1", "W_2", "b_2"))
        self.widen, self.narrow = linear(W_1, b_1), linear(W_2, b_2)
        self.norms = nn.ModuleList(layer_norm(**params[name]) for name in params if name.startswith("norm"))

    def forward(self, x, memory=None, memory_mask=None, **options):
        parts = [lambda y: self.attention(y, **options), lambda y: self.narrow(self.activation(self.widen(y)))]
        if memory is not None:
            parts.insert(1, lambda y: self.cross_attention(y, memory, mask=memory_mask))
        for part, norm in zip(parts, self.norms, strict=True):
            x = x + part(norm(x)) if self.pre_norm else norm(x + part(x))
        return x


def layers_of(params, *options):
    return nn.ModuleList(Layer(params[name], *options) for name in params if name.startswith("layer"))


class GPT(nn.Module):
    def __init__(self, params, sizes):
        super().__init__()
        self.table, self.positions = parameter(params["table"]), parameter(params["positions"])
        self.layers = layers_of(params["blocks"], sizes.H, lambda x: F.gelu(x, approximate="tanh"), True)
        self.norm = layer_norm(**params["blocks"]["norm"])

    def forward(self, ids):
        x = F.embedding(ids, self.table) + self.positions
        for layer in self.layers:
            x = layer(x, causal=True)
        return F.linear(self.norm(x), self.table)


class Cache:
    """Keys and values of what came before, (B, H, length, d), with room for more: faster than to concatenate."""
    def __init__(self, *shape):
        self.k, self.v, self.length = torch.empty(shape), torch.empty(shape), 0

    def extended(self, k, v):
        start, self.length = self.length, self.length + k.shape[2]
        self.k[:, :, start:self.length], self.v[:, :, start:self.length] = k, v
        return self.k[:, :, :self.length], self.v[:, :, :self.length]


class Writer(GPT):
    """A GPT that goes on from where its caches end, one token at a time."""
    def forward(self, ids, caches):
        x = F.embedding(ids, self.table) + self.positions[caches[0].length]
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, cache=cache)
        return F.linear(self.norm(x), self.table)


class QuickWriter(Writer):
    """The same with functions alone: for one token, to call modules takes a third of the time."""
    def __init__(self, params, sizes):
        super().__init__(params, sizes)
        self.n_heads, parts = sizes.H, ("attention.wide.0", "attention.out", "widen", "narrow", "norms.0", "norms.1")
        self.flat = [[p for part in parts for p in layer.get_submodule(part).parameters()] for layer in self.layers]
        self.last, self.size = tuple(self.norm.parameters()), (sizes.D,)

    def forward(self, ids, caches):
        x = F.embedding(ids, self.table) + self.positions[caches[0].length]
        for (wide, out, W_1, b_1, W_2, b_2, gamma_1, beta_1, gamma_2, beta_2), cache in zip(self.flat, caches,
                                                                                            strict=True):
            y = F.linear(F.layer_norm(x, self.size, gamma_1, beta_1), wide)
            q, k, v = y.unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, *cache.extended(k, v))
            x = x + F.linear(y.transpose(1, 2).flatten(2), out)
            y = F.linear(F.layer_norm(x, self.size, gamma_2, beta_2), W_1, b_1)
            x = x + F.linear(F.gelu(y, approximate="tanh"), W_2, b_2)
        return F.linear(F.layer_norm(x, self.size, *self.last), self.table)


class EncoderDecoder(nn.Module):
    def __init__(self, params, sizes):
        super().__init__()
        self.source, self.target = parameter(params["source_table"]), parameter(params["target_table"])
        self.positions = torch.tensor(positional_encoding(sizes.T, sizes.D))
        self.causal = torch.ones(sizes.T, sizes.T, dtype=torch.bool).tril()
        self.encoder = layers_of(params["encoder"], sizes.H, F.relu, False)
        self.decoder = layers_of(params["decoder"], sizes.H, F.relu, False)
        self.out = linear(**params["output"])

    def embedded(self, ids, table):
        return math.sqrt(table.shape[1]) * F.embedding(ids, table) + self.positions

    def forward(self, src, tgt):
        source_mask, target_mask = ((ids != Vocabulary.pad_id)[:, None, None] for ids in (src, tgt))
        memory, x = self.embedded(src, self.source), self.embedded(tgt, self.target)
        for layer in self.encoder:
            memory = layer(memory, mask=source_mask)
        for layer in self.decoder:
            x = layer(x, memory, source_mask, mask=target_mask & self.causal)
        return self.out(x)


def make_step(model, sizes, threads):
    """A function that takes the next step of a training, and returns the loss before it."""
    torch.set_num_threads(threads)
    net = (GPT if model == "GPT" else EncoderDecoder)(first_params(model, sizes), sizes)
    groups = [{"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
              {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
    turns = itertools.cycle([[torch.from_numpy(np.array(x)) for x in batch] for batch in batches(model, sizes)])

    def step():
        *inputs, labels = next(turns)
        loss = F.cross_entropy(net(*inputs).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), MAX_NORM)
        optimizer.step()
        return loss.item()
    return step


def make_writer(sizes, threads, modules=True):
    """A function that writes the next text, and returns its ids. modules: False for functions alone."""
    torch.set_num_threads(threads)
    net = (Writer if modules else QuickWriter)(writer(sizes).params, sizes)
    prompts = itertools.cycle(PROMPTS)

    @torch.inference_mode()
    def write():
        token, written = torch.tensor([next(prompts)]), []
        caches = [Cache(sizes.B, sizes.H, sizes.T, sizes.D // sizes.H) for _ in net.layers]
        for _ in range(N_TOKENS):
            token = net(token, caches).argmax(-1)
            written.append(token)
        return torch.cat(written, dim=1)[0].tolist()
    return write
