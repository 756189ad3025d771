# %% [markdown]
# # 00 · Welcome: what we build, and what it is made of
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/00_welcome.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/00_welcome.ipynb)
# <!-- /badges -->
#
# **The question: what is a Transformer made of, if you take it all the way down?**
#
# In this course you write a complete Transformer in NumPy: every function, and later every gradient. You watch it
# learn, generate text with it, and end up running a real pretrained language model on code that you wrote. This first
# chapter shows where we are going, and then the ground everything stands on: arrays, their axes, and how they combine.
#
# Three exercises, about 45 minutes. You need Python and a little NumPy. Start by running the next cell (Shift+Enter).

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

begin("00")
# %%
#| given
import time

import numpy as np

from scratchformer_lib.course import weights
from scratchformer_lib.course.figures import chapter_00 as figures

# %% [markdown]
# ## 1. Where we are going
#
# First, the finished thing. These are two Transformers, small ones, which were trained with the code of this course: a
# translator of numbers into German, and a writer of very short stories. Run the cell, then change the numbers. (From 1
# to 999; 200 of them it was never shown, 361 among them.)

# %%
for number in ("seven", "forty two", "three hundred sixty one"):
    print(f"{number:24} -> {weights.translate(number)}")
for story in range(3):
    print(weights.write(np.random.default_rng(story)))

# %% [markdown]
# All of this you will write yourself: the functions they run on, the training, and the writing word by word. Nothing
# in it is more than NumPy.
#
# The drawing above is the map of the Transformer (Vaswani et al., "Attention is all you need", 2017). Text goes in at
# the bottom; at the top comes out how likely each word is to be the next. A box with a number is built in that chapter,
# and lights up when you have built it. (Chapter 00 makes tools, and lights none.) You do not have to understand any of
# it yet.
#
# The panel on the right of the map enlarges one box, *attention*. It lets each word look at the other words and take
# something from those that matter to it. Here is one such moment. The numbers behind it were set by hand, to make a
# point; from chapter 04 on, trained ones stand beside such.

# %%
weights_by_hand = figures.attention_by_hand()

# %% [markdown]
# Read it row by row. Each word has 100% of its attention to give (the numbers are rounded), and the row says where it
# goes. *Sat* wants to know who sits, and looks at *cat*. *On* looks for a thing that comes later, and finds *mat*. At
# the end of this chapter your own code computes these very numbers.
#
# ### The ladder
#
# Pictures of attention are easy to draw and easy to believe. So every picture of attention in this course says which
# rung of this ladder it stands on. The one above stands on the first:
#
# 1. **weights set by hand** (from chapter 03 on): you know why each number is what it is, and soon the code is yours;
# 2. **our trained weights** (from chapter 04 on): small models that this course trained, run by your code;
# 3. **your weights** (chapter 10): you train them;
# 4. **your text** (chapter 14): you train a model on a text that you choose;
# 5. **a real model's weights** (at the end): a published language model runs on your code.
#
# ### Routes
#
# - **GPT**, the way to a language model: chapters 00 to 05, 09, 10, then 12 to 14.
# - **The paper**, the way to the translator of 2017: chapters 00 to 10.
# - **Everything**, in order. Chapter 11, gradients by hand, is a side trip for those who want every line.
#
# The course is growing: the chapters that exist are in the folder `chapters/`.
#
# ### How a chapter works
#
# Some cells ask you to write a function: an **exercise**. Replace the line `raise NotImplementedError(...)` by your
# answer, run the cell, and run the cell after it, which checks your answer: `check(row_sums)`, for example. It says
#
# - *not attempted*, as long as that line is there;
# - *passed*;
# - *wrong*, with the first thing that differs, and where we know it, the mistake that leads there;
# - *crashed*, with the error and your line that raised it.
#
# Run the cell of your function before you check it: `check` judges the version that ran last. When you are stuck, open
# a hint. To see our answer, run `solution("row_sums")` in a new cell. What has passed is saved to a folder of your own,
# and `progress()` in a new cell shows it. Cells that come after an exercise use your function, so solve the exercises
# in order. In later chapters, `begin("05", mine=True)` in the first cell makes the library run on the functions that
# you wrote.
#
# ## 2. Arrays, axes, shapes
#
# A computer reads numbers. So every word of a sentence becomes a row of numbers, and a sentence becomes a matrix. Here
# are three words with four numbers each, made up so that you can add them in your head.

# %%
x = np.array([[1, 0, 2, 1],         # the
              [3, 1, 0, 2],         # cat
              [0, 5, 1, 1]])        # sat

print("shape", x.shape)

# %% [markdown]
# The **shape** lists the sizes of the **axes**. Axis 0 runs down the rows: T=3 words. Axis 1 runs along a row: D=4
# numbers per word. Counted from the end, the same two are axis -2 and axis -1, and this is how we shall mostly count,
# because we often put more axes *in front*: B=2 such sentences, a **batch**, have the shape (B=2, T=3, D=4), and the
# numbers of a word are still axis -1.
#
# The course uses one alphabet for sizes, everywhere: B for the batch, T for the length of a text, D for the numbers per
# word; S for a second length, where there are two; n_vocab for the number of words that a model knows.
#
# To sum *over* an axis is to make it disappear. **Predict:** which shapes will these two have, and which numbers?

# %%
print("x.sum(axis=0)", x.sum(axis=0))
print("x.sum(axis=1)", x.sum(axis=1))

# %% [markdown]
# `axis=0` names the axis that goes away, not the one that stays. The sum over axis 0 adds up the *words* and leaves D=4
# numbers.
#
# **Exercise 0.1.** Write `row_sums(x)`. It takes an array of shape (T, D), or a stack of such matrices (B, T, D), and
# returns the sum of every row: shape (T,), or (B, T). `row_sums` of the matrix above gives `[4, 6, 7]`. It took us one
# line.
#
# <details><summary>Hint</summary>
#
# In (T, D) the numbers of a row lie along axis 1, in (B, T, D) along axis 2. What is the name of that axis that is
# right for both?
#
# </details>

# %%
def row_sums(x):
    """Add up the numbers of each row.

    x: (..., T, D), where the dots are any axes in front.
    Returns (..., T).
    """
    ### BEGIN SOLUTION
    return x.sum(axis=-1)
    ### END SOLUTION

# %%
check(row_sums)

# %%
figures.row_sums_picture(x, row_sums(x))

# %% [markdown]
# ### Break it: the right shape over the wrong axis
#
# **Predict.** A matrix of three words with *three* numbers each. Somebody sums over axis 0 instead of axis -1. Does the
# shape give them away?

# %%
square = np.array([[1, 0, 2],
                   [3, 1, 0],
                   [0, 5, 1]])

print("over axis -1", row_sums(square), "  shape", row_sums(square).shape)
print("over axis  0", square.sum(axis=0), "  shape", square.sum(axis=0).shape)

# %% [markdown]
# It does not. The numbers are wrong, the shape is right, and no error is raised. That is why the examples of this
# course have sizes that are all different: then a shape tells what it is. Do the same when you test your own code.
#
# ## 3. Broadcasting
#
# Two arrays of different shapes can still be added. NumPy writes the shapes one above the other, aligned **at the
# right**, and compares them axis by axis: equal sizes go together; a size of 1, or an axis that is missing, is
# stretched to fit; anything else is an error. This is **broadcasting**.
#
# ```
# x   (3, 4)          x   (3, 4)            x   (3, 4)
# b      (4,)         b   (3, 1)            b      (3,)
#     ------              ------                ------
#     (3, 4)              (3, 4)                error: 4 against 3
# ```
#
# **Predict.** What is the shape of (3,) plus (3, 1): (3,), (3, 1), or an error?

# %%
a = np.array([10, 20, 30])          # (3,)
b = np.array([[1], [2], [3]])       # (3, 1)

print("shape", (a + b).shape)
print(a + b)

# %% [markdown]
# None of the three. At the right, 3 meets 1: stretched. Then nothing meets 3: stretched. Every number of `a` meets
# every number of `b`. Broadcasting does not catch errors for you; it finds a meaning wherever it can, and this one is
# rarely what was meant. Try some more.

# %%
figures.broadcasting_widget()

# %% [markdown]
# Now give each row a number of its own. In the next chapter you need the idea at once: `softmax` subtracts from every
# row that row's own largest number. By hand, with `b = [100, 200, 300]`, one number for each of our three words:
#
# ```
# [[1, 0, 2, 1],     + 100        [[101, 100, 102, 101],
#  [3, 1, 0, 2],     + 200   ->    [203, 201, 200, 202],
#  [0, 5, 1, 1]]     + 300         [300, 305, 301, 301]]
# ```
#
# **Exercise 0.2.** Write `add_to_each_row(x, b)`. It takes `x` of shape (T, D) and `b` of shape (T,), and adds `b[t]`
# to every number of row `t`. It must also take a stack: `x` of shape (B, T, D) with `b` of shape (B, T). It returns a
# new array of the same shape as `x`, and leaves `x` as it is. It took us one line.
#
# <details><summary>Hint: what has to line up</summary>
#
# (T, D) and (T,) are aligned at the right: T stands under D, and that is wrong. Which shape must `b` have so that its T
# stands under the T of `x`, and its last axis is stretched?
#
# </details>
# <details><summary>Hint: a new axis</summary>
#
# `b[:, None]` turns (T,) into (T, 1). For (B, T) it would make (B, 1, T). Three dots in an index, as in `b[..., 0]`,
# stand for all axes that are not named.
#
# </details>

# %%
def add_to_each_row(x, b):
    """Add to every row a number of its own.

    x: (..., T, D). b: (..., T), one number for each row.
    Returns (..., T, D).
    """
    ### BEGIN SOLUTION
    return x + b[..., None]
    ### END SOLUTION

# %%
check(add_to_each_row)

# %%
print(add_to_each_row(x, np.array([100, 200, 300])))

# %% [markdown]
# ### Break it: a square again
#
# With `b = [100, 200, 300]`, `square + b` adds without complaint. **Predict:** where do the hundreds go?

# %%
b = np.array([100, 200, 300])

print("square + b, no error:")
print(square + b)
print("add_to_each_row(square, b):")
print(add_to_each_row(square, b))

# %% [markdown]
# `b` was laid along every row, so each *column* got one of its numbers. With three words of four numbers, NumPy would
# have refused; with three words of three numbers it obeys.
#
# ## 4. Products, and stacks of products
#
# A Transformer spends nearly all its time multiplying matrices. Each entry of a product is a row of the first matrix
# times a column of the second: multiply pair by pair, add up. By hand, for a row [1, 2] and the columns of a 2-by-3
# matrix:
#
# ```
#              [[5, 0, 1],
#               [1, 3, 2]]
# [[1, 2]]  ->  [[1*5 + 2*1,  1*0 + 2*3,  1*1 + 2*2]]  =  [[7, 6, 5]]
# ```

# %%
print(np.array([[1, 2]]) @ np.array([[5, 0, 1],
                                     [1, 3, 2]]))

# %% [markdown]
# For shapes: (T, D) times (D, S) gives (T, S). D has to agree, and it disappears: it is summed over.
#
# Sentences come in batches. What is the product of two *stacks* of matrices, (B, T, D) and (B, D, S)? For attention,
# the words of a sentence meet the words of the same sentence, and never those of another one that happens to be in the
# same batch:
#
# $$\text{product}_i = a_i \, b_i \quad \text{for each item } i \text{ of the batch}$$
#
# **Exercise 0.3.** Write `batch_matmul(a, b)`. It takes stacks `a` of shape (B, T, D) and `b` of shape (B, D, S),
# multiplies item 0 with item 0, item 1 with item 1, and so on, and returns the stack of the B products, shape (B, T,
# S). A loop over the items is a right answer; so is one short line.
#
# <details><summary>Hint: with a loop</summary>
#
# `a[i]` is a matrix of shape (T, D). Collect the products in a list; `np.stack` makes a stack of it.
#
# </details>
# <details><summary>Hint: without a loop</summary>
#
# Read in the documentation of NumPy what `np.matmul` does with more than two axes, and what `np.dot` does. One of them
# is what you want.
#
# </details>

# %%
def batch_matmul(a, b):
    """Multiply two stacks of matrices, item by item.

    a: (B, T, D). b: (B, D, S).
    Returns (B, T, S): item i is the matrix product of a[i] and b[i].
    """
    ### BEGIN SOLUTION
    return a @ b
    ### END SOLUTION

# %%
check(batch_matmul)

# %%
left = np.array([[[1, 2]], [[3, 0]]])                                   # (B=2, T=1, D=2)
right = np.array([[[5, 0, 1], [1, 3, 2]], [[2, 1, 1], [0, 4, 1]]])      # (B=2, D=2, S=3)

figures.pairing_picture(left, right, batch_matmul(left, right))

# %% [markdown]
# ### Break it: one batch, another neighbor
#
# If items never mix, a sentence's result cannot depend on what else is in the batch. **Predict:** replace item 1 by
# something else. Does item 0 of the product change? And what does `np.dot` make of the same two stacks?

# %%
other = right.copy()
other[1] = 1000

print("item 0 before", batch_matmul(left, right)[0])
print("item 0 after ", batch_matmul(left, other)[0])
print("shape by batch_matmul", batch_matmul(left, right).shape)
print("shape by np.dot      ", np.dot(left, right).shape)

# %% [markdown]
# Item 0 stays. `np.dot`, however, multiplies every item of the first stack with *every* item of the second, sentences
# with strangers, and says so only in its shape: (B, T, B, S).
#
# ## 5. What you built, on something real
#
# | | takes | returns |
# |---|---|---|
# | `row_sums(x)` | (..., T, D) | (..., T) |
# | `add_to_each_row(x, b)` | (..., T, D), (..., T) | (..., T, D) |
# | `batch_matmul(a, b)` | (B, T, D), (B, D, S) | (B, T, S) |
#
# These three are nearly enough for attention. Behind the picture at the beginning stood, unseen, two rows of four
# numbers for each word: what it looks for, its *query*, and what it offers, its *key*. A query times a key is a score;
# the scores of a row become shares. Why that is a good idea is the subject of chapters 01 and 03. That it is made of
# your functions you can see now; you need not follow each step yet.

# %%
def shares_of(queries, keys):
    """(B, T, D) and (B, T, D) -> (B, T, T): how each word divides its attention."""
    scores = batch_matmul(queries, keys.swapaxes(-1, -2)) / np.sqrt(queries.shape[-1])
    return np.exp(add_to_each_row(scores, -np.log(row_sums(np.exp(scores)))))

yours = shares_of(figures.QUERIES[None], figures.KEYS[None])[0]         # a batch of one sentence

print(yours.round(2))
print("the same as the picture:", np.allclose(yours, weights_by_hand))

# %% [markdown]
# And in real size: 64 sentences of 50 words with 128 numbers each, all at once. Each word ends up as a mixture of the
# words it looks at. (The numbers are random here; it is the amount of work that is real.)

# %%
rng = np.random.default_rng(0)
sentences = rng.standard_normal((64, 50, 128))          # (B, T, D)

start = time.perf_counter()
shares = shares_of(sentences, sentences)                # (B, T, T)
mixtures = batch_matmul(shares, sentences)              # (B, T, D)
milliseconds = 1000 * (time.perf_counter() - start)

print("shares  ", shares.shape, "  every row adds up to 1:", np.allclose(row_sums(shares), 1))
print("mixtures", mixtures.shape)
work = 2 * 2 * 64 * 50 * 50 * 128       # two products; one multiplication and one addition for each b, t, s and d
print(f"{work / 1e6:.0f} million multiplications and additions in {milliseconds:.0f} ms")

# %% [markdown]
# ### Test yourself
#
# <details><summary>What is the shape of (2, 1, 4) plus (3, 1)?</summary>
#
# (2, 3, 4). From the right: 4 and 1 make 4, 1 and 3 make 3, 2 and nothing make 2.
#
# </details>
# <details><summary><code>x</code> has the shape (B, T, D). You want to take from every word the mean of its D numbers.
# Why does <code>x - x.mean(axis=-1)</code> fail, or worse, not fail?</summary>
#
# The mean has the shape (B, T), and is aligned at the right: T under D. With T different from D it is an error. With T
# equal to D (and B equal to T, or 1) it subtracts the wrong numbers. `x.mean(axis=-1, keepdims=True)` has the shape (B,
# T, 1).
#
# </details>
# <details><summary>Does <code>a @ b</code> ever mix two items of a batch?</summary>
#
# No. Axes in front of the last two are only paired (or broadcast), never summed over.
#
# </details>
#
# ### Where to read on
#
# - NumPy's manual: "Broadcasting", and the page of `numpy.matmul`.
# - Vaswani et al., "Attention is all you need", 2017, figure 1: the drawing that our map redraws.
# - Harris et al., "Array programming with NumPy", Nature 585, 2020.
#
# Next: [chapter 01](01_softmax.ipynb), from scores to shares.
