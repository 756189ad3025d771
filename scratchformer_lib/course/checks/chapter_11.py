"""Exercises of chapter 11."""
from ...block import layer_norm_gradient
from ...embeddings import embed_gradient
from ...multi_head import linear_gradient
from ...softmax import softmax_gradient
from ...training import cross_entropy_gradient
from ..exercise import Exercise

linear_gradient_exercise = Exercise(linear_gradient, list)
softmax_gradient_exercise = Exercise(softmax_gradient, list)
cross_entropy_gradient_exercise = Exercise(cross_entropy_gradient, list)
layer_norm_gradient_exercise = Exercise(layer_norm_gradient, list)
embed_gradient_exercise = Exercise(embed_gradient, list)
