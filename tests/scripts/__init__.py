"""Training scripts written as public repositories write theirs, and the right account of each.

`public` has the scripts, `truths` the account of each, `runs` runs one: as it is, under PyTorch's
FLOP formulas, or under capture. `python -m tests.scripts [NAME...]` prints where capture differs.
"""
