"""On-chip reuse: which tensors stay in an accelerator's scratchpad from op to op.

A step is lowered twice where a scratchpad keeps tensors: once to see which work touches what, then
with a plan. A tensor stays from its first touch to its last, in a version that nobody overwrites.
Kept, it spares each further load; and its store, where none but the unit reads it and the step does
not leave it to the next. Those that spare most for their size stay, as far as all fit together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from simulator.trace.accesses import Access


class OnChip(NamedTuple):
    """Tokens that a piece of work need not load, and those that it need not store."""

    loads: frozenset[int] = frozenset()
    stores: frozenset[int] = frozenset()


NOWHERE = OnChip()


class UnitTouch(NamedTuple):
    """What one piece of work reads and writes. A size of 0 says that it must lie in memory."""

    unit: str
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]


Residency = Mapping[int, OnChip]
"""What stays, by the number of the touch among those of units that keep."""


class Keeping:
    """Records the touches of a step, and says what is on chip at each of them."""

    def __init__(self, capacities: Mapping[str, int], plan: Residency | None = None) -> None:
        """Keep as `plan` says in units of these capacities, in bytes."""
        self.capacities = capacities
        self.touches: list[UnitTouch] = []
        self._plan, self._number = plan or {}, 0
        self.unstored = frozenset[int]().union(*(each.stores for each in self._plan.values()))
        """Tokens that never reach memory."""

    def touch(self, unit: str, reads: Iterable[Access], writes: Iterable[Access]) -> OnChip:
        """Record a touch, and return what of it is on chip."""
        if not self.capacities:
            return NOWHERE
        self.touches.append(UnitTouch(unit, tuple(reads), tuple(writes)))
        if unit not in self.capacities:
            return NOWHERE
        self._number += 1
        return self._plan.get(self._number - 1, NOWHERE)


@dataclass(slots=True)
class _TensorVersion:
    """A tensor between two writes: who touches it when, and whether memory needs it."""

    token: int
    writer: int | None = None  # the touch that wrote it; None: it lay in memory before
    readers: list[int] = field(default_factory=list)
    units: set[str] = field(default_factory=set)
    sizes: set[int] = field(default_factory=set)
    stored: bool = False  # since another unit or a later step reads it


class _Stay(NamedTuple):
    """A version that could stay: from touch to touch, and the bytes that it spares."""

    version: _TensorVersion
    size: int
    first: int
    last: int
    spared: int


def plan_of(
    touches: Sequence[UnitTouch], capacities: Mapping[str, int], lasting: frozenset[int]
) -> Residency:
    """Return what stays on chip in a step of these touches; `lasting` tokens outlive it."""
    loads: dict[int, set[int]] = {}
    stores: dict[int, set[int]] = {}
    versions = _versions(touches, capacities, lasting)
    for unit, capacity in capacities.items():
        used = [0] * len(touches)
        stays = [each for version in versions for each in _stay_of(version, unit)]
        for each in sorted(stays, key=lambda c: (-c.spared / c.size, c.first)):
            span = range(each.first, each.last + 1)
            if max(used[each.first : each.last + 1]) + each.size > capacity:
                continue
            for index in span:
                used[index] += each.size
            version = each.version
            for reader in version.readers:
                if reader != each.first or version.writer == each.first:
                    loads.setdefault(reader, set()).add(version.token)
            if version.writer is not None and not version.stored:
                stores.setdefault(version.writer, set()).add(version.token)
    own = (index for index, touch in enumerate(touches) if touch.unit in capacities)
    return {
        number: OnChip(frozenset(loads.get(index, ())), frozenset(stores.get(index, ())))
        for number, index in enumerate(own)
        if index in loads or index in stores
    }


def _versions(
    touches: Sequence[UnitTouch], capacities: Mapping[str, int], lasting: frozenset[int]
) -> list[_TensorVersion]:
    versions: list[_TensorVersion] = []
    current: dict[int, _TensorVersion] = {}

    def begin(token: int, writer: int | None) -> _TensorVersion:
        version = current[token] = _TensorVersion(token, writer)
        versions.append(version)
        return version

    for index, (unit, reads, writes) in enumerate(touches):
        keeps = unit in capacities
        for token, size in dict.fromkeys(reads):
            version = current.get(token) or begin(token, None)
            if keeps:
                version.readers.append(index)
                version.sizes.add(size)
                version.units.add(unit)
            else:
                version.stored = True
        for token, size in dict.fromkeys(writes):
            version = begin(token, index if keeps else None)
            if keeps:
                version.sizes.add(size)
                version.units.add(unit)
    for token in lasting & current.keys():
        current[token].stored = True
    return versions


def _stay_of(version: _TensorVersion, unit: str) -> Iterable[_Stay]:
    """Yield how a version can stay on `unit`: touched by no other unit that keeps, always whole."""
    if version.units != {unit} or len(version.sizes) != 1 or 0 in version.sizes:
        return
    (size,) = version.sizes
    made = version.writer is not None
    touches = sorted({*version.readers, *([version.writer] if version.writer is not None else [])})
    further = len(set(version.readers)) - (not made)
    spared = size * further + (size if made and not version.stored and version.readers else 0)
    if spared > 0:
        yield _Stay(version, size, touches[0], touches[-1], spared)
