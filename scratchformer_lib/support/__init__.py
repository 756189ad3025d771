"""Ordinary engineering that no chapter teaches: NumPy and the standard library only."""
