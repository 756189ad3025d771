"""The exercises of chapter 02, embeddings."""
import functools
import math
from dataclasses import dataclass

import numpy as np

from ...embeddings import Vocabulary, embed, positional_encoding, shift_matrix
from ...softmax import log_softmax, softmax
from ..answers.chapter_02 import bigram_next
from ..exercise import Case, Exercise, compare

WORDS = ("the", "cat", "sat", "on", "mat")                  # 4 to 8
NEEDS_SELF = ("`ids`, `unk_id`, `pad_id` and `encode` belong to the vocabulary, not to the function. Write `self.` in "
              "front of them.")
FLOAT64_ROWS = ("A float32 table gives float32 vectors, and yours are float64. `np.zeros` and `np.eye` make that "
                "unless you name a dtype; `table[ids]` keeps the table's.")
ODD = ("With an odd `d_model` there is one sine more than there are cosines: columns 0, 2, 4 and 1, 3. Your halves are "
       "equally long. Give the sines `(d_model + 1) // 2` waves, and the cosines one fewer.")
ONE_SPEED = ("All columns have the same speed. The power of 10000 has to grow with the column. Where it does in your "
             "code, look for a `//` that rounds the exponent down to 0: `column // 2` is right, but D divides with "
             "`/`.")
WAVE_OF_ITS_OWN = ("A sine and the cosine next to it belong together: columns 0 and 1 have the same speed, columns 2 "
                   "and 3 the next. Yours all differ. Round the column down to an even one first: `column // 2 * 2`.")
TWICE = ("Your waves slow down twice as fast: the exponent was doubled twice. It is 2i/D for *pair* i, which is "
         "column/D for the *even column* that the pair starts with.")
HALF = ("Your waves slow down half as fast: the exponent lacks its factor 2. For pair i it is 2i/D; for an even column "
        "it is column/D.")
SMALL = ("You compute in a small dtype. A float32 near 1000 moves in steps of 0.00006, and the angle is off by up to "
         "half of that; the larger it is, the more. Compute the angles in float64, and convert at the end.")
DEGREES = "The angles were taken for degrees, or made into them. `np.sin` and `np.cos` want the angle as it is."
BACKWARDS = ("Your matrix moves k steps back. The positions stand on the left, `pe @ matrix`, so the sine's new value "
             "is made by the first *column*: cos of the angle on top, sin below.")


@functools.cache
def drawn(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).round(2)        # readable where a card shows them


def normal(*shape, seed=0):
    return drawn(shape, seed).copy()


# ---- Vocabulary ---------------------------------------------------------------------------------------------------

class Words(list):
    """The words of a vocabulary. A card writes a call as `Vocabulary(` + what they look like + `)`, and here the method
    is a part of that: `Vocabulary(['the', 'cat']).encode('the cat')`."""

    def __init__(self, words, text):
        super().__init__(words)
        self.text = text

    def __repr__(self):
        return f"{super().__repr__()}).encode({self.text!r}"


@dataclass(frozen=True)
class Encoding(Case):
    """Vocabulary(*args).encode(text)."""
    text: object = ""


def vocabulary_inputs():
    cases = [
        ("words that it knows", "the cat sat on the mat"),
        ("a word that it does not know", "the dog sat"),
        ("more than one space", "  the   cat sat "),
        ("other spellings, which are other words", "The cat sat on Mat."),
        ("special words", "<START> the dog <END>"),
        ("one word", "mat"),
        ("a longer and a shorter text", ["the cat sat", "mat"]),
        ("three texts, the longest last", ["on mat", "dog", "the cat sat on the mat"]),
        ("texts of the same length", ["the cat", "on mat"]),
        ("a list of one text", ["the dog sat"]),
    ]
    return [Encoding(title, (Words(WORDS, text),), axes="T" if isinstance(text, str) else "B T", text=text)
            for title, text in cases]


def encode(vocabulary, case):
    return vocabulary(*case.args).encode(case.text)


def compare_ids(case, output):
    """Whole numbers of any size will do."""
    expected = encode(Vocabulary, case)
    if isinstance(output, np.ndarray) and output.dtype.kind in "iu":
        output = output.astype(expected.dtype)
    return compare(expected, output, case.axes)


VOCABULARY = Exercise(Vocabulary, vocabulary_inputs, call=encode, judge=compare_ids)


class InParts(Vocabulary):
    """Each mistake is in one of these parts."""

    def one(self, word):
        return self.ids.get(word, self.unk_id)

    def row(self, text):
        return [self.one(word) for word in text.split()]

    def rectangle(self, rows):
        longest = max(len(row) for row in rows)
        return np.array([[*row, *[self.pad_id] * (longest - len(row))] for row in rows])

    def encode(self, text):
        return np.array(self.row(text)) if isinstance(text, str) else self.rectangle([self.row(one) for one in text])


@VOCABULARY.mistake("You go through the letters of the text. Its words are `text.split()`.")
class LetterByLetter(InParts):
    def row(self, text):
        return [self.one(letter) for letter in text]


@VOCABULARY.mistake("`self.ids[word]` knows no other words, and raises a KeyError. `self.ids.get(word, ...)` takes "
                    "what to return for those: `self.unk_id`.")
class KeyErrorForUnknown(InParts):
    def one(self, word):
        return self.ids[word]


@VOCABULARY.mistake("`index` raises an error for a word that is not in the list (and it searches the list from the "
                    "start each time). `self.ids.get(word, ...)` takes what to return for unknown words.")
class ByIndex(InParts):
    def one(self, word):
        return self.words.index(word)


@VOCABULARY.mistake("For an unknown word `get` returned None. Give it a second argument, what to return then: "
                    "`self.unk_id`.")
class NoneForUnknown(InParts):
    def one(self, word):
        return self.ids.get(word)


@VOCABULARY.mistake("An unknown word is left out, and the text gets shorter. It becomes <UNK>, so that its place is "
                    "kept.")
class UnknownLeftOut(InParts):
    def row(self, text):
        return [self.ids[word] for word in text.split() if word in self.ids]


@VOCABULARY.mistake("An unknown word became <PAD>, which means that no word is there. Use `self.unk_id`.")
class PaddingForUnknown(InParts):
    def one(self, word):
        return self.ids.get(word, self.pad_id)


@VOCABULARY.mistake("An unknown word got an id that no word has, and a table of embeddings has no row for it. Use "
                    "`self.unk_id`.")
class MinusOneForUnknown(InParts):
    def one(self, word):
        return self.ids.get(word, -1)


@VOCABULARY.mistake("An unknown word got an id that no word has, and a table of embeddings has no row for it. Use "
                    "`self.unk_id`.")
class NewIdForUnknown(InParts):
    def one(self, word):
        return self.ids.get(word, len(self))


@VOCABULARY.mistake("An unknown word became the text <UNK>. The ids are numbers: `self.unk_id`.")
class NameForUnknown(InParts):
    def one(self, word):
        return self.ids.get(word, "<UNK>")


@VOCABULARY.mistake("The vocabulary learned a new word while it was encoding. It must stay as it is, since the table "
                    "of embeddings has no row for new ids: unknown words become <UNK>.")
class UnknownAdded(InParts):
    def one(self, word):
        return self.ids.setdefault(word, len(self.ids))


@VOCABULARY.mistake("`split(\" \")` finds an empty word between two spaces. `split()`, without an argument, takes any "
                    "number of spaces as one.")
class SplitAtEachSpace(InParts):
    def row(self, text):
        return [self.one(word) for word in text.split(" ")]


@VOCABULARY.mistake("You changed the spelling first. Here words are taken as they stand: *The* is not *the*, and "
                    "*Mat.* is not *mat*.")
class LowerCase(InParts):
    def row(self, text):
        return super().row(text.lower())


@VOCABULARY.mistake("You changed the spelling first. Here words are taken as they stand: *The* is not *the*, and "
                    "*Mat.* is not *mat*.")
class LowerCaseAndNoPeriods(InParts):
    def row(self, text):
        return super().row(text.lower().replace(".", ""))


@VOCABULARY.mistake("These are the words. Their numbers are asked for: `self.ids` has them.")
class WordsThemselves(InParts):
    def row(self, text):
        return text.split()


@VOCABULARY.mistake("Each word got its place in the text, 0, 1, 2. Its id is its place in the vocabulary: `self.ids`.")
class PlacesInTheText(InParts):
    def row(self, text):
        return list(range(len(text.split())))


@VOCABULARY.mistake("Your ids are 4 too small: the four special words come first, and your own numbering leaves them "
                    "out. Use `self.ids`.")
class SpecialWordsForgotten(InParts):
    def one(self, word):
        return super().one(word) - 4


@VOCABULARY.mistake("Your ids are 4 too small: the four special words come first, and your own numbering leaves them "
                    "out. Use `self.ids`.")
class SpecialWordsForgottenAndUnknown(InParts):
    def one(self, word):
        return self.words[4:].index(word) if word in self.words[4:] else self.unk_id


@VOCABULARY.mistake("Your ids are 1 too large: they count from 0. Use `self.ids`, which has them ready.")
class CountedFromOne(InParts):
    def one(self, word):
        return super().one(word) + 1


@VOCABULARY.mistake("Your ids are 1 too large: they count from 0. Use `self.ids`, which has them ready.")
class CountedFromOneAndUnknown(InParts):
    def one(self, word):
        return self.ids[word] + 1 if word in self.ids else self.unk_id


@VOCABULARY.mistake("Your ids are 1 too small. A word's id is what `self.ids` says, with nothing taken off.")
class OneTooSmall(InParts):
    def one(self, word):
        return super().one(word) - 1


@VOCABULARY.mistake("Your ids are 1 too small. A word's id is what `self.ids` says, with nothing taken off.")
class OneTooSmallAndUnknown(InParts):
    def one(self, word):
        return self.ids[word] - 1 if word in self.ids else self.unk_id


@VOCABULARY.mistake("A word that comes twice in a text stands in it twice. Do not put the words into a set or a dict "
                    "on the way.")
class RepeatedWordsOnce(InParts):
    def row(self, text):
        return [self.one(word) for word in dict.fromkeys(text.split())]


@VOCABULARY.mistake("You return a list. Make an array of it: `np.array`.")
class AList(InParts):
    def encode(self, text):
        return self.row(text) if isinstance(text, str) else self.rectangle([self.row(one) for one in text]).tolist()


@VOCABULARY.mistake("One text gives one row of ids, shape (T,), like the text itself: no axis for a batch in front.")
class AlwaysABatch(InParts):
    def encode(self, text):
        return super().encode([text] if isinstance(text, str) else text)


@VOCABULARY.mistake("You return a list. Make an array of it: `np.array`.")
class AListOfOneText(InParts):
    def encode(self, text):
        return self.row(text)


@VOCABULARY.mistake("You encode one text only. `text` may be a list of texts as well, and a list has no `split`: ask "
                    "`isinstance(text, str)` first.")
class OneTextOnly(InParts):
    def encode(self, text):
        return np.array(self.row(text))


@VOCABULARY.mistake("Each item of the list was taken for a word. It is a text of its own, with words in it: encode "
                    "each one by itself.")
class ItemsTakenForWords(InParts):
    def encode(self, text):
        return np.array([self.one(word) for word in (text.split() if isinstance(text, str) else text)])


@VOCABULARY.mistake("The texts of a list were run together into one. Each gets a row of its own.")
class RunTogether(InParts):
    def encode(self, text):
        return np.array(self.row(text if isinstance(text, str) else " ".join(text)))


@VOCABULARY.mistake("For a list you return a list of arrays. Fill the rows up to the same length, and make one array "
                    "of them, shape (B, T).")
class AListOfArrays(InParts):
    def rectangle(self, rows):
        return [np.array(row) for row in rows]


@VOCABULARY.mistake("An array is a rectangle: rows of different length do not make one. Fill the shorter ones up with "
                    "`self.pad_id` first.")
class RaggedRows(InParts):
    def rectangle(self, rows):
        return np.array(rows)


@VOCABULARY.mistake("An array is a rectangle: rows of different length do not make one. Fill the shorter ones up with "
                    "`self.pad_id` first.")
class RaggedRowsStacked(InParts):
    def rectangle(self, rows):
        return np.stack([np.array(row) for row in rows])


@VOCABULARY.mistake("Only the first text came back. Is `return` inside the loop? It must come after it.")
class FirstTextOnly(InParts):
    def rectangle(self, rows):
        return np.array(rows[:1])


@VOCABULARY.mistake("Only the first text came back. Is `return` inside the loop? It must come after it.")
class FirstTextOnlyWithPadding(InParts):
    def rectangle(self, rows):
        return super().rectangle(rows)[:1]


@VOCABULARY.mistake("Only the first text came back. Is `return` inside the loop? It must come after it.")
class FirstRowOnly(InParts):
    def rectangle(self, rows):
        return np.array(rows[0])


@VOCABULARY.mistake("Only the first text came back. Is `return` inside the loop? It must come after it.")
class FirstRowOnlyWithPadding(InParts):
    def rectangle(self, rows):
        return super().rectangle(rows)[0]


@VOCABULARY.mistake("Only the first word came back. Is `return` inside the loop? It must come after it.")
class FirstWordOnly(InParts):
    def row(self, text):
        return super().row(text)[:1]


@VOCABULARY.mistake("Only the last text came back: each turn of the loop wrote over what the one before had made. "
                    "Collect the rows in a list.")
class LastRowOnly(InParts):
    def rectangle(self, rows):
        return np.array(rows[-1])


@VOCABULARY.mistake("The padding stands in front. It fills up at the end, so that each text starts in column 0.")
class PaddedInFront(InParts):
    def rectangle(self, rows):
        longest = max(len(row) for row in rows)
        return np.array([[*[self.pad_id] * (longest - len(row)), *row] for row in rows])


@VOCABULARY.mistake("The longer texts were cut to the length of the shortest. Fill the shorter ones up instead; no "
                    "word may get lost.")
class CutToTheShortest(InParts):
    def rectangle(self, rows):
        return np.array([row[:min(map(len, rows))] for row in rows])


@VOCABULARY.mistake("You fill up to the length of the first text. The longest may be any of them: `max`.")
class PaddedToTheFirst(InParts):
    def rectangle(self, rows):
        return np.array([[*row, *[self.pad_id] * (len(rows[0]) - len(row))] for row in rows])


@VOCABULARY.mistake("You fill up to a number of letters: `len` of a text counts those. T is the number of words of the "
                    "longest text.")
class PaddedToTheLetters(InParts):
    def encode(self, text):
        if isinstance(text, str):
            return np.array(self.row(text))
        longest = max(len(one) for one in text)
        return np.array([[*self.row(one), *[self.pad_id] * (longest - len(self.row(one)))] for one in text])


@VOCABULARY.mistake("The empty places are not <PAD>. Its id is `self.pad_id`, which is 0 here.")
class FilledWithUnknown(InParts):
    def rectangle(self, rows):
        longest = max(len(row) for row in rows)
        return np.array([[*row, *[self.unk_id] * (longest - len(row))] for row in rows])


@VOCABULARY.mistake("The empty places are not <PAD>. Its id is `self.pad_id`, which is 0 here.")
class FilledWithEnd(InParts):
    def rectangle(self, rows):
        longest = max(len(row) for row in rows)
        return np.array([[*row, *[self.end_id] * (longest - len(row))] for row in rows])


@VOCABULARY.mistake("The empty places are not <PAD>. Its id is `self.pad_id`, which is 0 here.")
class FilledWithMinusOne(InParts):
    def rectangle(self, rows):
        longest = max(len(row) for row in rows)
        return np.array([[*row, *[-1] * (longest - len(row))] for row in rows])


@VOCABULARY.mistake("`np.zeros` makes an array of floats, and an id is the number of a row. Ask for `dtype=int`, or "
                    "use `np.full` with `self.pad_id`.")
class RectangleOfFloats(InParts):
    def rectangle(self, rows):
        return super().rectangle(rows).astype(float)


@VOCABULARY.mistake("These are floats, and an id is the number of a row. Leave the dtype away: `np.array` of whole "
                    "numbers holds whole numbers.")
class Floats(InParts):
    def encode(self, text):
        return super().encode(text).astype(float)


@VOCABULARY.mistake("These are floats, and an id is the number of a row. Leave the dtype away: `np.array` of whole "
                    "numbers holds whole numbers.")
class Floats32(InParts):
    def encode(self, text):
        return super().encode(text).astype(np.float32)


@VOCABULARY.mistake("A list of one text is still a list: shape (1, T). Decide by `isinstance(text, str)`, not by how "
                    "many texts there are, and leave `squeeze` away.")
class Squeezed(InParts):
    def rectangle(self, rows):
        return np.squeeze(super().rectangle(rows))


@VOCABULARY.mistake("The words stand along the first axis and the texts along the second. One text is one row: (B, T).")
class Transposed(InParts):
    def rectangle(self, rows):
        return super().rectangle(rows).T


@VOCABULARY.mistake("<START> and <END> were added. `encode` leaves that to its caller, who may not want them.")
class StartAndEndAdded(InParts):
    def row(self, text):
        return [self.start_id, *super().row(text), self.end_id]


@VOCABULARY.mistake("<START> and <END> were added. `encode` leaves that to its caller, who may not want them.")
class EndAdded(InParts):
    def row(self, text):
        return [*super().row(text), self.end_id]


@VOCABULARY.mistake(NEEDS_SELF)
class IdsWithoutSelf(InParts):
    def one(self, word):
        return ids.get(word, self.unk_id)                       # noqa: F821


@VOCABULARY.mistake(NEEDS_SELF)
class UnknownWithoutSelf(InParts):
    def one(self, word):
        return self.ids.get(word, unk_id)                       # noqa: F821


@VOCABULARY.mistake(NEEDS_SELF)
class PaddingWithoutSelf(InParts):
    def rectangle(self, rows):
        return pad_id                                           # noqa: F821


@VOCABULARY.mistake(NEEDS_SELF)
class EncodeWithoutSelf(InParts):
    def rectangle(self, rows):
        raise NameError("name 'encode' is not defined")         # this module has one


@VOCABULARY.mistake("`self.ids` is a dict: square brackets, or `self.ids.get(word, self.unk_id)`.")
class DictCalled(InParts):
    def one(self, word):
        return self.ids(word)


for how in ("", " while calling a Python object", " in comparison", " in __instancecheck__"):
    @VOCABULARY.mistake("Your method calls itself without end. For a text (`isinstance(text, str)` tells) it looks the "
                        "words up in `self.ids`, and does not call `encode` again.")
    class EncodeWithoutEnd(InParts):
        def encode(self, text, how=how):
            raise RecursionError(f"maximum recursion depth exceeded{how}")       # Python says how, by chance

    @VOCABULARY.mistake("For a list your method calls itself with the list again, without end. Hand on one item at a "
                        "time, `self.encode(one)`.")
    class ListsWithoutEnd(InParts):
        def rectangle(self, rows, how=how):
            raise RecursionError(f"maximum recursion depth exceeded{how}")


for wrong, sentence in list(VOCABULARY.mistakes):           # the same in an answer that does not know of lists yet
    if {"one", "row"} & set(vars(wrong)):
        VOCABULARY.mistake(sentence)(type(f"{wrong.__name__}AndNoLists", (OneTextOnly, wrong), {}))


@VOCABULARY.alternative
class ByFilling(Vocabulary):
    def encode(self, text):
        texts = [text] if isinstance(text, str) else text
        words = [one.split() for one in texts]
        ids = np.full((len(texts), max(map(len, words))), self.pad_id)
        for row, own in zip(ids, words, strict=True):
            row[:len(own)] = [self.ids.get(word, self.unk_id) for word in own]
        return ids[0] if isinstance(text, str) else ids


@VOCABULARY.alternative
class ByPaddedText(Vocabulary):
    def encode(self, text):
        if not isinstance(text, str):
            longest = max(len(one.split()) for one in text)
            return np.stack([self.encode(one + " <PAD>" * (longest - len(one.split()))) for one in text])
        return np.array([self.words.index(w) if w in self.words else self.unk_id for w in text.split()], np.int32)


@VOCABULARY.alternative
class ByNumPysPad(Vocabulary):
    def encode(self, text):
        if isinstance(text, str):
            return np.fromiter((self.ids[w] if w in self.ids else self.unk_id for w in text.split()), dtype=int)
        rows = list(map(self.encode, text))
        return np.array([np.pad(row, (0, max(map(len, rows)) - len(row)), constant_values=self.pad_id) for row in rows])


# ---- embed --------------------------------------------------------------------------------------------------------

def embed_inputs():
    return [
        Case("three ids, one of them twice", (np.array([1, 0, 1]), np.array([[0.1, 0.2], [1.0, 2.0], [5.0, 6.0]])),
             axes="T D"),
        Case("ids of shape (T=4,), a table of 6 rows and 3 columns", (np.array([5, 0, 2, 2]), normal(6, 3)),
             axes="T D"),
        Case("ids of shape (B=2, T=3)", (np.array([[4, 1, 1], [0, 4, 2]]), normal(5, 4, seed=1)), axes="B T D"),
        Case("as many ids as rows and columns", (np.array([3, 1, 0, 1]), normal(4, 4, seed=2)), axes="T D"),
        Case("one id, shape ()", (np.array(2), normal(5, 3, seed=3)), axes="D"),
        Case("ids of shape (2, 1, 3)", (np.array([[[0, 2, 2]], [[3, 1, 0]]]), normal(4, 2, seed=4))),
        Case("a transposed view", (np.array([[1, 0], [3, 3], [2, 0]]), normal(5, 4, seed=5).T), axes="B T D"),
        Case("a table of float32", (np.array([[2, 0, 1], [5, 5, 3]]), normal(6, 4, seed=6).astype(np.float32)),
             axes="B T D"),
    ]


EMBED = Exercise(embed, embed_inputs)


@EMBED.mistake("Each word got the row before its own (id 0 the last one). Ids count from 0, as rows do: no `- 1`.")
def one_row_up(ids, table):
    return table[ids - 1]


@EMBED.mistake("Each word got the row after its own. Ids count from 0, as rows do: no `+ 1`.")
def one_row_down(ids, table):
    return table[ids + 1]


@EMBED.mistake("Each word got the row after its own. Ids count from 0, as rows do: no `+ 1`.")
def one_row_down_around(ids, table):
    return table[(ids + 1) % len(table)]


@EMBED.mistake("You picked columns. A word's vector is a row of the table, and rows come first: `table[ids]`.")
def columns(ids, table):
    return table[:, ids]


@EMBED.mistake("You picked columns. A word's vector is a row of the table, and rows come first: `table[ids]`.")
def columns_as_rows(ids, table):
    return table.T[ids]


@EMBED.mistake("Without an axis, `np.take` counts through all numbers of the table, and gives one for each id. "
               "`table[ids]` takes rows.")
def taken_without_axis(ids, table):
    return np.take(table, ids)


@EMBED.mistake("You picked one number for each id. A word has a whole row, D numbers.")
def one_number_each(ids, table):
    return table[ids, 0]


@EMBED.mistake("You return a list. Make one array of it with `np.array`; or let NumPy do the loop, `table[ids]`.")
def a_list(ids, table):
    return [table[i] for i in ids]


@EMBED.mistake("You loop over `ids`, and one id alone, shape (), cannot be looped over. NumPy takes ids of any shape "
               "as they are: `table[ids]`.")
def a_loop(ids, table):
    return np.array([table[i] for i in ids])


@EMBED.mistake("Your loop is written for ids of shape (T,). They may have any shape, (B, T) or () too, and NumPy "
               "takes them as they are: `table[ids]`.")
def filled_in_a_loop(ids, table):
    vectors = np.zeros((len(ids), table.shape[1]), table.dtype)
    for t in range(len(ids)):
        vectors[t] = table[ids[t]]
    return vectors


@EMBED.mistake("Your loops are written for ids of one shape. They may have any: (T,), (B, T) or (). NumPy takes them "
               "as they are: `table[ids]`.")
def two_loops(ids, table):
    return np.array([[table[i] for i in row] for row in ids])


@EMBED.mistake("`B, T = ids.shape` asks for two axes. Ids may have any shape, (T,) or () too, and NumPy takes them as "
               "they are: `table[ids]`.")
def two_axes_unpacked(ids, table):
    B, T = ids.shape
    return table[ids].reshape(B, T, -1)


@EMBED.mistake(FLOAT64_ROWS)
def filled_in_a_loop_of_float64(ids, table):
    vectors = np.zeros((*ids.shape, table.shape[1]))
    for t in np.ndindex(ids.shape):
        vectors[t] = table[ids[t]]
    return vectors


@EMBED.mistake("All rows stand one below the other, and the shape of `ids` is lost: (B, T) has to become (B, T, D). "
               "`table[ids]` keeps it; leave `flatten` or `reshape` away.")
def flattened(ids, table):
    return table[ids.reshape(-1)]


@EMBED.mistake("You embedded the first id only (or the first row of ids). Every id gets its row.")
def first_only(ids, table):
    return table[ids[0]]


@EMBED.mistake("You used the ids themselves as numbers. An id of 5 is not five times as much as 1: it is only the "
               "number of a row. Look the row up, `table[ids]`.")
def ids_times_table(ids, table):
    return ids @ table


@EMBED.mistake("You used the ids themselves as numbers. An id of 5 is not five times as much as 1: it is only the "
               "number of a row. Look the row up, `table[ids]`.")
def rows_times_ids(ids, table):
    return table[ids] * ids[..., None]


@EMBED.mistake("You used the ids themselves as numbers. An id of 5 is not five times as much as 1: it is only the "
               "number of a row. Look the row up, `table[ids]`.")
def table_times_ids(ids, table):
    return table * ids


@EMBED.mistake("A one-hot row has a place for every word, `len(table)` of them. You gave it D places.")
def one_hot_of_d(ids, table):
    return np.eye(table.shape[1])[ids] @ table


@EMBED.mistake("These are one-hot rows: a 1 at each word's place. What is left is the matrix product with the table; "
               "or look the rows up at once, `table[ids]`.")
def one_hot_only(ids, table):
    return np.eye(len(table), dtype=table.dtype)[ids]


@EMBED.mistake("The one-hot rows meet the table turned around. (B, T, n_vocab) `@` (n_vocab, D): the table as it is.")
def one_hot_times_transposed(ids, table):
    return np.eye(len(table), dtype=table.dtype)[ids] @ table.T


@EMBED.mistake("`*` multiplies number by number. A one-hot row picks a row of the table in a matrix product: `@`.")
def one_hot_number_by_number(ids, table):
    return np.eye(len(table), dtype=table.dtype)[ids] * table


@EMBED.mistake(FLOAT64_ROWS)
def one_hot_of_float64(ids, table):
    return np.eye(len(table))[ids] @ table


@EMBED.mistake("You multiplied by a root of D. The paper does so in the whole model, and chapter 06 will; `embed` "
               "only looks the rows up.")
def times_root_of_d(ids, table):
    return table[ids] * math.sqrt(table.shape[1])


@EMBED.mistake("You divided by a root of D. The table is used as it is: `embed` only looks the rows up.")
def divided_by_root_of_d(ids, table):
    return table[ids] / math.sqrt(table.shape[1])


@EMBED.mistake("You made every row as long as 1. The rows are asked for as they are.")
def of_length_one(ids, table):
    return table[ids] / np.sqrt(np.sum(table[ids] ** 2, axis=-1, keepdims=True))


@EMBED.mistake("You added the rows up, and it no longer shows which word stood where. Each id keeps a row of its own.")
def summed(ids, table):
    return table[ids].sum(axis=-2)


@EMBED.mistake("You averaged the rows, and it no longer shows which word stood where. Each id keeps a row of its own.")
def averaged(ids, table):
    return table[ids].mean(axis=-2)


@EMBED.mistake("D came before T. Each id becomes a row of D numbers, so D is the last axis.")
def turned(ids, table):
    return np.swapaxes(table[ids], -1, -2)


@EMBED.mistake("`.T` turns all axes around, and D comes first. Each id becomes a row of D numbers, so D is the last "
               "axis: leave `.T` away.")
def all_axes_turned(ids, table):
    return table[ids].T


@EMBED.mistake("A tuple of indices means something else: row, column, ... of a single number. Index with the array "
               "itself: `table[ids]`.")
def by_a_tuple(ids, table):
    return table[tuple(ids)]


@EMBED.mistake("`table(ids)` calls the table as a function. To index, take square brackets: `table[ids]`.")
def table_called(ids, table):
    return table(ids)


@EMBED.mistake(FLOAT64_ROWS)
def made_float64(ids, table):
    return table[ids].astype(float)


@EMBED.mistake("The fractions were cut off: the array that you fill holds whole numbers, as `ids` does "
               "(`np.zeros_like(ids)`, `dtype=ids.dtype`). Take the dtype of the table.")
def cut_to_whole_numbers(ids, table):
    return table[ids].astype(ids.dtype)


@EMBED.mistake("`table *= ...` writes into the caller's table, which other words still need. Leave it as it is.")
def in_place(ids, table):
    table *= math.sqrt(table.shape[1])
    return table[ids]


@EMBED.alternative
def by_take(ids, table):
    return np.take(table, ids, axis=0)


@EMBED.alternative
def by_one_hot_rows(ids, table):
    return (ids[..., None] == np.arange(len(table))).astype(table.dtype) @ table


@EMBED.alternative
def flat_and_back(ids, table):
    return np.array([table[i] for i in np.ravel(ids)]).reshape(*np.shape(ids), table.shape[1])


# ---- positional_encoding ------------------------------------------------------------------------------------------

def positional_encoding_inputs():
    return [
        Case("3 positions, 4 waves", (3, 4), axes="T D"),
        Case("5 positions, 6 waves", (5, 6), axes="T D"),
        Case("as many waves as positions", (8, 8), axes="T D"),
        Case("float64", (7, 10), {"dtype": np.float64}, axes="T D"),
        Case("an odd number of waves", (4, 5), axes="T D"),
        Case("one wave", (3, 1), axes="T D"),
        Case("one position", (1, 6), axes="T D"),
        Case("an odd number of waves in float64", (6, 9), {"dtype": np.float64}, axes="T D"),
        Case("large positions", (1200, 16), axes="T D"),
    ]


POSITIONAL_ENCODING = Exercise(positional_encoding, positional_encoding_inputs)


def angles(length, exponent):
    """exponent: for each column."""
    return np.arange(length)[:, None] / 10000 ** exponent


def waves(angle, dtype=np.float32):
    """Sines in the even columns, cosines in the odd ones."""
    return np.where(np.arange(angle.shape[1]) % 2 == 0, np.sin(angle), np.cos(angle)).astype(dtype)


def even(d_model):
    """Columns, rounded down to even ones."""
    return np.arange(d_model) // 2 * 2


def in_float64(wrong):
    """The same mistake in an answer that does not use its argument dtype yet."""
    def answer(first, d_model, dtype=np.float32):
        return wrong(first, d_model, np.float64)
    answer.__name__ = f"{wrong.__name__}_in_float64"
    return answer


@POSITIONAL_ENCODING.mistake("All sines stand left and all cosines right. They take turns: columns 0, 2, 4 are sines, "
                             "columns 1, 3, 5 the cosines that belong to them.")
def halves(length, d_model, dtype=np.float32):
    angle = angles(length, np.arange(0, d_model, 2) / d_model)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)[:, :d_model].astype(dtype)


@POSITIONAL_ENCODING.mistake("Sine and cosine are exchanged: column 0 is a sine, column 1 its cosine. You see it at "
                             "position 0, which has to begin 0, 1.")
def cosine_first(length, d_model, dtype=np.float32):
    angle = angles(length, even(d_model) / d_model)
    return np.where(np.arange(d_model) % 2 == 1, np.sin(angle), np.cos(angle)).astype(dtype)


@POSITIONAL_ENCODING.mistake(WAVE_OF_ITS_OWN)
def every_column_its_own_speed(length, d_model, dtype=np.float32):
    return waves(angles(length, np.arange(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake(WAVE_OF_ITS_OWN)
def every_column_its_own_speed_twice(length, d_model, dtype=np.float32):
    return waves(angles(length, 2 * np.arange(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake(TWICE)
def exponent_twice(length, d_model, dtype=np.float32):
    return waves(angles(length, 2 * even(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake(HALF)
def exponent_half(length, d_model, dtype=np.float32):
    return waves(angles(length, np.arange(d_model) // 2 / d_model), dtype)


@POSITIONAL_ENCODING.mistake("You multiply by 10000 to that power, and every pair is faster than the one before. "
                             "Divide, and each is slower.")
def faster_and_faster(length, d_model, dtype=np.float32):
    return waves(angles(length, -even(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake(ONE_SPEED)
def one_speed(length, d_model, dtype=np.float32):
    return waves(angles(length, np.zeros(d_model)), dtype)


@POSITIONAL_ENCODING.mistake(ONE_SPEED)
def exponent_rounded_down(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] / 10000.0 ** (even(d_model) // d_model) + np.zeros(d_model), dtype)


@POSITIONAL_ENCODING.mistake("`//` made whole numbers of what has to be a fraction. It belongs in `column // 2`; "
                             "divide everything else with `/`.")
def angle_rounded_down(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] // 10000 ** (even(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake("The number to take powers of is 10000; yours is another one.")
def powers_of_1000(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] / 1000 ** (even(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake("Your waves slow down by 100 from pair to pair. That is the table of D = 4, where 10000 "
                             "** (2/4) is 100. For any D take the formula, 10000 ** (2i/D).")
def powers_of_100(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] / 100.0 ** (np.arange(d_model) // 2), dtype)


@POSITIONAL_ENCODING.mistake("The power is missing: 10000 * (2i/D) is a product. Write 10000 ** (2i/D).")
def no_power(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] / (10000 * (even(d_model) / d_model)), dtype)


@POSITIONAL_ENCODING.mistake("Brackets are missing: `10000 ** a / b` is (10000 ** a) / b. Put the exponent in "
                             "brackets.")
def brackets_missing(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] / (10000.0 ** even(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake("Brackets are missing: `p / a ** b / c` divides twice. Put the exponent in brackets.")
def divided_twice(length, d_model, dtype=np.float32):
    return waves(np.arange(length)[:, None] / 10000.0 ** even(d_model) / d_model, dtype)


for divisor in (1, 2):                                      # i is the column, or its pair
    @POSITIONAL_ENCODING.mistake("Brackets are missing: `10000 ** 2 * i` is (10000 ** 2) * i. Put the whole exponent "
                                 "in brackets, 10000 ** (2 * i / d_model), with i for the pair.")
    def only_2_in_the_exponent(length, d_model, dtype=np.float32, divisor=divisor):
        i = np.arange(d_model) // divisor
        return waves(np.arange(length)[:, None] / 10000 ** 2 * i / d_model, dtype)

    @POSITIONAL_ENCODING.mistake("Brackets are missing: `10000 ** 2 * i` is (10000 ** 2) * i. Put the whole exponent "
                                 "in brackets, 10000 ** (2 * i / d_model), with i for the pair.")
    def only_2_in_the_exponent_below(length, d_model, dtype=np.float32, divisor=divisor):
        i = np.arange(d_model) // divisor
        return waves(np.arange(length)[:, None] / (10000 ** 2 * i / d_model), dtype)


@POSITIONAL_ENCODING.mistake("Your positions start at 1. The first one is 0, and its row is 0, 1, 0, 1, ...")
def from_one(length, d_model, dtype=np.float32):
    return waves(angles(length + 1, even(d_model) / d_model)[1:], dtype)


@POSITIONAL_ENCODING.mistake("These are sines only. Every second column is a cosine.")
def sines_only(length, d_model, dtype=np.float32):
    return np.sin(angles(length, even(d_model) / d_model)).astype(dtype)


@POSITIONAL_ENCODING.mistake("Sine and cosine take turns from position to position. They take turns from *column* to "
                             "column: it is the column that must be even or odd.")
def parity_of_the_position(length, d_model, dtype=np.float32):
    angle = angles(length, even(d_model) / d_model)
    return np.where(np.arange(length)[:, None] % 2 == 0, np.sin(angle), np.cos(angle)).astype(dtype)


@POSITIONAL_ENCODING.mistake("Position and column are exchanged: the position is divided, and the column makes the "
                             "exponent.")
def position_in_the_exponent(length, d_model, dtype=np.float32):
    position, column = np.arange(length)[:, None], np.arange(d_model)
    return waves(column / 10000 ** (position // 2 * 2 / d_model), dtype)


@POSITIONAL_ENCODING.mistake("This is (D, T). Each position gets a row, and each wave a column: (T, D).")
def a_column_for_each_position(length, d_model, dtype=np.float32):
    return positional_encoding(length, d_model, dtype).T


@POSITIONAL_ENCODING.mistake("An axis for a batch stands in front. The result is one matrix, (T, D): every text of a "
                             "batch gets the same positions, and broadcasting sees to that.")
def with_a_batch(length, d_model, dtype=np.float32):
    return positional_encoding(length, d_model, dtype)[None]


@POSITIONAL_ENCODING.mistake(DEGREES)
def in_degrees(length, d_model, dtype=np.float32):
    return waves(np.deg2rad(angles(length, even(d_model) / d_model)), dtype)


@POSITIONAL_ENCODING.mistake(DEGREES)
def made_degrees(length, d_model, dtype=np.float32):
    return waves(np.rad2deg(angles(length, even(d_model) / d_model)), dtype)


@POSITIONAL_ENCODING.mistake("These are the angles. What is left: the sine of those in even columns, the cosine of "
                             "those in odd ones.")
def angles_only(length, d_model, dtype=np.float32):
    return angles(length, even(d_model) / d_model).astype(dtype)


@POSITIONAL_ENCODING.mistake("Your slowest pair is 10000 times slower than the first. In the paper's formula it stops "
                             "just before: the exponent is 2i/D, never 1.")
def down_to_the_last(length, d_model, dtype=np.float32):
    return waves(angles(length, np.arange(d_model) // 2 / max((d_model + 1) // 2 - 1, 1)), dtype)


@POSITIONAL_ENCODING.mistake("`np.arange(length)` is a row, and a row of positions does not line up with a row of "
                             "columns. Make it a column: `np.arange(length)[:, None]`.")
def positions_as_a_row(length, d_model, dtype=np.float32):
    return waves(np.arange(length) / 10000 ** (even(d_model) / d_model), dtype)


@POSITIONAL_ENCODING.mistake("`math.sin` takes one number. `np.sin` takes a whole array.")
def one_number_at_a_time(length, d_model, dtype=np.float32):
    return math.sin(angles(length, even(d_model) / d_model))


@POSITIONAL_ENCODING.mistake("The `if` asks a whole array at once whether it is even. `np.where` decides for each "
                             "entry; or assign to `[:, 0::2]` and `[:, 1::2]`.")
def if_of_an_array(length, d_model, dtype=np.float32):
    angle = angles(length, even(d_model) / d_model)
    return np.sin(angle) if np.arange(d_model) % 2 == 0 else np.cos(angle)


@POSITIONAL_ENCODING.mistake("Pair i fills the columns 2i and 2i + 1, so there are half as many pairs as columns. A "
                             "loop over pairs ends at half of `d_model`.")
def as_many_pairs_as_columns(length, d_model, dtype=np.float32):
    pe = np.zeros((length, d_model), dtype)
    for i in range(d_model):
        pe[:, 2 * i] = np.sin(np.arange(length) / 10000 ** (2 * i / d_model))
        pe[:, 2 * i + 1] = np.cos(np.arange(length) / 10000 ** (2 * i / d_model))
    return pe


@POSITIONAL_ENCODING.mistake("The array that you fill holds whole numbers, and cuts the waves down to 0 and 1. Give "
                             "`np.zeros` the dtype that the caller asks for.")
def whole_numbers(length, d_model, dtype=np.float32):
    return positional_encoding(length, d_model, np.float64).astype(int)


for wrong, sentence in list(POSITIONAL_ENCODING.mistakes):
    POSITIONAL_ENCODING.mistake(sentence)(in_float64(wrong))


@POSITIONAL_ENCODING.mistake("Your numbers are right and their dtype is not: the caller asks for one, and float32 if "
                             "nothing is said. End with `.astype(dtype)`.")
def always_float64(length, d_model, dtype=np.float32):
    return positional_encoding(length, d_model, np.float64)


@POSITIONAL_ENCODING.mistake("You always return float32. The caller may ask for another dtype: use the argument.")
def always_float32(length, d_model, dtype=np.float32):
    return positional_encoding(length, d_model)


@POSITIONAL_ENCODING.mistake(SMALL)
def small_from_the_start(length, d_model, dtype=np.float32):
    position = np.arange(length, dtype=dtype)[:, None]
    exponent = (even(d_model) / d_model).astype(dtype)
    return waves(position / np.asarray(10000, dtype) ** exponent, dtype)


@POSITIONAL_ENCODING.mistake(SMALL)
def small_from_the_start_by_exp(length, d_model, dtype=np.float32):
    position = np.arange(length, dtype=dtype)[:, None]
    return waves(position * np.exp(even(d_model).astype(dtype) * (-math.log(10000.0) / d_model)), dtype)


@POSITIONAL_ENCODING.mistake(SMALL)
def angles_made_small(length, d_model, dtype=np.float32):
    return waves(angles(length, even(d_model) / d_model).astype(dtype), dtype)


@POSITIONAL_ENCODING.mistake(ODD)
def too_few_places_for_cosines(length, d_model, dtype=np.float32):
    angle, pe = angles(length, np.arange(0, d_model, 2) / d_model), np.zeros((length, d_model), dtype)
    pe[:, 0::2] = np.sin(angle)
    pe[:, 1::2] = np.cos(angle)
    return pe


@POSITIONAL_ENCODING.mistake(ODD)
def too_few_sines(length, d_model, dtype=np.float32):
    angle, pe = angles(length, 2 * np.arange(d_model // 2) / d_model), np.zeros((length, d_model), dtype)
    pe[:, 0::2] = np.sin(angle)
    pe[:, 1::2] = np.cos(angle)
    return pe


@POSITIONAL_ENCODING.mistake(ODD)
def one_column_too_far(length, d_model, dtype=np.float32):
    pe = np.zeros((length, d_model), dtype)
    for i in range(0, d_model, 2):
        pe[:, i] = np.sin(np.arange(length) / 10000 ** (i / d_model))
        pe[:, i + 1] = np.cos(np.arange(length) / 10000 ** (i / d_model))
    return pe


@POSITIONAL_ENCODING.mistake(ODD)
def last_wave_missing(length, d_model, dtype=np.float32):
    angle = angles(length, 2 * np.arange(d_model // 2) / d_model)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, -1).astype(dtype)


@POSITIONAL_ENCODING.mistake(ODD)
def last_wave_left_zero(length, d_model, dtype=np.float32):
    pe = positional_encoding(length, d_model, dtype)
    pe[:, d_model // 2 * 2:] = 0
    return pe


@POSITIONAL_ENCODING.mistake(ODD)
def one_wave_too_many(length, d_model, dtype=np.float32):
    angle = angles(length, np.arange(0, d_model, 2) / d_model)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, -1).astype(dtype)


@POSITIONAL_ENCODING.mistake("You divide by `d_model // 2`, which for an odd `d_model` is not its half. Divide 2i by "
                             "`d_model` itself.")
def half_rounded_down(length, d_model, dtype=np.float32):
    return waves(angles(length, np.arange(d_model) // 2 / max(d_model // 2, 1)), dtype)


@POSITIONAL_ENCODING.mistake("Where `d_model` is odd, you divide by the even number above it (did you make one column "
                             "more, and cut it off?). Divide 2i by `d_model` itself.")
def rounded_up_to_even(length, d_model, dtype=np.float32):
    return waves(angles(length, even(d_model) / (d_model + d_model % 2)), dtype)


@POSITIONAL_ENCODING.alternative
def by_slices(length, d_model, dtype=np.float32):
    speed = np.exp(np.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
    angle, pe = np.arange(length)[:, None] * speed, np.zeros((length, d_model), dtype)
    pe[:, 0::2] = np.sin(angle)
    pe[:, 1::2] = np.cos(angle)[:, :d_model // 2]
    return pe


@POSITIONAL_ENCODING.alternative
def by_two_loops(length, d_model, dtype=np.float32):
    pe = np.empty((length, d_model))
    for p in range(length):
        for column in range(d_model):
            angle = p / 10000 ** ((column - column % 2) / d_model)
            pe[p, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return pe.astype(dtype)


@POSITIONAL_ENCODING.alternative
def by_shifted_sines(length, d_model, dtype=np.float32):
    column = np.arange(d_model)
    angle = np.outer(np.arange(length), np.power(10000.0, -(column // 2) * 2 / d_model))
    return np.sin(angle + np.pi / 2 * (column % 2)).astype(dtype)


@POSITIONAL_ENCODING.alternative
def by_stacking_pairs(length, d_model, dtype=np.float32):
    angle = np.arange(length)[:, None] / 10000 ** (np.arange(0, d_model, 2) / d_model)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, -1)[:, :d_model].astype(dtype)


# ---- shift_matrix -------------------------------------------------------------------------------------------------

def shift_matrix_inputs():
    return [
        Case("1 step, 2 waves", (1, 2), axes="D D"),
        Case("3 steps, 6 waves", (3, 6), axes="D D"),
        Case("2 steps back", (-2, 4), axes="D D"),
        Case("no step, which changes nothing", (0, 4), axes="D D"),
        Case("float64", (5, 8), {"dtype": np.float64}, axes="D D"),
        Case("many steps back in float64", (-700, 10), {"dtype": np.float64}, axes="D D"),
        Case("5000 steps", (5000, 16), axes="D D"),
    ]


SHIFT_MATRIX = Exercise(shift_matrix, shift_matrix_inputs)


def speeds(d_model):
    """Of each pair of waves: by how much its angle grows from one position to the next."""
    return 10000 ** (-np.arange(0, d_model, 2) / d_model)


def blocks(angle, dtype, block=lambda cos, sin: [[cos, -sin], [sin, cos]]):
    """A matrix with a 2 x 2 block for each angle along its diagonal, and zeros elsewhere."""
    matrix = np.zeros((2 * len(angle), 2 * len(angle)), dtype)
    for i, a in enumerate(angle):
        matrix[2 * i:2 * i + 2, 2 * i:2 * i + 2] = block(np.cos(a), np.sin(a))
    return matrix


@SHIFT_MATRIX.mistake(BACKWARDS)
def backwards(k, d_model, dtype=np.float32):
    return shift_matrix(-k, d_model, dtype)


@SHIFT_MATRIX.mistake("The minus sign is missing. cos(a + b) = cos a cos b - sin a sin b: the sine's share in the new "
                      "cosine is negative.")
def no_minus(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[cos, sin], [sin, cos]])


@SHIFT_MATRIX.mistake("One minus sign too many. sin(a + b) = sin a cos b + cos a sin b: nothing in the new sine is "
                      "negative.")
def two_minuses(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[cos, -sin], [-sin, cos]])


@SHIFT_MATRIX.mistake("The minus sign stands at a cosine. It belongs to a sine: sin(a + b) = sin a cos b + cos a sin "
                      "b and cos(a + b) = cos a cos b - sin a sin b.")
def minus_at_a_cosine(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[cos, sin], [sin, -cos]])


@SHIFT_MATRIX.mistake("Sines and cosines are exchanged: no step at all, k = 0, must change nothing, so the cosines "
                      "(cos 0 = 1) belong on the diagonal.")
def sines_on_the_diagonal(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[sin, cos], [-cos, sin]])


@SHIFT_MATRIX.mistake("Sines and cosines are exchanged: no step at all, k = 0, must change nothing, so the cosines "
                      "(cos 0 = 1) belong on the diagonal.")
def sines_on_the_diagonal_again(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[sin, -cos], [cos, sin]])


@SHIFT_MATRIX.mistake("Sines and cosines are exchanged: no step at all, k = 0, must change nothing, so the cosines "
                      "(cos 0 = 1) belong on the diagonal.")
def sines_on_the_diagonal_mirrored(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[sin, cos], [cos, -sin]])


@SHIFT_MATRIX.mistake("All blocks turn by the same angle. Each pair has its own speed: k / 10000 ** (i / d_model) for "
                      "the pair in columns i and i + 1.")
def one_angle(k, d_model, dtype=np.float32):
    return blocks(k * np.ones(d_model // 2), dtype)


@SHIFT_MATRIX.mistake(TWICE)
def shift_exponent_twice(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model) ** 2, dtype)


@SHIFT_MATRIX.mistake(HALF)
def shift_exponent_half(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model) ** 0.5, dtype)


@SHIFT_MATRIX.mistake("You multiply by 10000 to that power. Divide: every pair turns slower than the one before.")
def shift_faster_and_faster(k, d_model, dtype=np.float32):
    return blocks(k / speeds(d_model), dtype)


@SHIFT_MATRIX.mistake("`//` rounded the exponent down to 0, or the angle to a whole number. Divide with `/`.")
def shift_rounded_down(k, d_model, dtype=np.float32):
    return blocks(k // (1 / speeds(d_model)), dtype)


@SHIFT_MATRIX.mistake("Your matrix moves one step, whatever k is. The angle has to grow with k.")
def always_one_step(k, d_model, dtype=np.float32):
    return shift_matrix(1, d_model, dtype)


@SHIFT_MATRIX.mistake("You multiply the matrix of one step by k. k steps are k matrix products, and that makes k "
                      "times the angle: put k into the angle.")
def k_times_one_step(k, d_model, dtype=np.float32):
    return k * shift_matrix(1, d_model, dtype)


@SHIFT_MATRIX.mistake("You raise each number of the matrix to the power k. `**` works number by number; k steps are k "
                      "matrix *products*, and that makes k times the angle.")
def numbers_to_the_power(k, d_model, dtype=np.float32):
    return shift_matrix(1, d_model, dtype) ** k


@SHIFT_MATRIX.mistake("The sign of k is lost: for k = -2 your matrix moves 2 steps on. Take k as it is.")
def sign_lost(k, d_model, dtype=np.float32):
    return shift_matrix(abs(k), d_model, dtype)


@SHIFT_MATRIX.mistake("Your loop takes one step after the other, and takes none when k is negative. Put k into the "
                      "angle, with its sign.")
def no_steps_back(k, d_model, dtype=np.float32):
    return shift_matrix(max(k, 0), d_model, dtype)


@SHIFT_MATRIX.mistake("This moves the numbers of an encoding k columns on. The position moves by turning each pair of "
                      "waves by k times its speed.")
def ones_beside_the_diagonal(k, d_model, dtype=np.float32):
    return np.eye(d_model, k=k, dtype=dtype)


@SHIFT_MATRIX.mistake("This moves the numbers of an encoding k columns on. The position moves by turning each pair of "
                      "waves by k times its speed.")
def ones_rolled(k, d_model, dtype=np.float32):
    return np.roll(np.eye(d_model, dtype=dtype), k, axis=1)


@SHIFT_MATRIX.mistake("Only the diagonal is filled. The new sine is made of the old sine *and* the old cosine: each "
                      "pair needs a block of 2 x 2.")
def diagonal_only(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model), dtype, lambda cos, sin: [[cos, 0], [0, cos]])


@SHIFT_MATRIX.mistake("Sine i and its cosine stand side by side, in columns i and i + 1. Your blocks are laid out for "
                      "all sines in the left half and all cosines in the right.")
def for_halves(k, d_model, dtype=np.float32):
    cos, sin = np.diag(np.cos(k * speeds(d_model))), np.diag(np.sin(k * speeds(d_model)))
    return np.block([[cos, -sin], [sin, cos]]).astype(dtype)


@SHIFT_MATRIX.mistake("A pair takes two columns: its block is `[i:i + 2, i:i + 2]`, and the loop goes in steps of two, "
                      "`range(0, d_model, 2)`.")
def overlapping_blocks(k, d_model, dtype=np.float32):
    matrix = np.zeros((d_model, d_model), dtype)
    for i in range(d_model):
        cos, sin = np.cos(k / 10000 ** (i / d_model)), np.sin(k / 10000 ** (i / d_model))
        matrix[i:i + 2, i:i + 2] = [[cos, -sin], [sin, cos]]
    return matrix


def overlapping(k, d_model, dtype, exponent):
    matrix = np.zeros((d_model, d_model), dtype)
    for i in range(d_model - 1):
        cos, sin = np.cos(k / 10000 ** exponent(i)), np.sin(k / 10000 ** exponent(i))
        matrix[i:i + 2, i:i + 2] = [[cos, -sin], [sin, cos]]
    return matrix


@SHIFT_MATRIX.mistake("Your loop makes a block at every column, and each overwrites a part of the one before. A pair "
                      "takes two columns: `range(0, d_model, 2)`.")
def overlapping_blocks_that_fit(k, d_model, dtype=np.float32):
    return overlapping(k, d_model, dtype, lambda i: i / d_model)


@SHIFT_MATRIX.mistake("Your loop makes a block at every column, and each overwrites a part of the one before. A pair "
                      "takes two columns: `range(0, d_model, 2)`.")
def overlapping_blocks_of_pairs(k, d_model, dtype=np.float32):
    return overlapping(k, d_model, dtype, lambda i: i // 2 * 2 / d_model)


@SHIFT_MATRIX.mistake("The blocks were added onto the ones of `np.eye`. Start with zeros, or put each block in with "
                      "`=` alone.")
def onto_the_identity(k, d_model, dtype=np.float32):
    return np.eye(d_model, dtype=dtype) + shift_matrix(k, d_model, dtype)


@SHIFT_MATRIX.mistake("Pair i starts in column 2i. You put its block at column i, where it overwrites a part of the "
                      "one before, and the last columns stay empty.")
def blocks_too_close(k, d_model, dtype=np.float32):
    matrix = np.zeros((d_model, d_model), dtype)
    for i, angle in enumerate(k * speeds(d_model)):
        matrix[i:i + 2, i:i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


@SHIFT_MATRIX.mistake("Only the first block is filled. Every pair of columns needs one.")
def first_block_only(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model)[:1], dtype) if d_model == 2 else \
        np.pad(blocks(k * speeds(d_model)[:1], dtype), (0, d_model - 2))


@SHIFT_MATRIX.mistake("This is a stack of 2 x 2 blocks. Set them along the diagonal of one matrix, (D, D).")
def a_stack_of_blocks(k, d_model, dtype=np.float32):
    return np.array([blocks([angle], dtype) for angle in k * speeds(d_model)])


@SHIFT_MATRIX.mistake("This is the encoding of position k, a row of D numbers (or a matrix made of it). What is asked "
                      "for moves *any* position k steps on.")
def encoding_of_k(k, d_model, dtype=np.float32):
    angle = k * speeds(d_model)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(-1).astype(dtype)


@SHIFT_MATRIX.mistake("This is the encoding of position k, a row of D numbers (or a matrix made of it). What is asked "
                      "for moves *any* position k steps on.")
def encoding_of_k_on_the_diagonal(k, d_model, dtype=np.float32):
    return np.diag(encoding_of_k(k, d_model, dtype))


@SHIFT_MATRIX.mistake(DEGREES)
def shift_in_degrees(k, d_model, dtype=np.float32):
    return blocks(np.deg2rad(k * speeds(d_model)), dtype)


@SHIFT_MATRIX.mistake("The matrix holds whole numbers, and cuts the fractions off. Give `np.zeros` the dtype that the "
                      "caller asks for.")
def shift_whole_numbers(k, d_model, dtype=np.float32):
    return shift_matrix(k, d_model, np.float64).astype(int)


@SHIFT_MATRIX.mistake("`np.zeros(d_model, d_model)` takes the second number for the dtype. The shape is one argument, "
                      "a tuple: `np.zeros((d_model, d_model), dtype)`.")
def shape_without_brackets(k, d_model, dtype=np.float32):
    return np.zeros(d_model, d_model)


for wrong, sentence in list(SHIFT_MATRIX.mistakes):
    SHIFT_MATRIX.mistake(sentence)(in_float64(wrong))


@SHIFT_MATRIX.mistake("Your numbers are right and their dtype is not: the caller asks for one, and float32 if nothing "
                      "is said. `np.zeros` takes it as its second argument.")
def shift_always_float64(k, d_model, dtype=np.float32):
    return shift_matrix(k, d_model, np.float64)


@SHIFT_MATRIX.mistake("You always return float32. The caller may ask for another dtype: use the argument.")
def shift_always_float32(k, d_model, dtype=np.float32):
    return shift_matrix(k, d_model)


@SHIFT_MATRIX.mistake(SMALL)
def shift_small_from_the_start(k, d_model, dtype=np.float32):
    exponent = np.arange(0, d_model, 2, dtype=dtype) / np.asarray(d_model, dtype)
    return blocks(np.asarray(k, dtype) / np.asarray(10000, dtype) ** exponent, dtype)


@SHIFT_MATRIX.mistake(SMALL)
def shift_speeds_made_small(k, d_model, dtype=np.float32):
    return blocks(k * speeds(d_model).astype(dtype), dtype)


@SHIFT_MATRIX.mistake(SMALL)
def shift_angles_made_small(k, d_model, dtype=np.float32):
    return blocks((k * speeds(d_model)).astype(dtype), dtype)


@SHIFT_MATRIX.mistake(SMALL)
def shift_powers_made_small(k, d_model, dtype=np.float32):
    return blocks(np.asarray(k, dtype) / (1 / speeds(d_model)).astype(dtype), dtype)


@SHIFT_MATRIX.mistake(SMALL)
def shift_exponents_made_small(k, d_model, dtype=np.float32):
    return blocks(k / 10000 ** (np.arange(0, d_model, 2) / d_model).astype(dtype), dtype)


@SHIFT_MATRIX.mistake(SMALL)
def shift_small_by_exp(k, d_model, dtype=np.float32):
    return blocks(k * np.exp(np.arange(0, d_model, 2).astype(dtype) * (-math.log(10000.0) / d_model)), dtype)


@SHIFT_MATRIX.mistake(SMALL)
def shift_exp_made_small(k, d_model, dtype=np.float32):
    return blocks(k * np.exp((np.arange(0, d_model, 2) * (-math.log(10000.0) / d_model)).astype(dtype)), dtype)


for small in (shift_small_from_the_start, shift_speeds_made_small, shift_angles_made_small, shift_powers_made_small,
              shift_exponents_made_small, shift_small_by_exp, shift_exp_made_small):
    @SHIFT_MATRIX.mistake(SMALL)
    def shift_in_float32_always(k, d_model, dtype=np.float32, small=small):
        return small(k, d_model).astype(dtype)


@SHIFT_MATRIX.alternative
def by_strides(k, d_model, dtype=np.float32):
    matrix, i = np.zeros((d_model, d_model)), np.arange(0, d_model, 2)
    angle = k / 10000 ** (i / d_model)
    matrix[i, i] = matrix[i + 1, i + 1] = np.cos(angle)
    matrix[i, i + 1], matrix[i + 1, i] = -np.sin(angle), np.sin(angle)
    return matrix.astype(dtype)


@SHIFT_MATRIX.alternative
def step_by_step(k, d_model, dtype=np.float32):
    one = np.kron(np.eye(d_model // 2), np.zeros((2, 2)))
    for i in range(0, d_model, 2):
        cos, sin = math.cos(10000 ** (-i / d_model)), math.sin(10000 ** (-i / d_model))
        one[i, i], one[i, i + 1], one[i + 1, i], one[i + 1, i + 1] = cos, -sin, sin, cos
    return np.linalg.matrix_power(one if k >= 0 else one.T, abs(k)).astype(dtype)


@SHIFT_MATRIX.alternative
def from_the_encoding(k, d_model, dtype=np.float32):
    pe = positional_encoding(abs(k) + 1, d_model, np.float64)[-1]
    sin, cos = np.sign(k) * np.repeat(pe[0::2], 2), np.repeat(pe[1::2], 2)
    column = np.arange(d_model)
    return (np.diag(cos) + np.diag(sin * (-1) ** (column + 1))[:, column ^ 1]).astype(dtype)


# ---- bigram_next --------------------------------------------------------------------------------------------------

def bigram_next_inputs():
    return [
        Case("two words, three to choose from",
             (np.array([0, 2]), np.array([[2.0, 1.0, 0.1], [0.0, 3.0, 0.0], [1.0, 1.0, -1.0]])), axes="T n_vocab"),
        Case("ids of shape (T=3,), one of them twice", (np.array([4, 1, 4]), normal(5, 5, seed=10)),
             axes="T n_vocab"),
        Case("ids of shape (B=2, T=3)", (np.array([[1, 3, 3], [0, 1, 2]]), normal(4, 4, seed=11)),
             axes="B T n_vocab"),
        Case("as many ids as words", (np.array([2, 0, 3, 0]), normal(4, 4, seed=12)), axes="T n_vocab"),
        Case("one word", (np.array([3]), normal(6, 6, seed=13)), axes="T n_vocab"),
        Case("large scores", (np.array([[2, 0], [1, 1]]), 1000 * normal(3, 3, seed=14)), axes="B T n_vocab"),
        Case("a table of float32", (np.array([[0, 4, 2], [2, 2, 1]]), normal(5, 5, seed=15).astype(np.float32)),
             axes="B T n_vocab"),
    ]


BIGRAM_NEXT = Exercise(bigram_next, bigram_next_inputs)


@BIGRAM_NEXT.mistake("The columns add up to 1; the rows should. Every word of the text makes its own prediction, "
                     "which shares 100% among all words: softmax along the last axis.")
def along_the_text(ids, table):
    return softmax(embed(ids, table), axis=-2)


@BIGRAM_NEXT.mistake("The columns add up to 1; the rows should. Every word of the text makes its own prediction, "
                     "which shares 100% among all words: softmax along the last axis.")
def along_the_first_axis(ids, table):
    return softmax(embed(ids, table), axis=0)


@BIGRAM_NEXT.mistake("Axis 1 is the words to choose from as long as ids have the shape (T,). For (B, T) it is T. "
                     "Count from the end: -1.")
def along_axis_1(ids, table):
    return softmax(embed(ids, table), axis=1)


@BIGRAM_NEXT.mistake("The table's columns were made to add up to 1. A row holds the scores of what follows one word, "
                     "so the rows must: softmax along the last axis.")
def columns_of_the_table(ids, table):
    return embed(ids, softmax(table, axis=0))


@BIGRAM_NEXT.mistake("These are scores. Shares are asked for: softmax.")
def scores_only(ids, table):
    return embed(ids, table)


@BIGRAM_NEXT.mistake("These are the logarithms of the shares. The shares themselves are asked for: `softmax`.")
def logarithms(ids, table):
    return log_softmax(embed(ids, table))


@BIGRAM_NEXT.mistake("You picked columns: column i says after which words word i comes. What *follows* word i stands "
                     "in row i.")
def columns_picked(ids, table):
    return softmax(embed(ids, table.T))


@BIGRAM_NEXT.mistake("`table[:, ids]` picks columns, and column i says after which words word i comes. What *follows* "
                     "word i stands in row i: `table[ids]`.")
def columns_picked_by_index(ids, table):
    return softmax(table[:, ids])


@BIGRAM_NEXT.mistake("`table[:, ids]` picks columns, and column i says after which words word i comes. What *follows* "
                     "word i stands in row i: `table[ids]`.")
def columns_picked_by_index_and_shared_out(ids, table):
    return softmax(table[:, ids], axis=0)


@BIGRAM_NEXT.mistake("`table[:, ids]` picks columns, and column i says after which words word i comes. What *follows* "
                     "word i stands in row i: `table[ids]`.")
def columns_picked_by_index_and_turned(ids, table):
    return softmax(table[:, ids]).T


@BIGRAM_NEXT.mistake("You return the prediction after the last word only. Every position makes one: shape (..., T, "
                     "n_vocab).")
def last_position_only(ids, table):
    return softmax(embed(ids, table))[..., -1, :]


@BIGRAM_NEXT.mistake("You return the prediction after the last word only. Every position makes one: shape (..., T, "
                     "n_vocab).")
def last_id_only(ids, table):
    return softmax(table[ids[-1]])


@BIGRAM_NEXT.mistake("This is the likeliest next word. The shares of all words are asked for, n_vocab of them.")
def likeliest_word(ids, table):
    return np.argmax(embed(ids, table), axis=-1)


@BIGRAM_NEXT.mistake("This is the largest share. The shares of all words are asked for, n_vocab of them.")
def largest_share(ids, table):
    return softmax(embed(ids, table)).max(axis=-1)


@BIGRAM_NEXT.mistake("The likeliest word got everything. Softmax gives the others their shares, too.")
def all_for_the_likeliest(ids, table):
    return np.eye(len(table), dtype=table.dtype)[np.argmax(embed(ids, table), axis=-1)]


@BIGRAM_NEXT.mistake("You averaged over the positions. A bigram looks at one word alone, and each position keeps its "
                     "own prediction.")
def averaged_over_positions(ids, table):
    return softmax(embed(ids, table)).mean(axis=-2)


@BIGRAM_NEXT.mistake("Each position heard all words before it. A bigram looks at its own word alone.")
def all_words_before(ids, table):
    return softmax(np.cumsum(embed(ids, table), axis=-2))


@BIGRAM_NEXT.mistake("All numbers together add up to 1. Each row should by itself: leave the axis at -1.")
def over_everything(ids, table):
    return softmax(embed(ids, table), axis=None)


@BIGRAM_NEXT.mistake("All numbers of the table together add up to 1. Each row should by itself.")
def over_the_whole_table(ids, table):
    return embed(ids, softmax(table, axis=None))


@BIGRAM_NEXT.mistake("You divide the scores by their sum, as if they were counts. They may be negative: softmax makes "
                     "shares of them.")
def scores_as_counts(ids, table):
    picked = embed(ids, table)
    return picked / picked.sum(axis=-1, keepdims=True)


@BIGRAM_NEXT.mistake("Your own exponentials overflow for large scores. Use `softmax`, which subtracts the largest "
                     "score first.")
def exponentials_that_overflow(ids, table):
    positive = np.exp(embed(ids, table))
    return positive / positive.sum(axis=-1, keepdims=True)


@BIGRAM_NEXT.mistake("The ids themselves went into softmax. They are numbers of rows: look the rows up first, "
                     "`embed(ids, table)`.")
def softmax_of_the_ids(ids, table):
    return softmax(ids)


@BIGRAM_NEXT.mistake("You return the shares for every word of the vocabulary. Only the rows of the words in `ids` are "
                     "asked for.")
def whole_table(ids, table):
    return softmax(table)


@BIGRAM_NEXT.mistake("Softmax was taken twice. Shares are no scores: a second time evens them out.")
def softmax_twice(ids, table):
    return softmax(embed(ids, softmax(table)))


@BIGRAM_NEXT.mistake("The table comes second: `embed(ids, table)`.")
def arguments_exchanged(ids, table):
    return softmax(embed(table, ids))


@BIGRAM_NEXT.mistake("The last word of each text is left out. It has a prediction too: what comes next is asked there "
                     "most of all.")
def last_word_left_out(ids, table):
    return softmax(embed(ids[..., :-1], table))


@BIGRAM_NEXT.mistake("A next word was drawn. The shares that one would draw from are asked for, n_vocab for each "
                     "position.")
def a_word_drawn(ids, table):
    shares = softmax(embed(ids, table)).reshape(-1, len(table)).astype(float)
    drawn = [np.random.default_rng(0).choice(len(table), p=row / row.sum()) for row in shares]
    return np.array(drawn).reshape(ids.shape)


@BIGRAM_NEXT.alternative
def softmax_first(ids, table):
    return softmax(table)[ids]


@BIGRAM_NEXT.alternative
def by_logarithms(ids, table):
    return np.exp(log_softmax(np.take(table, ids, axis=0), axis=-1))


@BIGRAM_NEXT.alternative
def word_by_word(ids, table):
    shares = np.empty((*ids.shape, len(table)), table.dtype)
    for place in np.ndindex(ids.shape):
        e = np.exp(table[ids[place]] - table[ids[place]].max())
        shares[place] = e / e.sum()
    return shares
