"""Values computed by PyTorch, for the library to agree with.

python tests/parity.py makes tests/parity/*.npz anew; it needs PyTorch. The tests read these files, and where PyTorch is
installed they also compute the values live (make test-slow).

A case is a function of ours, inputs in our terms, and what PyTorch makes of them: outputs, and for GRADIENTS those of a
sum over the outputs. Masks: in our terms, True means "may look", as in F.scaled_dot_product_attention; the layers of
torch.nn mean the opposite. Padding has id 0.
"""
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).with_name("parity")
WITHOUT_TORCH = "PyTorch is not installed (pip install torch); its stored values were compared"
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
MODULES = ("softmax", "attention", "multi_head", "block", "encoder", "decoder", "transformer", "training", "gpt")
GRADIENTS = ("gradients", "gpt_gradients")


class Case(NamedTuple):
    function: str
    name: str
    dtype: str
    inputs: dict        # arrays, and plain settings
    expected: list      # of arrays

    def __str__(self):
        return f"{self.function}-{self.name}-{self.dtype}"


def relative_error(got, expected):
    return np.max(np.abs(got - expected)) / np.max(np.abs(expected))


def agrees(case, *got):
    """Raise an error unless we got what the case expects."""
    for i, (ours, theirs) in enumerate(zip(got, case.expected, strict=True)):
        assert (ours.shape, str(ours.dtype)) == (theirs.shape, case.dtype), f"{case}, output {i}: {ours.dtype}"
        error = relative_error(ours, theirs)
        assert error < TOLERANCE[case.dtype], f"{case}, output {i}: relative error {error:.1e}"


def weights_like(y):
    """A different number for every entry of an output. The gradients are those of the sum of all, so weighted."""
    return np.cos(np.arange(1.0, y.size + 1)).reshape(y.shape)


def gradients_agree(case, gradients):
    """Raise an error unless these are the gradients that the case expects. gradients: {name of an input: array}."""
    (theirs,) = case.expected
    assert sum(dx.size for dx in gradients.values()) == theirs.size
    for name, dx in gradients.items():
        expected, theirs = theirs[:dx.size].reshape(dx.shape), theirs[dx.size:]
        error = np.max(np.abs(dx - expected))
        assert error <= TOLERANCE["float64"] * np.max(np.abs(expected)), f"{case}, gradient of {name}: {error:.1e} off"


# What PyTorch makes of our inputs: arrays have become tensors.

def called(layer, state, *args, **options):
    """Call a layer of torch.nn with these parameters, through which gradients flow, in the place of its own."""
    import torch
    return torch.func.functional_call(layer, state, args, options, strict=True)


def torch_softmax(F, x, axis):
    return [F.softmax(x, dim=axis)]


def torch_log_softmax(F, x, axis):
    return [F.log_softmax(x, dim=axis)]


def torch_attention(F, q, k, v, mask=None):
    def attend(values):
        return F.scaled_dot_product_attention(q, k, values, attn_mask=mask)
    return [attend(v), attend(k.new_ones(k.shape[:-1]).diag_embed())]       # blending unit vectors shows the weights


def torch_masks(ids, causal):
    """In the terms of torch.nn: True where nobody may look."""
    import torch
    length = ids.shape[-1]
    return ids == 0, torch.ones(length, length, dtype=torch.bool).triu(1) if causal else None


def torch_multi_head(F, x, memory, W_Q, W_K, W_V, W_O, n_heads, ids, causal=False):
    import torch
    layer = torch.nn.MultiheadAttention(x.shape[-1], n_heads, bias=False, kdim=memory.shape[-1],
                                        vdim=memory.shape[-1], batch_first=True, dtype=x.dtype)
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    state = dict(zip(names, (W_Q.T, W_K.T, W_V.T), strict=True))
    if x.shape[-1] == memory.shape[-1]:
        state = {"in_proj_weight": torch.cat([W_Q.T, W_K.T, W_V.T])}
    padding, mask = torch_masks(ids, causal)
    return called(layer, state | {"out_proj.weight": W_O.T}, x, memory, memory, key_padding_mask=padding,
                  attn_mask=mask, average_attn_weights=False)


def torch_layer_norm(F, x, gamma, beta, eps):
    return [F.layer_norm(x, gamma.shape, gamma, beta, eps)]


def torch_gelu(F, x):
    return [F.gelu(x, approximate="tanh")]


def torch_feed_forward(F, x, W_1, b_1, W_2, b_2, activation):
    return [torch_activations(F)[activation](x @ W_1 + b_1) @ W_2 + b_2]


def torch_activations(F):
    return {"relu": F.relu, "gelu": lambda x: F.gelu(x, approximate="tanh")}


def torch_layer_state(W_Q, W_K, W_V, W_O, W_1, b_1, W_2, b_2, gamma_1, beta_1, gamma_2, beta_2):
    """Our parameters by PyTorch's names. Its attention has biases; they are 0."""
    import torch
    return {
        "self_attn.in_proj_weight": torch.cat([W_Q.T, W_K.T, W_V.T]),
        "self_attn.in_proj_bias": b_2.new_zeros(3 * len(b_2)),
        "self_attn.out_proj.weight": W_O.T, "self_attn.out_proj.bias": b_2.new_zeros(len(b_2)),
        "linear1.weight": W_1.T, "linear1.bias": b_1, "linear2.weight": W_2.T, "linear2.bias": b_2,
        "norm1.weight": gamma_1, "norm1.bias": beta_1, "norm2.weight": gamma_2, "norm2.bias": beta_2}


def torch_block(F, x, n_heads, ids, causal, pre_norm, activation, **params):
    import torch
    layer = torch.nn.TransformerEncoderLayer(x.shape[-1], n_heads, len(params["b_1"]), dropout=0, norm_first=pre_norm,
                                             activation=torch_activations(F)[activation], batch_first=True,
                                             dtype=x.dtype)
    padding, mask = torch_masks(ids, causal)
    return [called(layer, torch_layer_state(**params), x, src_mask=mask, src_key_padding_mask=padding)]


def torch_encoder(F, x, n_layers, n_heads, ids, pre_norm, activation, **params):
    """params: those of a block, each with an axis for the layers; gamma and beta of a final norm."""
    import torch
    D, n_hidden = x.shape[-1], params["b_1"].shape[-1]
    layer = torch.nn.TransformerEncoderLayer(D, n_heads, n_hidden, dropout=0, norm_first=pre_norm, batch_first=True,
                                             activation=torch_activations(F)[activation], dtype=x.dtype)
    norm = torch.nn.LayerNorm(D, dtype=x.dtype) if pre_norm else None
    encoder = torch.nn.TransformerEncoder(layer, n_layers, norm, enable_nested_tensor=False)
    state = {f"layers.{i}.{name}": value for i in range(n_layers) for name, value in torch_layer_state(
        **{name: values[i] for name, values in params.items() if name not in ("gamma", "beta")}).items()}
    if pre_norm:
        state |= {"norm.weight": params["gamma"], "norm.bias": params["beta"]}
    return [called(encoder, state, x, src_key_padding_mask=ids == 0)]


def torch_stack(F, kind, params, n_heads, pre_norm, activation):
    """A torch.nn.TransformerEncoder or TransformerDecoder of the sizes of our parameters, for torch_stack_state."""
    import torch
    W_1 = params["layer_1/feed_forward/W_1"]
    D, n_hidden = W_1.shape
    layer = getattr(torch.nn, f"Transformer{kind}Layer")(
        D, n_heads, n_hidden, dropout=0, activation=torch_activations(F)[activation], batch_first=True,
        norm_first=pre_norm, dtype=W_1.dtype)
    norm = torch.nn.LayerNorm(D, dtype=W_1.dtype) if pre_norm else None
    options = {"enable_nested_tensor": False} if kind == "Encoder" else {}
    return getattr(torch.nn, f"Transformer{kind}")(layer, n_layers_of(params), norm, **options)


def torch_stack_state(kind, params):
    """Our parameters, with names such as "layer_1/norm_1/gamma", by PyTorch's. Its attention has biases; they are 0."""
    import torch
    attentions = {"attention": "self_attn"} if kind == "Encoder" else \
        {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
    state = {"norm.weight": params["norm/gamma"], "norm.bias": params["norm/beta"]} if "norm/gamma" in params else {}
    for i in range(n_layers_of(params)):
        ours, theirs = f"layer_{i + 1}/", f"layers.{i}."
        for part, name in attentions.items():
            W_Q, W_K, W_V, W_O = (params[f"{ours}{part}/{W}"].T for W in ("W_Q", "W_K", "W_V", "W_O"))
            state |= {f"{theirs}{name}.in_proj_weight": torch.cat([W_Q, W_K, W_V]),
                      f"{theirs}{name}.in_proj_bias": W_O.new_zeros(3 * len(W_O)),
                      f"{theirs}{name}.out_proj.weight": W_O, f"{theirs}{name}.out_proj.bias": W_O.new_zeros(len(W_O))}
        for k in (1, 2):
            state[f"{theirs}linear{k}.weight"] = params[f"{ours}feed_forward/W_{k}"].T
            state[f"{theirs}linear{k}.bias"] = params[f"{ours}feed_forward/b_{k}"]
        for k in range(1, len(attentions) + 2):
            state[f"{theirs}norm{k}.weight"] = params[f"{ours}norm_{k}/gamma"]
            state[f"{theirs}norm{k}.bias"] = params[f"{ours}norm_{k}/beta"]
    return state


def n_layers_of(params):
    return sum(name.endswith("/W_1") for name in params)


def torch_decoder(F, x, memory, ids, ids_memory, n_heads, pre_norm, activation, **params):
    padding, mask = torch_masks(ids, causal=True)
    decoder = torch_stack(F, "Decoder", params, n_heads, pre_norm, activation)
    return [called(decoder, torch_stack_state("Decoder", params), x, memory, tgt_mask=mask,
                   tgt_key_padding_mask=padding, memory_key_padding_mask=ids_memory == 0)]


def torch_embedded(F, ids, table, scale):
    """Words, times the root of D, plus waves: sine and cosine of place / 10000 ** (2 i / D), in turns."""
    import torch
    length, D = ids.shape[1], table.shape[1]
    frequencies = torch.exp(torch.arange(0, D, 2, dtype=torch.float64) * (-math.log(10000) / D))
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return F.embedding(ids, table) * (math.sqrt(D) if scale else 1) + waves.to(table.dtype)


def torch_transformer(F, src, tgt, n_heads, pre_norm, activation, scale, **params):
    """Without "target_table" one table serves both; without "output/W" the last matrix is the target's table."""
    import torch
    source_table = params["source_table"]
    target_table = params.get("target_table", source_table)
    parts = {kind: {name.partition("/")[2]: p for name, p in params.items() if name.startswith(f"{kind.lower()}/")}
             for kind in ("Encoder", "Decoder")}
    encoder, decoder = (torch_stack(F, kind, part, n_heads, pre_norm, activation) for kind, part in parts.items())
    model = torch.nn.Transformer(source_table.shape[1], n_heads, custom_encoder=encoder, custom_decoder=decoder,
                                 batch_first=True)
    state = {f"{kind.lower()}.{name}": p for kind, part in parts.items()
             for name, p in torch_stack_state(kind, part).items()}
    padding, mask = torch_masks(tgt, causal=True)
    y = called(model, state, torch_embedded(F, src, source_table, scale), torch_embedded(F, tgt, target_table, scale),
               tgt_mask=mask, src_key_padding_mask=src == 0, tgt_key_padding_mask=padding,
               memory_key_padding_mask=src == 0)
    return [F.linear(y, params["output/W"].T if "output/W" in params else target_table, params["output/b"])]


def torch_transformer_lm(F, ids, n_heads, pre_norm, activation, **params):
    """Without "positions" they are waves; without "output" the last matrix is the table."""
    blocks = {name.removeprefix("blocks/"): p for name, p in params.items() if name.startswith("blocks/")}
    if "positions" in params:
        x = F.embedding(ids, params["table"]) + params["positions"][:ids.shape[1]]
    else:
        x = torch_embedded(F, ids, params["table"], scale=True)
    stack = torch_stack(F, "Encoder", blocks, n_heads, pre_norm, activation)
    _, mask = torch_masks(ids, causal=True)
    y = called(stack, torch_stack_state("Encoder", blocks), x, mask=mask)
    return [F.linear(y, params["output"].T if "output" in params else params["table"])]


def torch_cross_entropy(F, logits, targets, ignore_id, label_smoothing):
    ignored = {} if ignore_id is None else {"ignore_index": ignore_id}
    return [F.cross_entropy(logits.flatten(0, -2), targets.flatten(), label_smoothing=label_smoothing, **ignored)]


def torch_loss(F, labels, ignore_id, label_smoothing, **inputs):
    """The cross-entropy of a whole Transformer."""
    return torch_cross_entropy(F, *torch_transformer(F, **inputs), labels, ignore_id, label_smoothing)


def torch_lm_loss(F, labels, ignore_id, **inputs):
    """The cross-entropy of a whole GPT."""
    return torch_cross_entropy(F, *torch_transformer_lm(F, **inputs), labels, ignore_id, 0.0)


def torch_steps(optimizer, rates, *pairs):
    """Each parameter after each step. pairs: of a parameter and its gradients, one for each step."""
    import torch
    history = []
    for i, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for x, slopes in pairs:
            x.grad = slopes[i].detach().clone()
        optimizer.step()
        history.append([x.detach().clone() for x, _ in pairs])
    return [torch.stack(steps) for steps in zip(*history, strict=True)]


def torch_adamw(F, W, b, dW, db, rates, betas, eps, weight_decay):
    import torch
    optimizer = torch.optim.AdamW([{"params": [W], "weight_decay": weight_decay}, {"params": [b], "weight_decay": 0}],
                                  betas=betas, eps=eps)
    steps = torch_steps(optimizer, rates, (W, dW), (b, db))
    return [*steps, *(optimizer.state[x][name] for x in (W, b) for name in ("exp_avg", "exp_avg_sq"))]


def torch_sgd(F, W, b, dW, db, rates, momentum):
    import torch
    return torch_steps(torch.optim.SGD([W, b], momentum=momentum), rates, (W, dW), (b, db))


def torch_clip(F, W, b, max_norm):
    import torch
    for x in (W, b):
        x.grad = x.detach().clone()
    torch.nn.utils.clip_grad_norm_([W, b], max_norm)
    return [W.grad, b.grad]


# The inputs: (function, name, inputs).

def inputs_of_softmax(rng):
    for shape, axis in (((7,), -1), ((3, 5), 0), ((2, 3, 4), 1), ((2, 3, 4, 5), -1), ((3, 2, 50), -1)):
        for scale in (1, 100):
            x = scale * rng.standard_normal(shape)
            for function in ("softmax", "log_softmax"):
                yield function, f"{'x'.join(map(str, shape))}-axis{axis}-times{scale}", {"x": x, "axis": axis}


def inputs_of_attention(rng):
    B, H, T, S, d_k, d_v = 3, 2, 5, 7, 4, 6
    q, k, v = (rng.standard_normal((B, H, *shape)) for shape in ((T, d_k), (S, d_k), (S, d_v)))
    some = rng.random((B, H, T, S)) < 0.5
    some[..., 0] = True         # every query may look somewhere: PyTorch's versions differ on those that may not
    real = np.arange(S) < np.array([7, 4, 1])[:, None, None, None]
    yield "attention", "one", {"q": q[0, 0], "k": k[0, 0], "v": v[0, 0]}
    yield "attention", "many", {"q": q, "k": k, "v": v}
    yield "attention", "same-mask-for-all", {"q": q, "k": k, "v": v, "mask": some[0, 0]}
    yield "attention", "mask-of-padding", {"q": q, "k": k, "v": v, "mask": real}
    yield "attention", "mask-for-each-head", {"q": q, "k": k, "v": v, "mask": some}
    yield "attention", "padding-and-causal", {"q": q, "k": k[..., :T, :], "v": v[..., :T, :],
                                              "mask": real[..., :T] & np.tri(T, dtype=bool)}
    k, v = (np.concatenate([x[..., :3, :], x[..., :3, :]], -2) for x in (k, v))
    yield "attention", "repeated-keys", {"q": q, "k": k, "v": v, "mask": some[..., :6]}
    yield "attention", "large-scores", {"q": 30 * q, "k": k, "v": v}


def padded(rng, lengths, length):
    return np.where(np.arange(length) < np.array(lengths)[:, None], rng.randint(1, 9, (len(lengths), length)), 0)


def matrix(rng, n_in, n_out):
    return rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)


def inputs_of_multi_head(rng):
    B, T, S, D, D_memory = 3, 5, 7, 8, 6
    x, memory = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    narrow = rng.standard_normal((B, S, D_memory))
    repeated = x[:, [0, 1, 2, 3, 0]]
    W = {name: matrix(rng, D, D) for name in ("W_Q", "W_K", "W_V", "W_O")}
    W_narrow = W | {"W_K": matrix(rng, D_memory, D), "W_V": matrix(rng, D_memory, D)}
    every, ids, ids_memory = np.ones((B, T), int), padded(rng, (5, 3, 1), T), padded(rng, (2, 7, 4), S)
    for H in (1, 2, 4):
        yield "multi_head", f"{H}-heads", {"x": x, "memory": x, **W, "n_heads": H, "ids": every}
    yield "multi_head", "padding", {"x": x, "memory": x, **W, "n_heads": 2, "ids": ids}
    yield "multi_head", "padding-and-causal", {"x": x, "memory": x, **W, "n_heads": 2, "ids": ids, "causal": True}
    yield "multi_head", "repeated-words", {"x": repeated, "memory": repeated, **W, "n_heads": 2, "ids": ids,
                                           "causal": True}
    yield "multi_head", "memory", {"x": x, "memory": memory, **W, "n_heads": 2, "ids": ids_memory}
    yield "multi_head", "narrow-memory", {"x": x, "memory": narrow, **W_narrow, "n_heads": 4, "ids": ids_memory}


def inputs_of_block(rng):
    x = rng.standard_normal((3, 5, 8))
    flat = np.where(np.arange(5)[:, None] == 2, 0.5, x)         # one row is constant: its variance is 0
    gamma, beta = rng.standard_normal((2, 8))
    for name, rows, eps in (("usual", x, 1e-5), ("constant-row", flat, 1e-5), ("large-eps", x, 0.1), ("no-eps", x, 0.)):
        yield "layer_norm", name, {"x": rows, "gamma": gamma, "beta": beta, "eps": eps}
    yield "gelu", "usual", {"x": rng.standard_normal((3, 4))}
    yield "gelu", "far-out", {"x": np.linspace(-8, 8, 65)}

    B, T, D, F = 3, 5, 8, 12
    params = {name: matrix(rng, D, D) for name in ("W_Q", "W_K", "W_V", "W_O")}
    params |= {"W_1": matrix(rng, D, F), "b_1": rng.standard_normal(F), "W_2": matrix(rng, F, D)}
    params |= {name: rng.standard_normal(D) for name in ("b_2", "gamma_1", "beta_1", "gamma_2", "beta_2")}
    every, ids = np.ones((B, T), int), padded(rng, (5, 3, 1), T)
    x = rng.standard_normal((B, T, D))
    repeated = x[:, [0, 1, 2, 3, 0]]
    for pre_norm in (False, True):
        for activation in ("relu", "gelu"):
            settings = {"n_heads": 2, "pre_norm": pre_norm, "activation": activation}
            name = f"{'pre' if pre_norm else 'post'}-norm-{activation}"
            yield "block", name, {"x": x, **params, **settings, "ids": every, "causal": False}
            yield "block", f"{name}-masks", {"x": x, **params, **settings, "ids": ids, "causal": True}
            yield "block", f"{name}-repeated-words", {"x": repeated, **params, **settings, "ids": ids, "causal": False}


def inputs_of_encoder(rng):
    B, S, D, F = 3, 5, 8, 12
    ids, x = padded(rng, (5, 3, 1), S), rng.standard_normal((B, S, D))
    for n_layers in (1, 3):
        shapes = {"W_Q": (D, D), "W_K": (D, D), "W_V": (D, D), "W_O": (D, D), "W_1": (D, F), "b_1": (F,), "W_2": (F, D)}
        shapes |= dict.fromkeys(("b_2", "gamma_1", "beta_1", "gamma_2", "beta_2"), (D,))
        params = {name: rng.standard_normal((n_layers, *shape)) / (np.sqrt(shape[0]) if len(shape) == 2 else 1)
                  for name, shape in shapes.items()}
        params |= {"gamma": rng.standard_normal(D), "beta": rng.standard_normal(D)}
        for pre_norm in (False, True):
            for activation in ("relu", "gelu"):
                name = f"{n_layers}-layers-{'pre' if pre_norm else 'post'}-norm-{activation}"
                yield "encoder", name, {"x": x, **params, "n_layers": n_layers, "n_heads": 2, "ids": ids,
                                        "pre_norm": pre_norm, "activation": activation}


def stack_of(rng, n_layers, D, n_hidden, pre_norm, *attentions):
    """The parameters of a stack, by names such as "layer_1/norm_1/gamma"."""
    params = {}
    for layer in (f"layer_{i + 1}" for i in range(n_layers)):
        for part in attentions:
            params |= {f"{layer}/{part}/{W}": matrix(rng, D, D) for W in ("W_Q", "W_K", "W_V", "W_O")}
        for W, b, n_in, n_out in (("W_1", "b_1", D, n_hidden), ("W_2", "b_2", n_hidden, D)):
            params |= {f"{layer}/feed_forward/{W}": matrix(rng, n_in, n_out),
                       f"{layer}/feed_forward/{b}": rng.standard_normal(n_out)}
        params |= {f"{layer}/norm_{k + 1}/{name}": rng.standard_normal(D) for k in range(len(attentions) + 1)
                   for name in ("gamma", "beta")}
    return params | ({f"norm/{name}": rng.standard_normal(D) for name in ("gamma", "beta")} if pre_norm else {})


def inputs_of_decoder(rng):
    B, T, S, D, H = 3, 5, 7, 8, 2
    every, every_memory = np.ones((B, T), int), np.ones((B, S), int)
    ids, ids_memory = padded(rng, (5, 3, 1), T), padded(rng, (2, 7, 4), S)
    x, memory = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    repeated = x[:, [0, 1, 2, 3, 0]]
    for n_layers in (1, 3):
        for pre_norm in (False, True):
            params = stack_of(rng, n_layers, D, 12, pre_norm, "self_attention", "cross_attention")
            for activation in ("relu", "gelu"):
                settings = {"memory": memory, "n_heads": H, "pre_norm": pre_norm, "activation": activation, **params}
                name = f"{n_layers}-layers-{'pre' if pre_norm else 'post'}-norm-{activation}"
                yield "decoder", name, {"x": x, "ids": every, "ids_memory": every_memory, **settings}
                yield "decoder", f"{name}-padding", {"x": x, "ids": ids, "ids_memory": ids_memory, **settings}
            yield "decoder", f"{name}-repeated-words", {"x": repeated, "ids": ids, "ids_memory": ids_memory, **settings}


def inputs_of_transformer(rng):
    D, n_source, n_target = 8, 11, 9
    src, tgt = padded(rng, (2, 7, 4), 7), padded(rng, (5, 3, 1), 5)
    repeated = {"src": np.array([[4, 5, 4, 4, 5, 0, 0]] * 3), "tgt": np.array([[1, 6, 6, 1, 6]] * 3)}
    for n_layers in (1, 2):
        for pre_norm in (False, True):
            params = {"source_table": rng.standard_normal((n_source, D)),
                      "target_table": rng.standard_normal((n_target, D)),
                      "output/W": matrix(rng, D, n_target), "output/b": rng.standard_normal(n_target)}
            for kind, *attentions in (("encoder", "attention"), ("decoder", "self_attention", "cross_attention")):
                stack = stack_of(rng, n_layers + (kind == "decoder"), D, 12, pre_norm, *attentions)
                params |= {f"{kind}/{name}": p for name, p in stack.items()}
            for activation in ("relu", "gelu"):
                settings = {"n_heads": 2, "pre_norm": pre_norm, "activation": activation, "scale": True}
                name = f"{n_layers}-layers-{'pre' if pre_norm else 'post'}-norm-{activation}"
                yield "transformer", name, {"src": src, "tgt": tgt, **settings, **params}
            yield "transformer", f"{name}-repeated-words", {**repeated, **settings, **params}
            yield "transformer", f"{name}-unscaled", {"src": src, "tgt": tgt, **settings, **params, "scale": False}
            tied = {key: p for key, p in params.items() if key != "output/W"}
            yield "transformer", f"{name}-tied", {"src": src, "tgt": tgt, **settings, **tied}
            shared = {key: p for key, p in params.items() if key != "target_table"}
            shared["source_table"] = shared["source_table"][:n_target]
            yield "transformer", f"{name}-shared", {"src": src, "tgt": tgt, **settings, **shared}
            shared.pop("output/W")
            yield "transformer", f"{name}-shared-and-tied", {"src": src, "tgt": tgt, **settings, **shared}

    logits, targets = rng.standard_normal((3, 5, n_target)), padded(rng, (5, 3, 1), 5)
    for scale in (1, 100):
        for ignore_id in (None, 0, 3):
            for label_smoothing in (0.0, 0.1, 0.9):
                yield "cross_entropy", f"times{scale}-ignore-{ignore_id}-smoothing-{label_smoothing}", {
                    "logits": scale * logits, "targets": targets, "ignore_id": ignore_id,
                    "label_smoothing": label_smoothing}
    yield "cross_entropy", "one-axis", {"logits": logits[0], "targets": targets[0], "ignore_id": None,
                                        "label_smoothing": 0.1}


def inputs_of_training(rng):
    arrays = {name: rng.standard_normal(shape) for name, shape in (
        ("W", (3, 4)), ("b", 4), ("dW", (5, 3, 4)), ("db", (5, 4)))}
    arrays["dW"][:, 0] *= 1e-3
    rates = [0.1, 0.3, 0.03, 0.01, 0.2]
    for name, betas, eps, weight_decay in (("usual", (0.9, 0.999), 1e-8, 0.01), ("no-decay", (0.9, 0.999), 1e-8, 0.0),
                                           ("large-eps", (0.8, 0.95), 0.1, 0.5), ("no-memory", (0.0, 0.0), 1e-8, 0.1)):
        yield "adamw", name, {**arrays, "rates": rates, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    for momentum in (0.0, 0.9):
        yield "sgd", f"momentum-{momentum}", {**arrays, "rates": rates, "momentum": momentum}
    for max_norm in (0.5, 3.0, 100.0):
        yield "clip", f"to-{max_norm}", {"W": arrays["W"], "b": arrays["b"], "max_norm": max_norm}


def inputs_of_gpt(rng):
    D, n_vocab, T = 8, 11, 6
    ids, repeated = rng.randint(0, n_vocab, (3, T)), np.array([[4, 5, 4, 4, 5, 4], [7] * 6, [0, 10, 0, 10, 10, 0]])
    tables = {"table": rng.standard_normal((n_vocab, D)), "positions": rng.standard_normal((T + 1, D))}
    output = rng.standard_normal((D, n_vocab))
    for pre_norm in (False, True):
        blocks = {f"blocks/{name}": p for name, p in stack_of(rng, 2, D, 12, pre_norm, "attention").items()}
        for activation in ("relu", "gelu"):
            for without in ((), ("positions",), ("output",), ("positions", "output")):
                params = tables | blocks | {"output": output}
                inputs = {"n_heads": 2, "pre_norm": pre_norm, "activation": activation,
                          **{name: p for name, p in params.items() if name not in without}}
                name = "-".join(["pre-norm" if pre_norm else "post-norm", activation,
                                 "sinusoidal" if "positions" in without else "learned",
                                 "tied" if "output" in without else "untied"])
                yield "transformer_lm", name, {"ids": ids, **inputs}
                yield "transformer_lm", f"{name}-repeated-tokens", {"ids": repeated, **inputs}
        yield "transformer_lm", f"{name}-one-token", {"ids": ids[:, :1], **inputs}


ALSO_GRADIENTS_OF = """
    softmax-3x5-axis0-times1 log_softmax-3x5-axis0-times1 softmax-2x3x4-axis1-times1 log_softmax-2x3x4-axis1-times1
    attention-mask-for-each-head attention-padding-and-causal attention-repeated-keys
    multi_head-padding-and-causal multi_head-repeated-words multi_head-narrow-memory
    layer_norm-usual layer_norm-constant-row layer_norm-large-eps layer_norm-no-eps gelu-usual gelu-far-out
    block-post-norm-relu-masks block-post-norm-gelu-repeated-words
    block-pre-norm-relu-repeated-words block-pre-norm-gelu-masks
    encoder-1-layers-post-norm-gelu encoder-1-layers-pre-norm-relu
    decoder-1-layers-post-norm-relu-padding decoder-1-layers-pre-norm-gelu-repeated-words
""".split()


def inputs_of_gradients(rng):
    for name in MODULES:
        for function, title, inputs in globals()[f"inputs_of_{name}"](seeded()):
            if f"{function}-{title}" in ALSO_GRADIENTS_OF:
                yield function, title, inputs
    x, W_1, b_1, W_2, b_2 = (rng.standard_normal(shape) for shape in ((3, 5, 4), (4, 6), 6, (6, 4), 4))
    for activation in ("relu", "gelu"):
        yield "feed_forward", activation, {"x": x, "W_1": W_1, "b_1": b_1, "W_2": W_2, "b_2": b_2,
                                           "activation": activation}

    D, n_words = 4, 9
    src, tgt, labels = padded(rng, (2, 6, 4), 6), padded(rng, (5, 3, 1), 5), padded(rng, (5, 3, 1), 5)
    repeated = {"src": np.array([[4, 5, 4, 4, 5, 0]] * 3), "tgt": np.array([[1, 6, 6, 1, 6]] * 3)}
    for pre_norm in (False, True):
        params = {"source_table": rng.standard_normal((n_words, D)), "target_table": rng.standard_normal((n_words, D)),
                  "output/W": matrix(rng, D, n_words), "output/b": rng.standard_normal(n_words)}
        for part, n_layers, *attentions in (("encoder", 2, "attention"),
                                            ("decoder", 1, "self_attention", "cross_attention")):
            stack = stack_of(rng, n_layers, D, 12, pre_norm, *attentions)
            params |= {f"{part}/{name}": p for name, p in stack.items()}
        for name, without, changed in (
                ("relu", (), {"activation": "relu"}), ("repeated-words", (), repeated),
                ("gelu-smoothing", (), {"label_smoothing": 0.1}), ("nothing-ignored", (), {"ignore_id": None}),
                ("tied", ("output/W",), {}), ("shared-and-tied", ("target_table", "output/W"), {"scale": False})):
            yield "loss", f"{'pre' if pre_norm else 'post'}-norm-{name}", {
                "src": src, "tgt": tgt, "labels": labels, "n_heads": 2, "pre_norm": pre_norm, "activation": "gelu",
                "scale": True, "ignore_id": 0, "label_smoothing": 0.0, **changed,
                **{key: p for key, p in params.items() if key not in without}}


def inputs_of_gpt_gradients(rng):
    labels = rng.randint(0, 11, (3, 6))
    for _, name, inputs in inputs_of_gpt(seeded()):
        if name.endswith("repeated-tokens"):
            ignore_id = int(labels[0, 0]) if "relu" in name else None
            yield "lm_loss", name, {"labels": labels, "ignore_id": ignore_id, **inputs}


def seeded():
    return np.random.RandomState(20)        # unlike those of a Generator, its numbers are promised to stay the same


def cases(name):
    """The cases of a module, or of GRADIENTS, without what is expected."""
    for function, title, inputs in globals()[f"inputs_of_{name}"](seeded()):
        for dtype in ("float64",) if name in GRADIENTS else TOLERANCE:
            cast = {key: x.astype(dtype) if is_float(x) else x for key, x in inputs.items()}
            yield Case(function, title, dtype, cast, [])


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def live(name):
    """The cases, computed now by PyTorch."""
    import torch
    for case in cases(name):
        tensors = {key: torch.tensor(x, requires_grad=is_float(x)) if isinstance(x, np.ndarray) else x
                   for key, x in case.inputs.items()}
        outputs = globals()[f"torch_{case.function}"](torch.nn.functional, **tensors)
        expected = [y.detach().numpy() for y in outputs]
        if name in GRADIENTS:
            total = sum((y * torch.tensor(w)).sum() for y, w in zip(outputs, map(weights_like, expected), strict=True))
            floats = [x for key, x in tensors.items() if is_float(case.inputs[key])]
            gradients = torch.autograd.grad(total, floats, materialize_grads=True)
            expected = [torch.cat([dx.flatten() for dx in gradients]).numpy()]
        yield case._replace(expected=expected)


def stored(name):
    """The cases as PyTorch once computed them."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return [case._replace(expected=[file[key] for key in file if key.startswith(f"{case}-output")])
                for case in cases(name)]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in (*MODULES, *GRADIENTS):
        arrays = {f"{case}-output{i}": y for case in live(name) for i, y in enumerate(case.expected)}
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
