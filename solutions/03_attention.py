# %% [markdown]
# # 03 · Attention: words look at each other
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/03_attention.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/03_attention.ipynb)
# <!-- /badges -->

# %%
#| setup
# Run this cell first. It finds the course (where it is missing, as on Colab, it installs it) and opens the chapter.
import importlib.util
import pathlib
import subprocess
import sys

if importlib.util.find_spec("scratchformer_lib") is None:
    above = [folder for folder in pathlib.Path.cwd().parents if (folder / "scratchformer_lib").is_dir()]
    if above:
        sys.path.insert(0, str(above[0]))
    else:
        course = "git+https://github.com/scratchformer/scratchformer"
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", course], check=True)
        importlib.invalidate_caches()

from scratchformer_lib.course import begin, check, progress, solution

begin("03")
# %%
#| given
#| default_exp attention
#| export
import functools
import math
import numpy as np

from scratchformer_lib.embeddings import shift_matrix
from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import check_attention, check_count, check_ids, check_masks, check_projections

# %% [markdown]
# **Exercise 3.1.** soft_lookup

# %%
def soft_lookup(query, keys, values):
    """Look a query up among keys that need not match exactly: values blended by how well each key fits.

    query: (d,). keys: (S, d). values: (S, d_v).
    Returns the blend, (d_v,).
    """
    ### BEGIN SOLUTION
    return softmax(keys @ query) @ values
    ### END SOLUTION

# %%
check(soft_lookup)

# %% [markdown]
# **Exercise 3.2.** scaled_dot_product_attention

# %%
#| export
def scaled_dot_product_attention(q, k, v, mask=None):
    """Let every query blend the values by how well their keys fit it.

    q: queries (..., T, d_k). k: keys (..., S, d_k). v: values (..., S, d_v).
    mask: bool, (T, S) or as many axes as the scores; True where a query may look. None: everywhere.
    Returns (output (..., T, d_v), weights (..., T, S)). Weights of a query add up to 1; one that may look at nothing
    has zeros.
    Raises ValueError where shapes do not fit, or a mask is not bool or would enlarge the scores.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.2.1.
    """
    check_attention(q, k, v, mask)
    ### BEGIN SOLUTION
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if mask is None:
        weights = softmax(scores)
    else:
        lowest = np.finfo(scores.dtype).min
        weights = softmax(np.where(mask, scores, lowest)) * mask
    return weights @ v, weights
    ### END SOLUTION

# %%
check(scaled_dot_product_attention)

# %% [markdown]
# **Exercise 3.3.** self_attention

# %%
#| export
def self_attention(x, W_Q, W_K, W_V, mask=None):
    """Let every word look at the words of its own sentence.

    x: (..., T, D). W_Q, W_K: (D, d_k). W_V: (D, d_v).
    mask: bool, as in scaled_dot_product_attention.
    Returns (output (..., T, d_v), weights (..., T, T)).
    Raises ValueError where shapes do not fit.
    """
    check_projections(x, x, W_Q, W_K, W_V, mask)
    ### BEGIN SOLUTION
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, x @ W_V, mask)
    ### END SOLUTION

# %%
check(self_attention)

# %% [markdown]
# **Exercise 3.4.** causal_mask

# %%
#| export
def causal_mask(length):
    """Let each position look at itself and at what came before it.

    length: T, the number of positions.
    Returns (T, T), bool; True where row i may look at column j.
    """
    check_count("length", length)
    ### BEGIN SOLUTION
    return np.tri(length, dtype=bool)
    ### END SOLUTION

# %%
check(causal_mask)

# %% [markdown]
# **Exercise 3.5.** padding_mask

# %%
#| export
def padding_mask(ids, pad_id):
    """Let every position look at words alone, not at padding.

    ids: (..., S), whole numbers; mostly (B, S). pad_id: the id of padding.
    Returns (..., 1, 1, S), bool; True where there is a word. The axes of size 1 stand for heads and for queries.
    """
    check_ids("ids", ids)
    ### BEGIN SOLUTION
    return (ids != pad_id)[..., None, None, :]
    ### END SOLUTION

# %%
check(padding_mask)

# %%
#| export
def combine_masks(*masks):
    """Allow what every mask allows.

    masks: bool arrays, (T, S) or with as many axes as the largest, that fit each other; None stands for no mask.
    Returns a bool array of the shape they have together, None if there is no mask at all.
    """
    masks = [mask for mask in masks if mask is not None]
    check_masks(masks)
    return functools.reduce(np.logical_and, masks) if masks else None

# %%
#| export
def causal_attention(x, W_Q, W_K, W_V):
    """Let every word look at itself and at the words before it.

    x: (..., T, D). W_Q, W_K: (D, d_k). W_V: (D, d_v).
    Returns (output (..., T, d_v), weights (..., T, T)).
    """
    return self_attention(x, W_Q, W_K, W_V, causal_mask(x.shape[-2]))

# %% [markdown]
# **Exercise 3.6.** previous_word_head

# %%
def previous_word_head(d_word, d_position, sharpness=100.0):
    """Set by hand the weights of attention that looks at the word before.

    Rows of x hold a word's embedding in the first d_word columns and its positional encoding in the other d_position.
    sharpness: a factor on the scores; the larger, the closer the largest weight comes to 1.
    Returns (W_Q (D, d_position), W_K (D, d_position), W_V (D, d_word)), D = d_word + d_position.
    """
    ### BEGIN SOLUTION
    W_Q = np.vstack([np.zeros((d_word, d_position)), sharpness * shift_matrix(-1, d_position)])
    W_K = np.vstack([np.zeros((d_word, d_position)), np.eye(d_position)])
    W_V = np.vstack([np.eye(d_word), np.zeros((d_position, d_word))])
    return W_Q, W_K, W_V
    ### END SOLUTION

# %%
check(previous_word_head)
