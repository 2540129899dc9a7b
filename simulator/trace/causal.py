"""Causal attention: a query sees the keys up to its own place, the first one the first alone."""


def pairs(queries: int, keys: int) -> int:
    """Return how many pairs of a query and a key are on or below the diagonal."""
    square = min(queries, keys)
    return square * (square + 1) // 2 + (queries - square) * keys


def pairs_in_blocks(queries: int, keys: int, rows: int, columns: int) -> int:
    """Return the pairs of all blocks of `rows` queries and `columns` keys that the diagonal meets.

    Blocks wholly above it are left out, those that it crosses are computed whole.
    """
    found = 0
    for first in range(0, queries, rows):
        last = min(first + rows, queries)
        seen = -(-min(last, keys) // columns) * columns
        found += (last - first) * min(seen, keys)
    return found
