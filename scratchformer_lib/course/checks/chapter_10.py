"""Exercises of chapter 10."""
from ...training import adamw_step, clip_by_norm, noam, training_step
from ..exercise import Exercise

adamw_step_exercise = Exercise(adamw_step, list)
noam_exercise = Exercise(noam, list)
clip_by_norm_exercise = Exercise(clip_by_norm, list)
training_step_exercise = Exercise(training_step, list)
