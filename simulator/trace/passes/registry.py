"""The registry of passes, by key: built-in ones, and those of installed packages.

A package adds a pass by an entry point that names its class under the pass's key:

    [project.entry-points."trainsoc.passes"]
    recompute = "my_package:Recompute"
"""

import difflib
from collections.abc import Collection, Sequence
from typing import Any

from pydantic import TypeAdapter

from simulator import extensions
from simulator.errors import InputError, join_names
from simulator.files.forms import check
from simulator.trace.passes.freeze import Freeze
from simulator.trace.passes.integers import Integers
from simulator.trace.passes.narrow import Narrow
from simulator.trace.passes.prune import PruneWeights
from simulator.trace.passes.prune_gradients import PruneGradients
from simulator.trace.passes.rewrite import Pass
from simulator.trace.passes.thin import Thin
from simulator.trace.passes.treatment import Treatment

GROUP = "trainsoc.passes"
_PASSES = Freeze, Thin, Narrow, Integers, PruneWeights, PruneGradients
BUILT_IN: dict[str, type[Pass[Any]]] = {each.key: each for each in _PASSES}
"""In the order in which they apply: layers that are frozen have no gradients to thin, narrow or
prune, and pruning shrinks storages that have their width.
"""


def lookup(key: str) -> type[Pass[Any]] | None:
    """Return the pass with this key, None if there is none.

    Raises InputError where a package registers something else under the key.
    """
    built_in = BUILT_IN.get(key)
    if built_in is not None:
        return built_in
    loaded = extensions.load(GROUP, key)
    if loaded is None:
        return None
    if not (isinstance(loaded, type) and issubclass(loaded, Pass) and loaded.key == key):
        raise InputError(f"{GROUP}: {key} is registered as an object that is no pass with that key")
    return loaded


def chain_of(layers: Sequence[tuple[str, Treatment]]) -> tuple[Pass[Any], ...]:
    """Return the passes that a method's layers ask for, in the order in which they apply.

    Built-in passes come first, then those of other packages by key. Raises InputError for a key
    that no installed pass has.
    """
    keys = {key for _, treatment in layers for key, _ in treatment.settings}
    kinds = [*BUILT_IN.values(), *map(_installed, sorted(keys - BUILT_IN.keys()))]
    passes = (kind.of_layers(layers) for kind in kinds)
    return tuple(each for each in passes if each is not None)


def hint(key: str, keys: Collection[str]) -> str:
    """Return the fix for a key that is not in `keys` and names no installed pass."""
    every = list(dict.fromkeys([*keys, *BUILT_IN, *extensions.names(GROUP)]))
    close = difflib.get_close_matches(key, every, 1)
    return f"{f'did you mean {close[0]}? ' if close else ''}known: {join_names(every)}"


def to_plain(settings: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the settings of a treatment as JSON values, by key."""
    return {
        key: TypeAdapter(_installed(key).value_type).dump_python(value, mode="json")
        for key, value in settings
    }


def from_plain(key: str, plain: Any, where: str) -> Any:
    """Return the value of a pass from its JSON value.

    Raises InputError, beginning with `where`, for a pass that is not installed or another value.
    """
    kind = lookup(key)
    if kind is None:
        raise InputError(f"{where}: pass {key!r}: {_MISSING}")
    try:
        return check(TypeAdapter(kind.value_type), plain)
    except ValueError as error:
        raise InputError(f"{where}: pass {key!r}: {error}") from None


_MISSING = "not installed; install the package that has it, as when the method was written"


def _installed(key: str) -> type[Pass[Any]]:
    kind = lookup(key)
    if kind is None:
        raise InputError(f"pass {key!r}: {_MISSING}")
    return kind
