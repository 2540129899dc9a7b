"""Training scripts written as public repositories write theirs, and the right account of each.

`public` has the scripts, `truths` what is right for each of them, `runs` runs one: as it is, under
PyTorch's FLOP counter, or under capture. `python -m tests.scripts [NAME...]` prints a table of
what capture gets otherwise.
"""
