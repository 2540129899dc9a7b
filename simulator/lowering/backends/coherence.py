"""What the last-level cache means for a unit that reads and writes memory beside the cores."""

from collections.abc import Sequence

from simulator.activity import Stage
from simulator.lowering.binding import Binding, Site
from simulator.lowering.cache import Transfers
from simulator.trace.accesses import Access

_NAMES = "ab"


def past_cache(
    binding: Binding, site: Site, operands: Sequence[Access | None], result: Access
) -> tuple[frozenset[str], int | None]:
    """Return which of "a", "b" and the result "c" a shared cache serves, or the task that flushes
    a cache of the cores alone.

    `operands` are read in this order, a and b first; the result takes the place of what the cache
    knows of it.
    """
    llc, cache = binding.requests.outline.cpu.llc, binding.cache
    by_name = {name: each for name, each in zip(_NAMES, operands, strict=False) if each}
    if llc is not None and llc.shared:
        hits = cache.pass_through([*by_name.values()], [result])
        return frozenset(n for n, hit in zip((*by_name, "c"), hits, strict=True) if hit), None
    return frozenset(), flushed(binding, site, [*by_name.values()], [result])


def flushed(
    binding: Binding, site: Site, reads: Sequence[Access], writes: Sequence[Access]
) -> int | None:
    """Return the task that flushes a cache of the cores alone before a unit reads memory; a shared
    one needs none. The cache forgets what the unit writes.
    """
    llc, cache = binding.requests.outline.cpu.llc, binding.cache
    if llc is not None and llc.shared:
        cache.pass_through(reads, writes)
        return None
    cache.drop(access.token for access in writes)
    return _flush(binding, site, [access.token for access in reads])


def _flush(binding: Binding, site: Site, tokens: list[int]) -> int | None:
    """Write back what the cache alone has of the unit's operands."""
    dirty = binding.cache.clean(tokens)
    if not dirty:
        return None
    work = binding.requests.pass_over(Stage.FLUSH, 0, 8, Transfers((), (dirty,), dirty), 0)
    return binding.append(work, site, tokens, ())
