"""Uncertainty of a result: the same run at many values of its uncertain constants."""
