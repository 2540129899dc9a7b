"""Published systems of several devices as scenarios: what the papers fix must come out.

`python -m tests.studies` prints every figure. Networks are written from their repositories' layer
lists; what a paper leaves open is swept, not chosen.
"""
