"""How sure an answer is: the same run at many values of its uncertain constants."""
