"""Causal attention: a query attends to the keys up to its own position."""


def pairs(queries: int, keys: int) -> int:
    """Return how many (query, key) pairs lie on or below the diagonal."""
    square = min(queries, keys)
    return square * (square + 1) // 2 + (queries - square) * keys


def pairs_in_blocks(queries: int, keys: int, rows: int, columns: int) -> int:
    """Return the pairs in all blocks of `rows` queries and `columns` keys that reach the diagonal.

    Blocks above it are skipped; blocks that it crosses are computed in full.
    """
    count = 0
    for first in range(0, queries, rows):
        last = min(first + rows, queries)
        visible = -(-min(last, keys) // columns) * columns
        count += (last - first) * min(visible, keys)
    return count
