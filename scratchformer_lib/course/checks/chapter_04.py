"""The exercises of chapter 04."""
import numpy as np

from ...multi_head import merge_heads, multi_head_attention, split_heads
from ..answers.chapter_04 import count_parameters
from ..exercise import Case, Exercise


SPLIT_HEADS = Exercise(split_heads, lambda: [])

MERGE_HEADS = Exercise(merge_heads, lambda: [])

MULTI_HEAD_ATTENTION = Exercise(multi_head_attention, lambda: [])

COUNT_PARAMETERS = Exercise(count_parameters, lambda: [])
