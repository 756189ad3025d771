"""Training steps and writing with the library's functions, and the matrix products of a step alone."""
import itertools

import numpy as np
from generation import N_TOKENS, PROMPTS
from shared import BETAS, MAX_NORM, RATE, WEIGHT_DECAY, batches, config_of, first_params, gpt_config, writer

from scratchformer_lib.autograd import Tape, plain, tree_map, value_and_grad
from scratchformer_lib.gpt import generate, transformer_lm
from scratchformer_lib.support.workers import shared_out
from scratchformer_lib.training import AdamW, cross_entropy, training_step
from scratchformer_lib.transformer import transformer


def loss_of(model, sizes):
    """The loss of a model, as a function of its params and a batch."""
    def gpt(params, ids, labels, rng=None):
        return cross_entropy(transformer_lm(params, gpt_config(sizes), ids, rng), labels)

    def encoder_decoder(params, src, inputs, labels, rng=None):
        return cross_entropy(transformer(params, config_of(sizes), src, inputs, rng), labels)

    return gpt if model == "GPT" else encoder_decoder


def make_step(model, sizes, by_hand=True, workers=1):
    """A function that takes the next step of a training, and returns the loss before it."""
    optimizer, turns = AdamW(betas=BETAS, weight_decay=WEIGHT_DECAY), itertools.cycle(batches(model, sizes))
    differentiate = value_and_grad(loss_of(model, sizes), by_hand)
    if workers > 1:                     # else with as many BLAS threads as there are
        differentiate = shared_out(differentiate, workers, n_labels=lambda batch: batch[-1].size)
    params = first_params(model, sizes)
    state = optimizer.start(params)

    def step():
        nonlocal params, state
        loss, params, state = training_step(differentiate, params, state, next(turns), optimizer, RATE, MAX_NORM)
        return float(loss)
    return step


def make_writer(sizes, use_cache=True):
    """A function that writes the next text, and returns its ids."""
    model, prompts = writer(sizes), itertools.cycle(PROMPTS)
    return lambda: generate(model, next(prompts), N_TOKENS, use_cache=use_cache).tolist()


class Products(Tape):
    """A tape that keeps what goes into each matrix product."""
    def __init__(self):
        super().__init__(by_hand=False)
        self.pairs = []

    def write(self, name, rule, inputs, outputs):
        if name == "matmul":
            self.pairs.append((*map(plain, inputs), np.ones_like(outputs[0])))
        return super().write(name, rule, inputs, outputs)


def make_products(model, sizes):
    """A function that does the matrix products of a step alone: two on the way back for each on the way forward."""
    tape = Products()
    loss_of(model, sizes)(tree_map(tape.track, first_params(model, sizes)), *batches(model, sizes)[0])

    def products():
        for a, b, dy in tape.pairs:
            a @ b, dy @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ dy
    return products
