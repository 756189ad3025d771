"""The exercises of chapter 13, the tokenizer."""
import itertools
import math
from collections import Counter, defaultdict
from itertools import pairwise

from ...tokenizer import Corpus, apply_merges, count_chunks, count_pairs, learn_merges, merge, single_bytes
from ..exercise import Case, Difference, Exercise, TimedOut, describe

RETURN = "Does it end in `return`?"
ITERATED = ("Going through bytes gives numbers, and so does `+=` of bytes to a list. Put a token into the list as a "
            "whole: `append`.")
AS_TEXT = ("A token need not be text: a byte of *猫* alone is no character. Leave the tokens as they are, without "
           "`decode`.")
A_LIST = ("You return a list. Chunks are the keys of dicts, and a list cannot be one; and no list is equal to a tuple. "
          "Return `tuple(...)`.")


def spelled(text):
    """A chunk of single bytes, from a text."""
    return single_bytes(text.encode())


def judge_tuple(expected, output):
    """A tuple of tokens, and what first differs in it."""
    if not isinstance(output, tuple):
        got = f"the list {shown(output['list'])}" if isinstance(output, dict) and "list" in output else shown(output)
        return Difference(f"expected a tuple of tokens, {expected!r}, got {got}",
                          advice=RETURN if output is None else "")
    if output == expected:
        return None
    other = next((token for token in output if not isinstance(token, bytes)), b"")
    return Difference(f"expected {expected!r}, got {output!r}",
                      advice="" if isinstance(other, bytes) else f"Tokens are bytes; yours holds {shown(other)}.")


def shown(value):
    """A short value as Python writes it, a long one in words."""
    return repr(value) if len(repr(value)) < 80 and not callable(value) else describe(value)


def times(n):
    return "once" if n == 1 else f"{n} times"


# ---- count_pairs --------------------------------------------------------------------------------------------------

def count_pairs_inputs():
    cases = [
        ("two chunks, as in the text", {spelled("the"): 3, spelled("then"): 1}),
        ("one chunk, once", {spelled("cat"): 1}),
        ("the same token three times", {spelled("aaa"): 2}),
        ("a pair in both orders", {spelled("aba"): 3, spelled("ba"): 5}),
        ("tokens of more than one byte", {(b" ", b"the"): 2, (b"th", b"e", b"n"): 4, (b"th", b"e"): 1}),
        ("a chunk of one token", {(b"the",): 7, (b"a", b"t"): 1}),
        ("a pair that is twice in a chunk", {spelled("banana"): 10}),
        ("bytes that are no characters", {spelled("猫"): 2, spelled("犬"): 1}),
        ("no chunks", {}),
        ("a sentence", count_chunks("the cat sat on the mat, on the mat")),
    ]
    return [Case(title, (chunks,)) for title, chunks in cases]


def judge_counts(case, output):
    expected = count_pairs(*case.args)
    if not isinstance(output, dict):
        return Difference(f"expected a dict from pairs to counts, got {shown(output)}",
                          advice=RETURN if output is None else "")
    for pair, n in expected.items():
        if pair not in output:
            other = f". Yours has {next(iter(output))!r}" if output else ", and so is everything else"
            return Difference(f"the pair {pair!r}, which occurs {times(n)}, is missing in your dict{other}")
        if output[pair] != n:
            return Difference(f"the pair {pair!r} occurs {times(n)}; your count is {output[pair]!r}")
    for pair in output:
        if pair not in expected:
            return Difference(f"{pair!r} is in your dict, and no two neighbors are this pair")
    return None


COUNT_PAIRS = Exercise(count_pairs, count_pairs_inputs, judge=judge_counts)

ACROSS_CHUNKS = ("The chunks were put one after the other, so the end of one and the beginning of the next became a "
                 "pair. Each chunk is counted by itself, `n` times.")
ONLY_FIRST_CHUNK = "Only one chunk was counted. Is `return` inside the loop? It must come after it."


def counted(pairs_of):
    """What comes of counting, for each chunk, what pairs_of gives for it."""
    def count(chunks):
        counts = Counter()
        for chunk, n in chunks.items():
            for pair in pairs_of(chunk):
                counts[pair] += n
        return counts
    return count


def wrong_pairs(name, sentence, pairs_of):
    """Register a count of wrong pairs."""
    def f(chunks):
        return counted(pairs_of)(chunks)
    f.__name__ = name
    COUNT_PAIRS.mistake(sentence)(f)


@COUNT_PAIRS.mistake("You count every chunk once. It occurs `n` times, and so do its pairs: add `n`, not 1.")
def each_chunk_once(chunks):
    return Counter(pair for chunk in chunks for pair in pairwise(chunk))


wrong_pairs("a_pair_once_in_a_chunk",
            "A pair that is twice in a chunk counts twice. Do not put the pairs of a chunk into "
            "a set or a dict first.", lambda chunk: set(pairwise(chunk)))
wrong_pairs("without_overlaps",
            "In *a a a* the pair *a a* stands twice: at the first place and at the second. You go on "
            "after a pair; pairs overlap, each place but the last has one.",
            lambda chunk: [chunk[i:i + 2] for i in places_without_overlaps(chunk)])
wrong_pairs("every_second_place",
            "You take the pairs 0 1, 2 3, 4 5. Each token has a neighbor: there are pairs 0 1, 1 2, "
            "2 3 as well.", lambda chunk: zip(chunk[::2], chunk[1::2], strict=False))
wrong_pairs("without_order", "A pair has an order, *a b* is not *b a*. Yours are sorted.",
            lambda chunk: [tuple(sorted(pair)) for pair in pairwise(chunk)])
wrong_pairs("right_before_left", "Your pairs have the right neighbor first. They are in the order of the text.",
            lambda chunk: [(right, left) for left, right in pairwise(chunk)])
wrong_pairs("joined",
            "Your keys are the two tokens joined. Then *a bc* and *ab c* would be the same. A pair is a tuple "
            "of two tokens.", lambda chunk: [left + right for left, right in pairwise(chunk)])
wrong_pairs("joined_with_a_space", "Your keys are bytes, the two tokens with a space between. A pair is a tuple of two "
            "tokens; a token may hold a space itself.", lambda chunk: [b" ".join(pair) for pair in pairwise(chunk)])
wrong_pairs("in_a_list", "A list cannot be the key of a dict. Make it a tuple.",
            lambda chunk: [list(pair) for pair in pairwise(chunk)])
wrong_pairs("all_combinations", "You take every two tokens of a chunk. Only neighbors make a pair.",
            lambda chunk: itertools.combinations(chunk, 2))
wrong_pairs("around_the_end",
            "The last token and the first are not neighbors. An index of -1 is the last; let the pairs "
            "begin one place later.", lambda chunk: [(chunk[i - 1], chunk[i]) for i in range(len(chunk))])
wrong_pairs("beyond_the_end",
            "The last token has no right neighbor: `chunk[i + 1]` fails there. There is one pair fewer "
            "than there are tokens.", lambda chunk: [(chunk[i], chunk[i + 1]) for i in range(len(chunk))])
wrong_pairs("half_a_pair_at_the_end", "At the last place the slice holds one token only, and that is no pair. There is "
            "one pair fewer than there are tokens.", lambda chunk: [chunk[i:i + 2] for i in range(len(chunk))])
wrong_pairs("last_pair_missing", "The last pair of each chunk is missing. n tokens have n - 1 pairs: "
            "`range(len(chunk) - 1)`.", lambda chunk: [chunk[i:i + 2] for i in range(len(chunk) - 2)])
wrong_pairs("first_pair_missing", "The first pair of each chunk is missing. Places are counted from 0.",
            lambda chunk: [chunk[i:i + 2] for i in range(1, len(chunk) - 1)])
wrong_pairs("single_tokens",
            "These are counts of single tokens. Two neighbors make a pair: `zip` the chunk with itself, "
            "one place on.", lambda chunk: chunk)
wrong_pairs("a_token_with_itself", "`zip(chunk, chunk)` pairs each token with itself. The second one has to begin one "
            "place later.", lambda chunk: zip(chunk, chunk, strict=True))
wrong_pairs("numbers",
            "You joined the tokens of a chunk and went through the bytes: that gives numbers, and the tokens "
            "are lost. Pair the tokens of the tuple.", lambda chunk: pairwise(b"".join(chunk)))
wrong_pairs("bytes_of_tokens",
            "You joined the tokens and cut them into single bytes again. Pairs are of tokens, and those "
            "may be longer.", lambda chunk: pairwise(single_bytes(b"".join(chunk))))
wrong_pairs("as_text", AS_TEXT, lambda chunk: pairwise([token.decode() for token in chunk]))
wrong_pairs("chunks_of_two_left_out", "A chunk of two tokens has a pair, and you leave it out. Short chunks need no "
            "`if`: one token has no neighbor.", lambda chunk: pairwise(chunk) if len(chunk) > 2 else [])


def places_without_overlaps(chunk):
    """The first places of pairs, where an occurrence that overlaps the one before it is left out."""
    last = {}
    for i, pair in enumerate(pairwise(chunk)):
        if last.get(pair) != i - 1:
            last[pair] = i
            yield i


@COUNT_PAIRS.mistake("A pair that comes again overwrites its count. Add to what is there: `+=`.")
def overwritten(chunks):
    return {pair: n for chunk, n in chunks.items() for pair in pairwise(chunk)}


@COUNT_PAIRS.mistake("A plain dict has no 0 for a pair that it meets first, and raises a KeyError. `Counter()` has.")
def plain_dict(chunks):
    counts = {}
    for chunk, n in chunks.items():
        for pair in pairwise(chunk):
            counts[pair] += n
    return counts


@COUNT_PAIRS.mistake("A pair that comes again keeps the largest of its counts. Add them: `+=`.")
def largest_count(chunks):
    counts = Counter()
    for chunk, n in chunks.items():
        for pair in pairwise(chunk):
            counts[pair] = max(counts[pair], n)
    return counts


@COUNT_PAIRS.mistake(ACROSS_CHUNKS)
def across_chunks(chunks):
    everything = [token for chunk, n in chunks.items() for token in chunk * n]
    return Counter(pairwise(everything))


@COUNT_PAIRS.mistake(ACROSS_CHUNKS)
def across_chunks_that_come_once(chunks):
    return Counter(pairwise(itertools.chain(*chunks)))


@COUNT_PAIRS.mistake("The counts are right, but you have emptied the caller's dict. Go through it without taking "
                     "anything out: `for chunk, n in chunks.items()`.")
def emptied(chunks):
    counts = count_pairs(chunks)
    chunks.clear()
    return counts


@COUNT_PAIRS.mistake("Going through a dict gives its keys alone. `chunks.items()` gives each chunk with its count.")
def keys_alone(chunks):
    counts = Counter()
    for chunk, n in chunks:
        for pair in pairwise(chunk):
            counts[pair] += n
    return counts


@COUNT_PAIRS.mistake("You paired the chunks with each other. The pairs are inside of a chunk: a loop over the chunks, "
                     "and in it one over the pairs of each.")
def pairs_of_chunks(chunks):
    return Counter(pairwise(chunks))


@COUNT_PAIRS.mistake("The number of chunks is not how often a chunk occurs. The dict says that for each: "
                     "`chunks[chunk]`.")
def number_of_chunks(chunks):
    return Counter(pair for chunk in chunks for pair in pairwise(chunk) for _ in chunks)


@COUNT_PAIRS.mistake(ONLY_FIRST_CHUNK)
def first_chunk_only(chunks):
    return count_pairs(dict(list(chunks.items())[:1]))


@COUNT_PAIRS.mistake("Only the last chunk was counted: the counts begin anew in each turn of the loop. Make the dict "
                     "before it.")
def last_chunk_only(chunks):
    return count_pairs(dict(list(chunks.items())[-1:]))


@COUNT_PAIRS.mistake("You return a list of pairs with their counts. Return the dict itself.")
def most_common(chunks):
    return count_pairs(chunks).most_common()


@COUNT_PAIRS.mistake("Only the most frequent pair came back. All of them are asked for, with their counts.")
def the_most_frequent_alone(chunks):
    return dict(count_pairs(chunks).most_common(1))


@COUNT_PAIRS.mistake("These are shares. What is asked for are the counts themselves.")
def shares(chunks):
    counts = count_pairs(chunks)
    return {pair: n / counts.total() for pair, n in counts.items()}


@COUNT_PAIRS.mistake("The counts of a chunk are squared: `n` comes in twice, once by repeating the chunk and once by "
                     "adding it.")
def n_twice(chunks):
    return Counter({pair: n * n for pair, n in count_pairs(chunks).items()}) if len(chunks) == 1 else sum(
        (n_twice({chunk: n}) for chunk, n in chunks.items()), Counter())


@COUNT_PAIRS.alternative
def with_defaultdict(chunks):
    counts = defaultdict(int)
    for chunk in chunks:
        for i in range(len(chunk) - 1):
            counts[chunk[i], chunk[i + 1]] += chunks[chunk]
    return counts


@COUNT_PAIRS.alternative
def with_get(chunks):
    counts = {}
    for chunk, n in chunks.items():
        for i in range(1, len(chunk)):
            counts[chunk[i - 1:i + 1]] = counts.get(chunk[i - 1:i + 1], 0) + n
    return counts


@COUNT_PAIRS.alternative
def with_pairwise(chunks):
    return dict(Counter(pair for chunk, n in chunks.items() for pair in pairwise(chunk) for _ in range(n)))


@COUNT_PAIRS.alternative
def as_a_sum_of_counters(chunks):
    total = Counter()
    for chunk, n in chunks.items():
        once = Counter(zip(chunk[:-1], chunk[1:], strict=True))
        total.update({pair: n * k for pair, k in once.items()})
    return total


# ---- merge --------------------------------------------------------------------------------------------------------

def merge_inputs():
    cases = [
        ("twice, as in the text", spelled("banana"), (b"a", b"n")),
        ("where two overlap", spelled("aaa"), (b"a", b"a")),
        ("two times two", spelled("aaaa"), (b"a", b"a")),
        ("a pair that is not there", spelled("cat"), (b"t", b"a")),
        ("at the beginning", spelled("the"), (b"t", b"h")),
        ("at the end", spelled("the"), (b"h", b"e")),
        ("the whole chunk", spelled("an"), (b"a", b"n")),
        ("tokens that only read like the pair", (b"ab", b"c", b"a", b"bc", b"abc"), (b"a", b"bc")),
        ("letters of the pair inside of tokens", (b"ba", b"n", b"an"), (b"a", b"n")),
        ("longer tokens", (b"th", b"e", b"th", b"e", b"r", b"th"), (b"th", b"e")),
        ("the first token of the pair, again and again", spelled("aabba"), (b"a", b"b")),
        ("bytes that are no characters", spelled("猫猪"), (b"\xe7", b"\x8c")),
        ("one token", (b"a",), (b"a", b"a")),
        ("no tokens", (), (b"a", b"n")),
    ]
    return [Case(title, (chunk, pair)) for title, chunk, pair in cases]


def kept(f, case):
    """What f makes of a case; a list in a dict, since a list and a tuple that hold the same count as alike."""
    output = f(*case.args)
    return {"list": output} if isinstance(output, list) else output


MERGE = Exercise(merge, merge_inputs, kept, lambda case, output: judge_tuple(merge(*case.args), output))


BY_THE_FIRST = ("Look at both tokens: you join wherever the first one of the pair stands, whatever comes after it. "
                "(`index` looks for one token only.)")
BY_INDEX = ("`index` finds the first place of a token, which may be the last of the chunk, and raises an error where "
            "there is none. Go through the places of the chunk, and look at both tokens.")
REPLACED = ("You joined the chunk and looked for the bytes of the pair: where tokens begin and end is lost, and bytes "
            "match that are no tokens. Work on the tokens of the tuple.")
INSIDE_OF_TOKENS = ("The pair's bytes were found inside of longer tokens, as `in` and `replace` find them. A token "
                    "matches as a whole: compare each of the two with `==`.")


def walked(fits, joined, step=2):
    """A merge that goes through a chunk, joins where it fits, and goes on by so many after it."""
    def walk(chunk, pair):
        merged, i = [], 0
        while i < len(chunk):
            if fits(chunk, i, pair):
                merged.append(joined(chunk, i, pair))
                i += step
            else:
                merged.append(chunk[i])
                i += 1
        return tuple(merged)
    return walk


def stands(chunk, i, pair):
    return chunk[i:i + 2] == pair


def together(chunk, i, pair):
    return pair[0] + pair[1]


def wrong_merge(name, sentence, *arguments):
    """Register a merge that is wrong in when it joins, in what it joins to, or in how far it goes on."""
    def f(chunk, pair):
        return walked(*arguments)(chunk, pair)
    f.__name__ = name
    MERGE.mistake(sentence)(f)


wrong_merge("second_token_again",
            "After a pair the second token comes again, by itself. Go on by two after a pair. (In a "
            "`for` over all places, `i += 2` has no effect on the next turn.)", stands, together, 1)
wrong_merge("by_the_first_token", BY_THE_FIRST, lambda chunk, i, pair: chunk[i] == pair[0] and i + 1 < len(chunk),
            lambda chunk, i, pair: chunk[i] + chunk[i + 1])
wrong_merge("by_the_first_token_of_the_pair", BY_THE_FIRST,
            lambda chunk, i, pair: chunk[i] == pair[0] and i + 1 < len(chunk), together)
wrong_merge("by_the_first_token_alone", "You put the joined token wherever the first one of the pair stands. The one "
            "after it has to match, too.", lambda chunk, i, pair: chunk[i] == pair[0], together)
wrong_merge("in_any_order", "You join *b a* as well when the pair is *a b*. The order counts.",
            lambda chunk, i, pair: chunk[i:i + 2] in (pair, pair[::-1]),
            lambda chunk, i, pair: b"".join(chunk[i:i + 2]))
wrong_merge("by_the_joined_bytes",
            "You compare the joined bytes, and *ab c* reads like *a bc*. Compare the two tokens, one by one.",
            lambda chunk, i, pair: len(chunk[i:i + 2]) == 2 and b"".join(chunk[i:i + 2]) == b"".join(pair),
            together)
wrong_merge("a_pair_for_a_token",
            "Your result holds the pair itself, a tuple, where one token should be. Join the two: "
            "`left + right`.", stands, lambda chunk, i, pair: pair)
wrong_merge("second_token_dropped", "The second token of the pair is lost. Join the two: `left + right`.",
            stands, lambda chunk, i, pair: pair[0])
wrong_merge("joined_the_wrong_way_round", "The two tokens were joined in the wrong order: the left one comes first.",
            stands, lambda chunk, i, pair: pair[1] + pair[0])
wrong_merge("with_a_space",
            "There is something between the two tokens. Join them with nothing between: `left + right`.",
            stands, lambda chunk, i, pair: pair[0] + b" " + pair[1])
wrong_merge("joined_as_text",
            "`\"\".join` joins texts, and tokens are bytes. `left + right` is enough, or `b\"\".join`.",
            stands, lambda chunk, i, pair: "".join(chunk[i:i + 2]))
wrong_merge("decoded", AS_TEXT, stands, lambda chunk, i, pair: (chunk[i].decode() + chunk[i + 1].decode()).encode())
wrong_merge("str_of_bytes", "`str` of bytes writes them with `b` and quotes, as Python shows them. Tokens are bytes: "
            "`left + right`.", stands, lambda chunk, i, pair: str(pair[0]) + str(pair[1]))
wrong_merge("sum_of_bytes", "`sum` begins with the number 0, to which no bytes can be added. `left + right` is enough.",
            stands, lambda chunk, i, pair: sum(pair))
wrong_merge("beyond_the_end",
            "At the last token there is no `chunk[i + 1]`. Ask first whether there is one, or compare a slice: "
            "`chunk[i:i + 2]`.", lambda chunk, i, pair: chunk[i] == pair[0] and chunk[i + 1] == pair[1], together)
wrong_merge("beyond_the_end_of_a_list",
            "The last token has no next one: ask first whether there is one. (`index` finds the first place of a "
            "token, and that may be the last of the chunk. Go through the places.)",
            lambda chunk, i, pair: chunk[i] == pair[0] and list(chunk)[i + 1] == pair[1], together)
wrong_merge("too_far", "After a pair you skip a token: it was two tokens long, and you go on by three.",
            stands, together, 3)
wrong_merge("letters_in_a_token", INSIDE_OF_TOKENS,
            lambda chunk, i, pair: i + 1 < len(chunk) and pair[0] in chunk[i] and pair[1] in chunk[i + 1],
            lambda chunk, i, pair: chunk[i] + chunk[i + 1])


@MERGE.mistake("Nothing is merged. A list is never equal to a tuple, so a slice of a list does not match the pair: "
               "leave the chunk a tuple, or compare with `list(pair)`.")
def never_equal(chunk, pair):
    return chunk


@MERGE.mistake("Only the first occurrence is joined. Go on after it, to the end of the chunk.")
def first_only(chunk, pair):
    for i in range(len(chunk) - 1):
        if chunk[i:i + 2] == pair:
            return (*chunk[:i], pair[0] + pair[1], *chunk[i + 2:])
    return chunk


@MERGE.mistake("You go from right to left. Where two overlap, the one further left wins: *a a a* becomes *aa a*.")
def from_the_right(chunk, pair):
    return tuple(token[::-1] for token in merge(tuple(token[::-1] for token in chunk[::-1]),
                                                (pair[1][::-1], pair[0][::-1])))[::-1]


@MERGE.mistake("The last token is lost where no pair ends the chunk. The loop stops one place too early; what is left "
               "has to be added.")
def last_token_lost(chunk, pair):
    merged, i = [], 0
    while i < len(chunk) - 1:
        merged.append(pair[0] + pair[1] if chunk[i:i + 2] == pair else chunk[i])
        i += 2 if chunk[i:i + 2] == pair else 1
    return tuple(merged)


@MERGE.mistake("The last token comes twice where a pair ends the chunk: add it only if the loop has not used it.")
def last_token_again(chunk, pair):
    return last_token_lost(chunk, pair) + chunk[-1:]


@MERGE.mistake("You step over every second place, pair or not. After a token that was not joined, go on by one.")
def always_by_two(chunk, pair):
    return tuple(pair[0] + pair[1] if chunk[i:i + 2] == pair else chunk[i] for i in range(0, len(chunk), 2))


@MERGE.mistake("Only the joined tokens came back. The others stay, in their places.")
def joined_ones_only(chunk, pair):
    return tuple(token for token in merge(chunk, pair) if token == pair[0] + pair[1])


@MERGE.mistake("The tokens that are not joined are all that came back. The pair becomes one token, in its place.")
def pair_taken_out(chunk, pair):
    return tuple(token for token in merge(chunk, pair) if token != pair[0] + pair[1])


@MERGE.mistake("A tuple cannot be changed in place. Build a new list, and make a tuple of it at the end.")
def in_place(chunk, pair):
    for i in range(len(chunk) - 1):
        if chunk[i:i + 2] == pair:
            chunk[i] = pair[0] + pair[1]
    return chunk


@MERGE.mistake(ITERATED)
def extended(chunk, pair):
    merged = []
    for token in merge(chunk, pair):
        merged += token
    return tuple(merged)


@MERGE.mistake("The tokens were run together into one. Only the pair is joined; the result is a tuple of tokens.")
def all_in_one(chunk, pair):
    return b"".join(merge(chunk, pair))


@MERGE.mistake(REPLACED)
def by_replace(chunk, pair):
    joined, merged, i = b"".join(chunk), [], 0
    while i < len(joined):
        n = len(pair[0] + pair[1]) if joined.startswith(pair[0] + pair[1], i) else 1
        merged.append(joined[i:i + n])
        i += n
    return tuple(merged)


@MERGE.mistake("The list gets shorter while you go through it, and `range` has fixed its end before. Use `while`, or "
               "build a new list.")
def in_a_list_that_shrinks_under_a_for(chunk, pair):
    tokens = list(chunk)
    for i in range(len(tokens) - 1):
        if (tokens[i], tokens[i + 1]) == pair:
            tokens[i] += tokens[i + 1]
            del tokens[i + 1]
    return tuple(tokens)


@MERGE.mistake(REPLACED)
def by_replace_with_marks(chunk, pair):
    token = b"".join(pair)
    return tuple(b"".join(chunk).replace(token, b"|" + token + b"|").split(b"|"))


@MERGE.mistake(REPLACED)
def by_replace_with_white_space(chunk, pair):
    token = b"".join(pair)
    return tuple(b"".join(chunk).replace(token, b" " + token + b" ").split())


@MERGE.mistake(INSIDE_OF_TOKENS)
def by_replace_with_spaces(chunk, pair):
    return tuple(b" ".join(chunk).replace(b" ".join(pair), b"".join(pair)).split(b" ")) if chunk else ()


@MERGE.mistake("After a pair its second token comes again, and the last token of the chunk is lost: a loop over pairs "
               "of neighbors meets each token twice, but the last. Go through the places, by two after a pair.")
def for_each_pair(chunk, pair):
    return tuple(left + right if (left, right) == pair else left for left, right in pairwise(chunk))


@MERGE.mistake("After a pair the next token is added without a look, be it there or not. What comes when the pair does "
               "not fit belongs into an `else`.")
def without_else(chunk, pair):
    merged, i = [], 0
    while i < len(chunk):
        if chunk[i:i + 2] == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        merged.append(chunk[i])
        i += 1
    return tuple(merged)


@MERGE.mistake("After a pair its two tokens come again, by themselves. What is added when the pair does not fit "
               "belongs into an `else`, and after a pair you go on by two.")
def without_else_by_one(chunk, pair):
    merged = []
    for i, token in enumerate(chunk):
        if chunk[i:i + 2] == pair:
            merged.append(pair[0] + pair[1])
        merged.append(token)
    return tuple(merged)


@MERGE.mistake("`+=` adds a tuple to a tuple, and a token is bytes. Write `(token,)`, or append to a list.")
def bytes_added_to_a_tuple(chunk, pair):
    return () + chunk[0] if chunk else ()


@MERGE.mistake("The loop never ends, since `i` stays where it is. Both branches have to move it on: by two after a "
               "pair, else by one.")
def merge_without_end(chunk, pair):
    raise TimedOut


@MERGE.mistake(BY_INDEX)
def by_index_of_a_missing_token(chunk, pair):
    return by_index(chunk, pair) if chunk.index(pair[0]) >= 0 else chunk


@MERGE.mistake(BY_INDEX)
def by_index_in_a_list(chunk, pair):
    tokens = list(chunk)
    while tokens[(i := tokens.index(pair[0])) + 1] == pair[1]:
        tokens[i:i + 2] = [pair[0] + pair[1]]
    return tuple(tokens)


@MERGE.mistake(BY_THE_FIRST)
def by_index(chunk, pair):
    while pair in pairwise(chunk):
        i = chunk.index(pair[0])
        chunk = (*chunk[:i], pair[0] + pair[1], *chunk[i + 2:])
    return chunk


@MERGE.mistake(A_LIST)
def a_list(chunk, pair):
    return list(merge(chunk, pair))


@MERGE.mistake("After the first pair the loop ended, and the rest of the chunk is lost. Is `return` inside of it?")
def cut_after_the_first(chunk, pair):
    for i in range(len(chunk) - 1):
        if chunk[i:i + 2] == pair:
            return (*chunk[:i], pair[0] + pair[1])
    return chunk


@MERGE.alternative
def with_a_flag(chunk, pair):
    merged, skip = [], False
    for i, token in enumerate(chunk):
        if skip:
            skip = False
        elif i + 1 < len(chunk) and token == pair[0] and chunk[i + 1] == pair[1]:
            merged.append(token + chunk[i + 1])
            skip = True
        else:
            merged.append(token)
    return tuple(merged)


@MERGE.alternative
def by_the_last_one(chunk, pair):
    merged = []
    for token in chunk:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return tuple(merged)


@MERGE.alternative
def by_recursion(chunk, pair):
    if len(chunk) < 2:
        return tuple(chunk)
    if chunk[:2] == pair:
        return (b"".join(pair), *by_recursion(chunk[2:], pair))
    return (chunk[0], *by_recursion(chunk[1:], pair))


@MERGE.alternative
def in_a_list_that_shrinks(chunk, pair):
    tokens, i = list(chunk), 0
    while i < len(tokens) - 1:
        if (tokens[i], tokens[i + 1]) == pair:
            tokens[i:i + 2] = [tokens[i] + tokens[i + 1]]
        i += 1
    return tuple(tokens)


# ---- learn_merges -------------------------------------------------------------------------------------------------

SHELLS = "She sells sea shells by the sea shore; the shells that she sells are sea shells, she is sure."


def learn_merges_inputs():
    cases = [
        ("a sentence, as in the text", count_chunks("the cat sat on the mat"), 10),
        ("fewer merges than there could be", count_chunks("the cat sat on the mat"), 2),
        ("no merges", count_chunks("the cat sat on the mat"), 0),
        ("counts, not chunks", {spelled("ab"): 1, spelled("abc"): 1, spelled("abd"): 1, spelled("xy"): 10}, 2),
        ("equally frequent pairs", {spelled("zb"): 2, spelled("ca"): 2, spelled("bz"): 2, spelled("ba"): 2}, 3),
        ("equally frequent pairs, and longer tokens", {spelled("zabzab"): 2, spelled("xyxyq"): 2}, 6),
        ("a pair that occurs twice", {spelled("ab"): 2, spelled("cd"): 1}, 5),
        ("pairs that overlap", {spelled("aaaaa"): 3}, 5),
        ("no pair twice", {spelled("abcd"): 1, spelled("xyz"): 1}, 4),
        ("no pairs at all", {(b"a",): 5, (b"the",): 9}, 4),
        ("no chunks", {}, 4),
        ("bytes that are no characters", count_chunks("猫猫 猪猪 猪 é é ê"), 6),
        ("more text", count_chunks(SHELLS), 20),
        ("more merges than there can be", count_chunks(SHELLS), 300),
    ]
    return [Case(title, (chunks, n_merges)) for title, chunks, n_merges in cases]


def judge_merges(case, output):
    chunks, n_merges = case.args
    expected = learn_merges(chunks, n_merges)
    if not isinstance(output, (list, tuple)):
        return Difference(f"expected a list of {len(expected)} pairs, got {shown(output)}",
                          advice=RETURN if output is None else "")
    corpus = Corpus(chunks)
    for i, pair in enumerate(expected):
        if i == len(output):
            return Difference(f"your list ends after {i} {'merge' if i == 1 else 'merges'}. The next one is {pair!r}, "
                              f"which occurs {times(corpus.pairs[pair])} then")
        if output[i] != pair:
            mine = output[i]
            known = isinstance(mine, tuple) and mine in corpus.pairs
            how_often = f"which occurs {times(corpus.pairs[mine])}" if known else "which is no pair that is there then"
            return Difference(f"merge {i + 1} is {pair!r}, which occurs {times(corpus.pairs[pair])} at that moment; "
                              f"yours is {shown(mine)}, {how_often}")
        corpus.merge_everywhere(pair)
    if len(output) > len(expected):
        mine, why = output[len(expected)], "no pair occurs at least twice then"
        if len(expected) == n_merges:
            why = f"`n_merges` is {n_merges}"
        return Difference(f"expected {len(expected)} merges, since {why}; yours are {len(output)}, the next is "
                          f"{shown(mine)}")
    return None


LEARN_MERGES = Exercise(learn_merges, learn_merges_inputs, judge=judge_merges)

NO_MERGE = ("The same pair is found again and again. Call `corpus.merge_everywhere(pair)` in every turn, and look at "
            "`corpus.pairs` then, not at `chunks`. (If you do: it calls your `merge`. Has that passed its check?)")
WITH_COUNTS = "Your list holds each pair with its count. The pairs alone are asked for."
FIRST_COUNT = ("You take the most frequent pairs of the first count. A merge changes what is frequent, and makes new "
               "pairs: let `corpus.merge_everywhere(pair)` do it, and look again.")


def learner(choose, least=2, merged=Corpus.merge_everywhere, extra=0, result=list):
    """A learner that is wrong in one of these parts.

    choose: (pairs) -> a pair; least: how often it must occur. merged: what becomes of the corpus. extra: merges above
    the number asked for. result: of the list of (pair, count).
    """
    def learn(chunks, n_merges):
        corpus, found = Corpus(chunks), []
        while len(found) < n_merges + extra and corpus.pairs:
            pair = choose(corpus.pairs)
            if corpus.pairs[pair] < least:
                break
            found.append((pair, corpus.pairs[pair]))
            merged(corpus, pair)
        return result(found)
    return learn


def first_of_most(pairs):
    return min(pairs, key=lambda pair: (-pairs[pair], pair))


def pairs_alone(found):
    return [pair for pair, _ in found]


def wrong_learner(name, sentence, choose=first_of_most, result=pairs_alone, **parts):
    """Register a learner that is wrong in one part."""
    def f(chunks, n_merges):
        return learner(choose, result=result, **parts)(chunks, n_merges)
    f.__name__ = name
    LEARN_MERGES.mistake(sentence)(f)


wrong_learner("never_merged", NO_MERGE, merged=lambda corpus, pair: None)
wrong_learner("last_of_equals", "Of equally frequent pairs you take the one that sorts last. The first is asked for. "
              "(`max` of `(count, pair)` prefers large counts and late pairs: it takes two steps, or a minus.)",
              lambda pairs: max(pairs, key=lambda pair: (pairs[pair], pair)))
wrong_learner("whichever_comes_first",
              "Of equally frequent pairs you take the one that the dict happens to hold first. "
              "What decides is how they sort: the first in Python's order.", lambda pairs: max(pairs, key=pairs.get))
wrong_learner("shortest_of_equals", "Of equally frequent pairs you take a short one, or one that makes a short token. "
              "Length has no part in it: the first in Python's order.",
              lambda pairs: min(pairs, key=lambda pair: (-pairs[pair], len(pair[0] + pair[1]), pair)))
wrong_learner("longest_of_equals",
              "Of equally frequent pairs you take the one that makes the longest token. Length has "
              "no part in it: the first in Python's order.",
              lambda pairs: min(pairs, key=lambda pair: (-pairs[pair], -len(pair[0] + pair[1]), pair)))
wrong_learner("joined_of_equals",
              "You sort the joined tokens, and *a bc* and *ab c* read the same. Pairs are compared as "
              "they are, tuples.", lambda pairs: min(pairs, key=lambda pair: (-pairs[pair], pair[0] + pair[1])))
wrong_learner("by_bytes_saved", "You weigh the count with the length of the token. The count alone decides.",
              lambda pairs: min(pairs, key=lambda pair: (-pairs[pair] * len(pair[0] + pair[1]), pair)))
wrong_learner("least_frequent", "You take the rarest pair. The most frequent one is asked for.",
              lambda pairs: min(pairs, key=lambda pair: (pairs[pair], pair)), least=0)
wrong_learner("sorted_by_pair",
              "You take the pair that sorts first, however often it occurs. The count decides; the order "
              "only between equals.", min)
wrong_learner("goes_on_with_once", "A pair that occurs once is not worth a token: stop when no pair occurs at least "
              "twice.", least=1)
wrong_learner("stops_at_two", "You stop one step too early: a pair that occurs twice is still merged.", least=3)
wrong_learner("one_too_many", "There is one merge too many. How many are there when the loop asks?", extra=1)
wrong_learner("one_too_few", "There is one merge too few: `n_merges` are asked for, the last one included.", extra=-1)
wrong_learner("for_ever",
              "You go on until nothing occurs twice, whatever `n_merges` says. It is the most that there may "
              "be.", extra=1000)
wrong_learner("last_pair",
              "You take the pair that sorts last, however often it occurs. `max` compares the pairs themselves, unless "
              "you give it a `key`.", max)
wrong_learner("nothing_learned", "Your list is empty. Is the pair appended, and does the loop stop only where nothing "
              "occurs twice?", result=lambda found: [])
wrong_learner("vocabulary_for_merges", "You took 256 off. `n_merges` is the number of merges; the 256 bytes are not "
              "among them.", extra=-256)
wrong_learner("popped", FIRST_COUNT, merged=lambda corpus, pair: corpus.pairs.pop(pair))
wrong_learner("joined_tokens", "Your list holds the new tokens. What is asked for are the pairs that they are made of.",
              result=lambda found: [left + right for (left, right), _ in found])
wrong_learner("with_counts", WITH_COUNTS, result=list)
wrong_learner("with_counts_before", WITH_COUNTS, result=lambda found: [(n, pair) for pair, n in found])
wrong_learner("with_counts_and_any_of_equals", WITH_COUNTS, lambda pairs: max(pairs, key=pairs.get), result=list)
wrong_learner("a_dict_of_counts", "You return a dict. The merges are a list, in the order in which they were made.",
              result=dict)
wrong_learner("ranks", "You return a dict. The merges are a list, in the order in which they were made.",
              result=lambda found: {pair: rank for rank, (pair, _) in enumerate(found)})
wrong_learner("latest_first", "Your list begins with the last merge. Append each one at the end.",
              result=lambda found: pairs_alone(found)[::-1])
wrong_learner("first_merge_only", "Only the first merge came back. Is `return` inside the loop? It must come after it.",
              result=lambda found: pairs_alone(found)[:1])
wrong_learner("only_a_pair", "A single pair came back, not a list of merges.",
              result=lambda found: found[-1][0] if found else [])
wrong_learner("as_lists", "The pairs in your list are lists. Leave them tuples: later they are the keys of a dict.",
              result=lambda found: [list(pair) for pair, _ in found])


@LEARN_MERGES.mistake(FIRST_COUNT)
def all_at_once(chunks, n_merges):
    pairs = Corpus(chunks).pairs
    return sorted((pair for pair in pairs if pairs[pair] > 1), key=lambda pair: (-pairs[pair], pair))[:n_merges]


@LEARN_MERGES.mistake(FIRST_COUNT)
def first_count_in_a_loop(chunks, n_merges):
    return [pair for pair, n in Corpus(chunks).pairs.most_common(n_merges) if n > 1]


@LEARN_MERGES.mistake("You merge all equally frequent pairs in one turn. Each merge changes the counts of the others: "
                      "merge one, and look again.")
def all_of_equals(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    while len(merges) < n_merges:
        most = max(corpus.pairs.values(), default=0)
        if most < 2:
            break
        for pair in sorted(pair for pair, n in corpus.pairs.items() if n == most):
            merges.append(pair)
            corpus.merge_everywhere(pair)
    return merges[:n_merges]


@LEARN_MERGES.mistake("Your list begins anew in each turn of the loop, and only the last turn is left of it. Make it "
                      "before the loop.")
def a_new_list_in_each_turn(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    for _ in range(n_merges):
        merges = []
        if max(corpus.pairs.values(), default=0) < 2:
            break
        merges.append(first_of_most(corpus.pairs))
        corpus.merge_everywhere(merges[0])
    return merges


@LEARN_MERGES.mistake("The loop never ends: each turn comes again as it was. A turn has to append a pair to the list "
                      "and to merge it, or else to leave the loop.")
def learn_merges_without_end(chunks, n_merges):
    raise TimedOut


@LEARN_MERGES.mistake("`corpus.merge_everywhere(pair)` returns nothing; it changes `corpus`. Call it, and assign "
                      "nothing.")
def the_corpus_thrown_away(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    while len(merges) < n_merges and max(corpus.pairs.values(), default=0) > 1:
        merges.append(first_of_most(corpus.pairs))
        corpus = corpus.merge_everywhere(merges[-1])
    return merges


@LEARN_MERGES.mistake("`corpus.merge_everywhere` takes one argument, the pair, a tuple. Leave the star away.")
def two_tokens_for_a_pair(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    while len(merges) < n_merges and max(corpus.pairs.values(), default=0) > 1:
        merges.append(first_of_most(corpus.pairs))
        corpus.merge_everywhere(*merges[-1])
    return merges


@LEARN_MERGES.mistake("A merge changes `corpus.pairs` while your `for` goes through it. Count the turns instead, and "
                      "in each look for the most frequent pair.")
def a_loop_over_the_pairs(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    for pair, n in corpus.pairs.items():
        if n > 1 and len(merges) < n_merges:
            merges.append(pair)
            corpus.merge_everywhere(pair)
    return merges


@LEARN_MERGES.mistake("The merges are right, but you have changed the caller's dict. Leave `chunks` as they are: "
                      "`corpus` has its own.")
def changed_chunks(chunks, n_merges):
    merges = learn_merges(chunks, n_merges)
    chunks.clear()
    return merges


@LEARN_MERGES.mistake("`max` and `min` of nothing raise an error. There may be no pairs: give `max` a `default`, or "
                      "ask before.")
def max_of_nothing(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    while len(merges) < n_merges:
        most = max(corpus.pairs.values())
        if most < 2:
            break
        merges.append(min(pair for pair, n in corpus.pairs.items() if n == most))
        corpus.merge_everywhere(merges[-1])
    return merges


@LEARN_MERGES.mistake("`max` and `min` of nothing raise an error. There may be no pairs: give `max` a `default`, or "
                      "ask before.")
def max_of_nothing_by_key(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    for _ in range(n_merges):
        pair = min(corpus.pairs, key=lambda pair: (-corpus.pairs[pair], pair))
        if corpus.pairs[pair] < 2:
            break
        merges.append(pair)
        corpus.merge_everywhere(pair)
    return merges


@LEARN_MERGES.mistake("What you append is a pair with its count, as `items()` gives them, and "
                      "`corpus.merge_everywhere` does not know that. Take the pair alone, for both.")
def pairs_with_counts_merged(chunks, n_merges):
    corpus = Corpus(chunks)
    best = min(corpus.pairs.items(), key=lambda item: (-item[1], item[0]), default=None)
    return [best] * n_merges if best else []


@LEARN_MERGES.mistake("The counts of pairs came back. What is asked for is the list of merges.")
def the_counts(chunks, n_merges):
    corpus = Corpus(chunks)
    for pair in learn_merges(chunks, n_merges):
        corpus.merge_everywhere(pair)
    return dict(corpus.pairs)


@LEARN_MERGES.alternative
def with_a_key(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    for _ in range(n_merges):
        pair = min(corpus.pairs, key=lambda pair: (-corpus.pairs[pair], pair), default=None)
        if corpus.pairs.get(pair, 0) < 2:
            break
        corpus.merge_everywhere(pair)
        merges.append(pair)
    return merges


@LEARN_MERGES.alternative
def with_the_pairs_taken_once(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    pairs = corpus.pairs
    for _ in range(n_merges):
        most = max(pairs.values(), default=0)
        if most < 2:
            break
        merges.append(min(pair for pair in pairs if pairs[pair] == most))
        corpus.merge_everywhere(merges[-1])
    return merges


@LEARN_MERGES.alternative
def with_sorted(chunks, n_merges):
    corpus, merges = Corpus(chunks), []
    while len(merges) < n_merges and any(n > 1 for n in corpus.pairs.values()):
        best = sorted(sorted(corpus.pairs), key=corpus.pairs.get, reverse=True)[0]
        merges.append(best)
        corpus.merge_everywhere(best)
    return merges


@LEARN_MERGES.alternative
def without_the_corpus(chunks, n_merges):
    merges = []
    for _ in range(n_merges):
        counts = count_pairs(chunks)
        best = max(sorted(counts), key=counts.get, default=None)
        if best is None or counts[best] == 1:
            break
        chunks = {merge(chunk, best): n for chunk, n in chunks.items()}
        merges.append(best)
    return merges


@LEARN_MERGES.alternative
def by_recursion_over_the_rest(chunks, n_merges):
    corpus = Corpus(chunks)
    often = {pair: n for pair, n in corpus.pairs.items() if n >= 2}
    if not n_merges or not often:
        return []
    best = first_of_most(often)
    return [best, *by_recursion_over_the_rest({merge(chunk, best): n for chunk, n in chunks.items()}, n_merges - 1)]


# ---- apply_merges -------------------------------------------------------------------------------------------------

BATHE = {(b"h", b"e"): 0, (b"a", b"t"): 1, (b"t", b"he"): 2}
MORE = [tuple(token.encode() for token in pair.split("+")) for pair in          # what SHELLS teaches
        " +s,h+e, s+e, s+he,l+l,ll+s, +t, se+a, she+lls,r+e, se+lls, t+he".split(",")]


def apply_merges_inputs():
    ranks_of_more = {pair: rank for rank, pair in enumerate(MORE)}
    cases = [
        ("as in the text", spelled("bathe"), BATHE),
        ("the same ranks, another word", spelled("the"), BATHE),
        ("a dict in another order", spelled("abcde"),
         {(b"d", b"e"): 9, (b"a", b"b"): 5, (b"b", b"c"): 3, (b"c", b"d"): 7}),
        ("a dict that begins with a later merge", spelled("abcde"),
         {(b"a", b"bc"): 5, (b"b", b"c"): 3, (b"d", b"e"): 4}),
        ("a pair that is rarer here, and was learned first", spelled("ababc"), {(b"b", b"c"): 0, (b"a", b"b"): 1}),
        ("longer tokens", (b"ab", b"c", b"def"), {(b"ab", b"c"): 3, (b"c", b"def"): 9}),
        ("a pair that stands twice", spelled("banana"), {(b"a", b"n"): 0, (b"an", b"an"): 1, (b"n", b"a"): 2}),
        ("where two overlap", spelled("aaaaa"), {(b"a", b"a"): 0, (b"aa", b"a"): 1, (b"aa", b"aa"): 2}),
        ("the lowest rank of all is not there", spelled("cat"), BATHE),
        ("ranks above a million", spelled("bathe"), {pair: 3_000_000 + rank for pair, rank in BATHE.items()}),
        ("no pair that has a rank", spelled("dog"), BATHE),
        ("no ranks", spelled("cat"), {}),
        ("one token", (b"a",), BATHE),
        ("no tokens", (), BATHE),
        ("bytes that are no characters", spelled("猫猪"), {(b"\x8c", b"\xab"): 1, (b"\xe7", b"\x8c"): 0}),
        ("ranks that were learned", spelled(" seashells"), ranks_of_more),
        ("ranks that were learned, another word", spelled(" shared"), ranks_of_more),
    ]
    return [Case(title, (chunk, dict(ranks))) for title, chunk, ranks in cases]


APPLY_MERGES = Exercise(apply_merges, apply_merges_inputs, kept,
                        lambda case, output: judge_tuple(apply_merges(*case.args), output))

NOT_HIGH_ENOUGH = ("You stop too early: the number that you give to a pair without a rank is not higher than all "
                   "ranks. `math.inf` is.")


def applier(choose, turns=math.inf, joined=merge):
    """A loop that merges what choose(pairs that have a rank, ranks) gives."""
    def apply(chunk, ranks):
        turn = 0
        while turn < turns:
            pairs = [pair for pair in pairwise(chunk) if pair in ranks]
            if not pairs:
                break
            chunk = joined(chunk, choose(pairs, ranks))
            turn += 1
        return chunk
    return apply


def lowest(pairs, ranks):
    return min(pairs, key=ranks.get)


def wrong_applier(name, sentence, choose=lowest, **parts):
    """Register a loop that chooses the wrong pair, or stops at the wrong time."""
    def f(chunk, ranks):
        return applier(choose, **parts)(chunk, ranks)
    f.__name__ = name
    APPLY_MERGES.mistake(sentence)(f)


wrong_applier("highest_rank_first",
              "You merge the pair with the highest rank. The lowest rank was learned first, and goes "
              "first.", lambda pairs, ranks: max(pairs, key=ranks.get))
wrong_applier("leftmost_first",
              "You merge the leftmost pair that has a rank. Look at all pairs of the chunk, and take the "
              "one with the lowest rank.", lambda pairs, ranks: pairs[0])
wrong_applier("rightmost_first",
              "You merge the rightmost pair that has a rank. Of all pairs of the chunk, the one with the "
              "lowest rank goes first.", lambda pairs, ranks: pairs[-1])
wrong_applier("sorted_by_pair", "You take the pair that sorts first. Its rank decides: `min` needs `key`.",
              lambda pairs, ranks: min(pairs))
wrong_applier("by_the_order_of_the_dict",
              "You take the pair that the dict holds first. Its rank is the number that the "
              "dict has for it.", lambda pairs, ranks: next(pair for pair in ranks if pair in pairs))
wrong_applier("longest_token_first",
              "You merge the pair that makes the longest token. The rank decides, not the length.",
              lambda pairs, ranks: max(pairs, key=lambda pair: len(pair[0] + pair[1])))
wrong_applier("most_frequent_first",
              "You take the pair that is most frequent in this chunk. Counting was for training; now the ranks decide.",
              lambda pairs, ranks: min(pairs, key=lambda pair: (-pairs.count(pair), ranks[pair])))
wrong_applier("once", "You merge once. Look again at what is there then, until no pair has a rank.", turns=1)
wrong_applier("one_occurrence_only",
              "After one merge you stopped, and of a pair that stands twice one is left. Let `merge` "
              "do both, and look again until no pair has a rank.", turns=1,
              joined=lambda chunk, pair: first_only(chunk, pair))


@APPLY_MERGES.mistake("Nothing was merged. `merge` returns a new tuple: keep it. The keys of `ranks` are tuples of two "
                      "tokens.")
def nothing_merged(chunk, ranks):
    return chunk


@APPLY_MERGES.mistake("Nothing was merged, so the loop never ends. `merge` returns a new tuple: keep it. And leave the "
                      "loop when no pair has a rank.")
def apply_merges_without_end(chunk, ranks):
    raise TimedOut


@APPLY_MERGES.mistake("You look for the lowest rank of all merges. Look among the pairs of the chunk.")
def lowest_of_all(chunk, ranks):
    while (pair := min(ranks, key=ranks.get, default=None)) in pairwise(chunk):
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("`ranks` need not count from 0, and may have gaps: not every number has a pair. Look at the "
                      "pairs of the chunk, and take the one with the lowest rank.")
def from_0_in_a_dict_of_pairs(chunk, ranks):
    pairs = {rank: pair for pair, rank in ranks.items()}
    for rank in range(len(ranks)):
        chunk = merge(chunk, pairs[rank])
    return chunk


@APPLY_MERGES.mistake("The tokens are right, but you have taken ranks out of the caller's dict, who needs them for the "
                      "next chunk. Leave `ranks` as it is.")
def ranks_taken_out(chunk, ranks):
    for pair in sorted(ranks, key=ranks.get):
        if pair in pairwise(chunk):
            chunk = merge(chunk, pair)
            ranks.pop(pair)
    return chunk


@APPLY_MERGES.mistake("These are ids or ranks. What is asked for is the tuple of tokens; a single byte has no rank.")
def ranks_of_tokens(chunk, ranks):
    by_token = {left + right: rank for (left, right), rank in ranks.items()}
    return tuple(by_token.get(token) for token in apply_merges(chunk, ranks))


@APPLY_MERGES.mistake("You go through the dict once, in the order in which it holds the pairs. The numbers are the "
                      "ranks, and the pair with the lowest one that is there goes first.")
def all_pairs_of_the_dict(chunk, ranks):
    for pair in ranks:
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("The pairs are those of the beginning. A merge makes new ones: look at the chunk again in every "
                      "turn of the loop.")
def pairs_of_the_beginning(chunk, ranks):
    for pair in sorted((pair for pair in pairwise(chunk) if pair in ranks), key=ranks.get):
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("You merge each pair that has a rank, in the order of the chunk. The lowest rank goes first, "
                      "wherever it stands.")
def in_the_order_of_the_chunk(chunk, ranks):
    for pair in list(pairwise(chunk)):
        if pair in ranks:
            chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("A rank of 0 counts as false. Ask `pair in ranks`, or compare with None.")
def zero_is_false(chunk, ranks):
    return applier(lowest)(chunk, {pair: rank for pair, rank in ranks.items() if rank})


@APPLY_MERGES.mistake("A pair without a rank gets a number that is lower than all ranks, so it comes first and ends "
                      "the loop. Give it one that is higher than all: `math.inf`.")
def missing_is_lowest(chunk, ranks):
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, -1))
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("A pair without a rank gets the rank 0, and ends the loop as soon as it comes before the others. "
                      "Give it one that is higher than all: `math.inf`.")
def missing_is_zero(chunk, ranks):
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, 0))
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake(NOT_HIGH_ENOUGH)
def missing_is_the_number_of_gpt2s_ranks(chunk, ranks):
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, 50_000))
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake(NOT_HIGH_ENOUGH)
def missing_is_the_number_of_ranks(chunk, ranks):
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, len(ranks)))
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("Not every pair of the chunk is in the dict, and `ranks[pair]` raises a KeyError for those. "
                      "`ranks.get` takes what to return then.")
def rank_of_a_missing_pair(chunk, ranks):
    while len(chunk) > 1:
        chunk = merge(chunk, min(pairwise(chunk), key=lambda pair: ranks[pair]))
    return chunk


@APPLY_MERGES.mistake("`ranks.get(pair)` is None for a pair without a rank, and None cannot be compared with a number. "
                      "Give `get` a second argument, higher than all ranks: `math.inf`.")
def none_for_a_missing_pair(chunk, ranks):
    while len(chunk) > 1:
        pair = min(pairwise(chunk), key=ranks.get)
        if pair not in ranks:
            break
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("A chunk of one token has no pairs, and `min` of nothing raises an error. Go on while there are "
                      "two tokens at least.")
def min_of_nothing(chunk, ranks):
    while True:
        pair = min(pairwise(chunk), key=lambda pair: ranks.get(pair, math.inf))
        if pair not in ranks:
            return chunk
        chunk = merge(chunk, pair)


@APPLY_MERGES.mistake("You merge pairs that have no rank, until one token is left. When the best pair is not in "
                      "`ranks`, the loop has to end.")
def without_an_end(chunk, ranks):
    while len(chunk) > 1:
        chunk = merge(chunk, min(pairwise(chunk), key=lambda pair: ranks.get(pair, math.inf)))
    return chunk


@APPLY_MERGES.mistake("You count ranks up from 0, and a rank may be any number. With 50,000 of them it would take "
                      "long, too: look at the pairs that are there.")
def counted_up_from_0(chunk, ranks):
    for wanted in range(len(ranks)):
        for pair, rank in ranks.items():
            if rank == wanted:
                chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("You stop at the first rank that does not occur in the chunk. The next one may.")
def stops_at_the_first_gap(chunk, ranks):
    for pair in sorted(ranks, key=ranks.get):
        if pair not in pairwise(chunk):
            break
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.mistake("You take the longest token that fits, from left to right. The merges are to be made in the "
                      "order in which they were learned: the lowest rank first.")
def longest_match(chunk, ranks):
    known, joined, tokens = {left + right for left, right in ranks}, b"".join(chunk), []
    while joined:
        n = max((n for n in range(1, len(joined) + 1) if joined[:n] in known), default=1)
        tokens.append(joined[:n])
        joined = joined[n:]
    return tuple(tokens)


@APPLY_MERGES.mistake(A_LIST)
def as_a_list(chunk, ranks):
    return list(apply_merges(chunk, ranks))


@APPLY_MERGES.mistake("The tokens were joined to one again. What is asked for is the tuple of tokens.")
def joined_again(chunk, ranks):
    return b"".join(apply_merges(chunk, ranks))


@APPLY_MERGES.mistake("These are the ranks of the merges that were made. What is asked for is the tuple of tokens.")
def the_ranks(chunk, ranks):
    return tuple(ranks[pair] for pair in ranks if pair[0] + pair[1] in apply_merges(chunk, ranks))


@APPLY_MERGES.alternative
def with_the_ranked_ones(chunk, ranks):
    while ranked := [(ranks[pair], pair) for pair in zip(chunk, chunk[1:], strict=False) if pair in ranks]:
        chunk = merge(chunk, min(ranked)[1])
    return chunk


@APPLY_MERGES.alternative
def all_ranks_in_order(chunk, ranks):
    for pair in sorted(ranks, key=ranks.get):
        chunk = merge(chunk, pair)
    return chunk


@APPLY_MERGES.alternative
def one_at_a_time(chunk, ranks):
    tokens = list(chunk)
    while True:
        best = min(((ranks[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in ranks), default=None)
        if best is None:
            return tuple(tokens)
        i = best[1]
        tokens[i:i + 2] = [tokens[i] + tokens[i + 1]]


@APPLY_MERGES.alternative
def by_recursion_until_nothing_is_left(chunk, ranks):
    pairs = set(pairwise(chunk)) & set(ranks)
    if not pairs:
        return tuple(chunk)
    return by_recursion_until_nothing_is_left(merge(chunk, min(pairs, key=ranks.get)), ranks)


@APPLY_MERGES.alternative
def with_count_pairs(chunk, ranks):
    while True:
        pairs = [pair for pair in count_pairs({chunk: 1}) if pair in ranks]
        if not pairs:
            return chunk
        pairs.sort(key=lambda pair: ranks[pair])
        chunk = merge(chunk, pairs[0])
