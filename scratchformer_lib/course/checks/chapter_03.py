"""The exercises of chapter 03."""
import numpy as np

from ...attention import causal_mask, padding_mask, scaled_dot_product_attention, self_attention
from ..answers.chapter_03 import previous_word_head, soft_lookup
from ..exercise import Case, Exercise


SOFT_LOOKUP = Exercise(soft_lookup, lambda: [])

SCALED_DOT_PRODUCT_ATTENTION = Exercise(scaled_dot_product_attention, lambda: [])

SELF_ATTENTION = Exercise(self_attention, lambda: [])

CAUSAL_MASK = Exercise(causal_mask, lambda: [])

PADDING_MASK = Exercise(padding_mask, lambda: [])

PREVIOUS_WORD_HEAD = Exercise(previous_word_head, lambda: [])
