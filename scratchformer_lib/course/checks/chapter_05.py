"""The exercises of chapter 05."""
import numpy as np

from ...block import dropout, feed_forward, layer_norm, transformer_block
from ..exercise import Case, Exercise


FEED_FORWARD = Exercise(feed_forward, lambda: [])

LAYER_NORM = Exercise(layer_norm, lambda: [])

DROPOUT = Exercise(dropout, lambda: [])

TRANSFORMER_BLOCK = Exercise(transformer_block, lambda: [])
