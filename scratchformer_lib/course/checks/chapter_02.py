"""The exercises of chapter 02."""
import numpy as np

from ...embeddings import Vocabulary, embed, positional_encoding, shift_matrix
from ..answers.chapter_02 import bigram_next
from ..exercise import Case, Exercise


VOCABULARY = Exercise(Vocabulary, lambda: [])

EMBED = Exercise(embed, lambda: [])

POSITIONAL_ENCODING = Exercise(positional_encoding, lambda: [])

SHIFT_MATRIX = Exercise(shift_matrix, lambda: [])

BIGRAM_NEXT = Exercise(bigram_next, lambda: [])
