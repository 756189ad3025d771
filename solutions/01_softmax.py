# %% [markdown]
# # 01 · Softmax: from scores to shares
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/01_softmax.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/01_softmax.ipynb)
# <!-- /badges -->
#
# **The question: a model likes some words more than others. How does that become a choice?**
#
# At the end you will have written `softmax`. A Transformer uses it in two places: to decide how much each word looks at
# each other word, and to decide which word comes next. You will also have written `log_softmax`, which keeps its head
# where softmax rounds to zero; a *temperature*, which makes a model bolder or more careful; and *surprise*, the number
# that training will push down.
#
# Four exercises, about 50 minutes. You need axes and broadcasting from [chapter 00](00_welcome.ipynb).

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

begin("01")
# %%
#| given
#| default_exp softmax
#| export
import numpy as np

from scratchformer_lib.course.figures import chapter_01 as figures

# %% [markdown]
# ## 1. Three scores, by hand
#
# A model never says *cat*. It says how much it likes each word it knows: 2.0 for *cat*, 1.0 for *dog*, 0.1 for *mat*.
# Such numbers are called **scores**, or *logits*. To choose a word we need **shares**: positive numbers whose sum is 1.
# Shares that stand for chances are *probabilities*.
#
# Dividing by the sum is the first idea.

# %%
words = ["cat", "dog", "mat"]
scores = np.array([2.0, 1.0, 0.1])

scores / scores.sum()

# %% [markdown]
# That looks right: 65%, 32%, 3%. **Predict:** make the last score -1.0. What goes wrong?

# %%
below_zero = np.array([2.0, 1.0, -1.0])

below_zero / below_zero.sum()

# %% [markdown]
# *Cat* would get 100% and *dog* still 50%, with -50% for *mat*: these are no shares. Scores may be negative, shares may
# not. So every score has to become a positive number first, in such a way that a higher score stays higher. The
# exponential function does both. By hand, for our three words:
#
# | | score | exp(score) | share |
# |---|---|---|---|
# | cat | 2.0 | 7.389 | 7.389 / 11.213 = 0.659 |
# | dog | 1.0 | 2.718 | 2.718 / 11.213 = 0.242 |
# | mat | 0.1 | 1.105 | 1.105 / 11.213 = 0.099 |
# | sum | | 11.213 | 1 |

# %%
positive = np.exp(scores)
print("exp of the scores", positive.round(3), "  their sum", positive.sum().round(3),
      "  its logarithm", np.log(positive.sum()).round(3))
print("shares           ", (positive / positive.sum()).round(3))

# %% [markdown]
# ## 2. The formula
#
# $$\mathrm{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$$
#
# Here $x_i$ is the score of word $i$, and the sum runs over all words $j$.
#
# The formula has one trap on a computer. The largest float64 is near $10^{308}$, and $e^{1000}$ is far beyond it:

# %%
with np.errstate(all="ignore"):
    print("exp(1000) ", np.exp(1000.0))
    print("exp(-1000)", np.exp(-1000.0))

# %% [markdown]
# Too large becomes `inf`, too small becomes 0. What saves us is that softmax only looks at *differences*. Subtract the
# same number $c$ from every score:
#
# $$\frac{e^{x_i - c}}{\sum_j e^{x_j - c}} = \frac{e^{-c} \, e^{x_i}}{e^{-c} \sum_j e^{x_j}} = \mathrm{softmax}(x)_i$$
#
# The factor $e^{-c}$ cancels. You may choose any $c$ you like, and one choice makes sure that no exponent is above
# zero.
#
# **Exercise 1.1.** Write `softmax(x, axis=-1)`. It takes scores of any shape and returns shares of the same shape that
# add up to 1 along `axis`.
#
# - `softmax(np.array([2.0, 1.0, 0.1]))` gives `[0.659, 0.242, 0.099]`.
# - `softmax(np.array([1000.0, 1001.0]))` gives `[0.269, 0.731]`: large scores must work.
# - For a matrix with `axis=-1` each row adds up to 1; with `axis=0` each column does.
# - A score of `-np.inf` gets the share 0; it needs no special treatment. Where *all* scores of a row are `-np.inf`
#   there is no right answer, and `nan` is what should come out.
# - Whoever calls you still needs `x`: leave it as it is. From here on one more rule holds for every function: float32
#   in, float32 out. (Those are numbers of half the size, which big models use.) Whole numbers give float64.
#
# It took us three lines.
#
# <details><summary>Hint: which c?</summary>
#
# `np.exp(-1000.0)` is 0, which does no harm; `np.exp(1000.0)` is `inf`, which does. Which of the scores can you
# subtract so that no difference is above zero? In a matrix, every row has its own.
#
# </details>
# <details><summary>Hint: shapes that line up</summary>
#
# `np.max` and `np.sum` of a (3, 4) matrix along `axis=-1` have the shape (3,), which does not line up with (3, 4). Both
# have an option that leaves the axis in place, with size 1.
#
# </details>

# %%
#| export
def softmax(x, axis=-1):
    """Turn scores into shares: positive, and adding up to 1 along an axis.

    x: scores, of any shape. A score of -inf gets the share 0.
    axis: along which the shares add up to 1.
    Returns shares of the same shape; NaN where all scores along the axis are -inf.
    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    ### BEGIN SOLUTION
    shifted = x - np.max(x, axis=axis, keepdims=True)
    positive = np.exp(shifted)
    return positive / np.sum(positive, axis=axis, keepdims=True)
    ### END SOLUTION

# %%
check(softmax)

# %% [markdown]
# Your function draws the right half of this picture.

# %%
figures.scores_and_shares(words, scores, softmax)

# %% [markdown]
# **Predict.** Add 100 to all three scores. Which shares change? Then double all three scores. Do the shares double? Say
# it before you run the cell.

# %%
print("scores     ", softmax(scores).round(3))
print("scores+100 ", softmax(scores + 100).round(3))
print("scores*2   ", softmax(scores * 2).round(3))

# %% [markdown]
# Adding changes nothing, because only differences count. Doubling does not double: *cat* cannot get two times 66%. What
# it does is to double the *differences*, and a difference acts as a factor: *cat* leads *dog* by 1.0, so its share is
# $e^{1.0}$ times as large. Doubled, the lead is 2.0 and the factor $e^{2.0}$.

# %%
for factor in (1, 2):
    shares = softmax(scores * factor)
    print(f"cat : dog = {shares[0] / shares[1]:.3f}      e^{factor}.0 = {np.exp(factor):.3f}")

# %% [markdown]
# ### Break it: the wrong axis
#
# Three questions, four possible answers each: scores of shape (T=3, S=4). Each question has one hundred percent to give
# away, so each *row* must add up to 1. Here is your function along both axes. The sums stand in the margins.

# %%
rng = np.random.default_rng(1)
table = rng.standard_normal((3, 4)).round(1)

figures.axis_picture(table, softmax)

# %% [markdown]
# Both are full of positive numbers, both have the right shape, and both add up to 1 *somewhere*. A test that sums up
# and looks for 1 in the wrong place would let the second one through. When you check your own code, sum over the axis
# that you meant.
#
# ### Break it: large scores
#
# Here is softmax without the subtraction, and then yours.

# %%
def naive_softmax(x):
    return np.exp(x) / np.sum(np.exp(x))

large = np.array([1000.0, 1001.0])
with np.errstate(all="ignore"):
    print("naive", naive_softmax(large))
print("yours", softmax(large).round(3))

# %% [markdown]
# `inf / inf` is `nan`, *not a number*. Every number computed from it is `nan` too.
#
# ### The score of minus infinity
#
# There is a score that says *never*: `-np.inf`. Since $e^{-\infty} = 0$, the word gets exactly 0, and the others share
# everything. Chapter 03 hides the future from a model this way. **Predict** the first line before you run it: *dog* had
# 24%. Who gets them, and is *cat* still ahead of *mat* by the same factor?

# %%
with np.errstate(all="ignore"):
    without_dog = softmax(np.array([2.0, -np.inf, 0.1]))
    print("dog forbidden ", without_dog.round(3), "  cat : mat =", (without_dog[0] / without_dog[2]).round(3))
    with_dog = softmax(scores)
    print("dog allowed   ", with_dog.round(3), "  cat : mat =", (with_dog[0] / with_dog[2]).round(3))
    print("all forbidden ", softmax(np.array([-np.inf, -np.inf, -np.inf])))

# %% [markdown]
# Both gain, and the factor between them stays: it depends on the difference of their scores alone. With everything
# forbidden, shares of nothing would have to add up to 1: there is no right answer, and `nan` says so. Whoever forbids
# everything has to decide what that means. (In chapter 03, attention decides: a word that may look at nothing sees
# zeros.)
#
# ## 3. Logarithms, for what is very unlikely
#
# The chance of a whole text is the product of the chances of its words. **Predict:** 400 words, each with a chance of
# one in ten. What does the computer say?

# %%
print("product of 400 chances    ", 0.1**400)
print("sum of their 400 logarithms", 400 * np.log(0.1))

# %% [markdown]
# $10^{-400}$ is too small for a float64, so the product is rounded to 0. The logarithm of the same number is a harmless
# -921. So language models add logarithms instead of multiplying chances, and we need the logarithm of softmax:
#
# $$\log \mathrm{softmax}(x)_i = \log \frac{e^{x_i}}{\sum_j e^{x_j}} = x_i - \log \sum_j e^{x_j}$$
#
# since the logarithm of a fraction is a difference, and $\log e^{x_i}$ is $x_i$. By hand, for our three words: the sum
# of the exponentials was 11.213, its logarithm is 2.417, and the scores 2.0, 1.0, 0.1 become -0.417, -1.417, -2.317.
# The same number is subtracted from every score.
#
# **Exercise 1.2.** Write `log_softmax(x, axis=-1)`. It takes scores of any shape and returns the natural logarithms of
# their shares, in the same shape.
#
# - `log_softmax(np.array([2.0, 1.0, 0.1]))` gives `[-0.417, -1.417, -2.317]`.
# - `log_softmax(np.array([0.0, -1000.0]))` gives `[0.0, -1000.0]`: $e^{-1000}$ is too small for a float; its logarithm,
#   -1000, is not.
#
# It took us two lines.
#
# <details><summary>Hint: why not np.log(softmax(x))?</summary>
#
# Try it on the second example. By the time you take the logarithm, the share is 0 and the information is gone. Start
# from the formula above, which never forms the share.
#
# </details>
# <details><summary>Hint: large scores</summary>
#
# The sum in the formula has the old trap in it. Subtract the largest score from all scores first. As the shares stay
# the same, so do their logarithms.
#
# </details>

# %%
#| export
def log_softmax(x, axis=-1):
    """Return the natural logarithm of softmax, exact also where the shares themselves round to zero.

    x: scores, of any shape. A score of -inf gets -inf.
    axis: along which the shares add up to 1.
    Returns logarithms of the same shape, none above 0.
    """
    ### BEGIN SOLUTION
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    ### END SOLUTION

# %%
check(log_softmax)

# %%
figures.scores_and_logs(words, scores, log_softmax)

# %% [markdown]
# All bars moved by the same amount. **Predict:** the output of `log_softmax` looks like scores. What does softmax make
# of it?

# %%
print("softmax of the scores", softmax(scores).round(3))
print("softmax of the logs  ", softmax(log_softmax(scores)).round(3))

# %% [markdown]
# The same shares: moving every score by the same number changes nothing, and that is all that `log_softmax` does.
# Logarithms of shares *are* scores, the ones whose exponentials add up to 1 already.
#
# ### Break it: the logarithm of a rounded share

# %%
unlikely = np.array([0.0, -1000.0])
with np.errstate(all="ignore"):
    print("log of softmax", np.log(softmax(unlikely)))
print("log_softmax   ", log_softmax(unlikely))

# %% [markdown]
# The model said *very unlikely*, and the first line heard *never*. There is no way back from $-\infty$.
#
# ## 4. Temperature
#
# How bold should a choice be? Divide all scores by a number, the **temperature** $\tau$, before softmax:
#
# $$\mathrm{softmax}(x / \tau)$$
#
# By hand: at $\tau = 0.5$ the scores 2.0, 1.0, 0.1 become 4.0, 2.0, 0.2, which you have seen above as *doubled*. The
# leader pulls away. At $\tau = 2$ they become 1.0, 0.5, 0.05, and the field closes up.
#
# **Exercise 1.3.** Write `with_temperature(x, temperature, axis=-1)`. It takes scores of any shape and returns the
# shares at that temperature, in the same shape. `with_temperature(np.array([2.0, 1.0, 0.1]), 2.0)` gives `[0.502,
# 0.304, 0.194]`. It took us one line.
#
# <details><summary>Hint</summary>
#
# You have a function that turns scores into shares. All that changes is what you give it.
#
# </details>

# %%
def with_temperature(x, temperature, axis=-1):
    """Turn scores into shares, more even at a high temperature, more pointed at a low one.

    x: scores, of any shape. temperature: a number above 0; at 1 this is softmax.
    Returns shares of the same shape that add up to 1 along axis.
    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015, section 2.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    ### BEGIN SOLUTION
    return softmax(x / temperature, axis=axis)
    ### END SOLUTION

# %%
check(with_temperature)

# %% [markdown]
# **Predict**, before you move the slider: can any temperature put *dog* before *cat*? What will the bars look like at
# either end?

# %%
figures.temperature_widget(with_temperature)

# %%
five = np.array([2.0, 1.0, 0.1, -0.5, -1.5])
for temperature in (0.1, 0.5, 1, 2, 10):
    shares = with_temperature(five, temperature)
    print(f"temperature {temperature:6}   shares {shares.round(3)}   order {np.argsort(-shares, kind='stable')}")

# %% [markdown]
# The order is the same on every line. Temperature decides how far the leader is ahead, never who leads. Near 0 the
# leader takes all; at a high temperature all words come close to the same share.
#
# ### Break it: dividing too late

# %%
late = softmax(scores) / 2.0
before = with_temperature(scores, 2.0)
print("divided after softmax", late.round(3), "  sum", late.sum().round(3))
print("divided before       ", before.round(3), "  sum", before.sum().round(3))

# %% [markdown]
# Half of every share is half of everything: nothing became more even, and the shares add up to one half.
#
# ## 5. Surprise
#
# A share of 66% is what a model *says*. Nothing makes it true. But once the next word is known, we can ask how
# surprised the model must be. It should be 0 if the model was certain and right, and grow without end as the model
# called the truth less and less likely. And the surprise at two words should be the sum of the two surprises. Only the
# logarithm does all that:
#
# $$\mathrm{surprise} = -\log p(\text{the word that came})$$
#
# By hand: $p = 1$ gives 0. $p = \frac12$ gives 0.693, and $p = \frac14$, which is half of a half, gives twice that,
# 1.386. With the natural logarithm the unit is the **nat**.

# %%
for p in (1.0, 0.5, 0.25):
    print(f"p = {p:4}   surprise = {np.log(1 / p):.3f} nats")          # -log p, and log(1/p), are the same

# %% [markdown]
# **Exercise 1.4.** Write `surprise(x, truth)`. It takes the scores of T predictions, `x` of shape (T, n_vocab), and for
# each the index (0, 1, 2, ...) of the word that really came, `truth` of shape (T,). It returns T surprises, shape (T,),
# in nats.
#
# ```python
# x = np.array([[2.0, 1.0, 0.1],        # this prediction likes word 0 ...
#               [2.0, 1.0, 0.1]])
# surprise(x, np.array([0, 2]))         # ... and word 0 came, then word 2:   [0.417, 2.317]
# ```
#
# It took us two lines.
#
# <details><summary>Hint: from scores to -log p</summary>
#
# You have the function for that already, and it is not softmax.
#
# </details>
# <details><summary>Hint: one entry of each row</summary>
#
# `x[:, truth]` takes *all* of the columns `truth` from *every* row. To take column `truth[t]` from row `t`, index with
# two arrays of the same length, the rows and the columns: `x[rows, truth]`. Which array holds the row numbers 0, 1, 2,
# ...?
#
# </details>

# %%
def surprise(x, truth):
    """Tell how surprised a model is by what really came: -log p(truth).

    x: (T, n_vocab), the scores of T predictions. truth: (T,), the ids of the words that came.
    Returns (T,), in nats.
    Source: Shannon, "A mathematical theory of communication", 1948.
    """
    ### BEGIN SOLUTION
    rows = np.arange(len(truth))
    return -log_softmax(x)[rows, truth]
    ### END SOLUTION

# %%
check(surprise)

# %% [markdown]
# The curve is $-\log p$; the points are yours, one for each word that might have come.

# %%
came = surprise(np.tile(scores, (3, 1)), np.arange(3))
figures.surprise_curve({word: (p, s) for word, p, s in zip(words, softmax(scores), came, strict=True)})

# %% [markdown]
# **Predict.** A model that knows nothing gives every word the same score. GPT-2 knows 50,257 words and pieces of words
# (Radford et al., 2019). How surprised is it before it has learned anything?

# %%
knows_nothing = np.zeros((1, 50257))
print("surprise", surprise(knows_nothing, np.array([7])).round(3), "  log(50257)", np.log(50257).round(3))

# %% [markdown]
# It makes no difference which word comes: the surprise is the logarithm of the number of words. With the size of your
# own vocabulary you will meet it at step 0 of every training run.
#
# ### Break it: certain, and wrong
#
# Two models make ten predictions among four words. Both are right nine times and wrong once. The bold one gives its
# favorite a score of 12, the careful one a score of 3; all others get 0. Which of them is less surprised on average?

# %%
truth = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
for name, score in (("bold", 12.0), ("careful", 3.0)):
    x = np.zeros((10, 4))
    x[:, 0] = score
    nats = surprise(x, truth)
    print(f"{name:8} when right {nats[0]:.5f}   when wrong {nats[-1]:6.3f}   on average {nats.mean():.3f}")

# %% [markdown]
# The bold model's one mistake, 12 nats, costs more than all ten predictions of the careful model together. The last
# number, the average surprise, is what later chapters call the **loss**, and training a model means to make it small. A
# model that is rewarded this way does best when its shares are honest: the next section shows it.
#
# ## 6. What you built, on something real
#
# | | formula | takes, returns |
# |---|---|---|
# | `softmax(x, axis)` | $e^{x_i} / \sum_j e^{x_j}$ | scores of any shape, shares of the same |
# | `log_softmax(x, axis)` | $x_i - \log \sum_j e^{x_j}$ | scores of any shape, logarithms of the same |
# | `with_temperature(x, temperature, axis)` | $\mathrm{softmax}(x / \tau)$ | scores of any shape, shares of the same |
# | `surprise(x, truth)` | $-\log \mathrm{softmax}(x)_{\text{truth}}$ | (T, n_vocab) and (T,), (T,) in nats |
#
# Now a language model, the smallest there is: it knows nothing but how common each letter is. Its text is Python's own
# documentation, which comes with Python. Its score for a letter is the logarithm of how often the letter occurs.

# %%
try:
    from pydoc_data.topics import topics
except ImportError:
    raise ImportError("this Python has no pydoc_data; set `text` to any long text of yours instead") from None

text = "".join(topics.values())[:20_000]
letters, ids = np.unique(list(text), return_inverse=True)      # ids: (T,), the number of each letter of the text
letter_scores = np.log(np.bincount(ids))
shares = softmax(letter_scores)

print(f"{len(text):,} letters (spaces and signs count as letters), {len(letters)} different ones")
for i in np.argsort(-shares)[:5]:
    print(f"{str(letters[i])!r:5} {shares[i]:.3f}   counted {text.count(letters[i]) / len(text):.3f}")

# %% [markdown]
# The shares are the frequencies: logarithms of counts are scores that softmax turns back into parts of the whole. How
# surprised is this model by the text, letter by letter, on average? And does it get better if we make it bolder or more
# careful?

# %%
def mean_surprise(temperature):
    x = np.broadcast_to(letter_scores / temperature, (len(ids), len(letters)))
    return surprise(x, ids).mean()

temperatures = np.array([0.3, 0.4, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0])
figures.surprise_by_temperature(temperatures, [mean_surprise(t) for t in temperatures], np.log(len(letters)))

# %% [markdown]
# The curve is lowest at temperature 1, where the shares are the true frequencies. Being bolder costs more than it
# gains, and so does being more careful. This is why surprise is a fair measure: the best that a model can do is to say
# what it knows.
#
# Let it write. It draws each letter by itself, so do not expect words.

# %%
rng = np.random.default_rng(0)
for temperature in (0.3, 1.0, 3.0):
    drawn = rng.choice(letters, size=60, p=with_temperature(letter_scores, temperature))
    print(f"temperature {temperature}:  {''.join(drawn)!r}")

# %% [markdown]
# Every letter forgets the one before it. Chapter 02 gives the model a memory of one word, chapter 03 a memory of all of
# them.
#
# ### Test yourself
#
# <details><summary>All scores of a row are equal. What are the shares, whatever the scores?</summary>
#
# $1/n$ each: the differences are zero, and only they count.
#
# </details>
# <details><summary>Two words have the shares 0.8 and 0.2. What is the difference between their scores?</summary>
#
# $\log(0.8 / 0.2) = \log 4 = 1.386$. The scores themselves cannot be told from the shares.
#
# </details>
# <details><summary>A model's average surprise is 0.693 nats a word. Choosing among how many words of equal chance would
# be just as surprising?</summary>
#
# $e^{0.693} = 2$. This number is called *perplexity*; it comes back in chapter 12.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017: softmax in attention (3.2.1) and at the output (3.4).
# - Shannon, "A mathematical theory of communication", 1948, section 6: why the logarithm is the only choice.
# - Goodfellow, Bengio and Courville, *Deep Learning*, 2016, sections 4.1 (overflow) and 6.2.2.3 (softmax units).
#
# `progress()` in a new cell shows what you have lit on the map so far. Next comes chapter 02: how words become numbers.
