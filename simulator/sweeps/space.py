"""A design space: settings and the values that each may take."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from simulator.errors import InputError

Space = Mapping[str, Sequence[str]]
Point = dict[str, str]


def parse_space(texts: Sequence[str]) -> Space:
    """Return the space that texts such as "accelerator.rows=8,16,32" span.

    Raises InputError for an axis without values or one that is given twice.
    """
    space: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        choices = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not choices:
            raise InputError(f"--set {text}: write it as key=value1,value2,...")
        if key.strip() in space:
            raise InputError(f"--set {key.strip()}: given twice; list all its values once")
        space[key.strip()] = choices
    return space


def points(space: Space) -> Iterator[Point]:
    """Yield every combination, the last axis varying fastest."""
    for values in product(*space.values()):
        yield dict(zip(space, values, strict=True))
