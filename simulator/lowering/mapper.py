"""The mapping of an operation for this accelerator and memory, and the work that it becomes.

The mapper tries its space in the order of a lower bound and ends when no bound can beat the best
found: the mapping is the best of the space, by time or by traffic. A machine may have a rule of
its own instead, and a mapping may be given.
"""

from collections.abc import Hashable
from typing import NamedTuple

from simulator.activity import AccessPattern, Counts, Repeat, Stage, TileRun, Unit, Work
from simulator.hardware.soc import Accelerator
from simulator.lowering import rules
from simulator.lowering.nest import Mapping, Part, block, census, nest
from simulator.lowering.pricing import Pricing, Traffic, permille_written
from simulator.lowering.tiling import (
    Shape,
    Sums,
    candidates,
    held_loads,
    loads,
    over,
    pieces,
    tile_sums,
    totals,
)  # fmt: skip
from simulator.timing.pipeline import Loop, Pipelined, Tile
from simulator.timing.schedules import schedule_of
from simulator.timing.shares import WHOLE
from simulator.timing.systolic import fill_cycles
from simulator.units import PS_PER_S, Clock, ceil_div


class _Candidate(NamedTuple):
    """A mapping with a bound that it can never beat, of what is sought, and its bytes."""

    bound: int
    least_ps: int
    read_bytes: int
    write_bytes: int
    mapping: Mapping


_MAPPED: dict[Hashable, Work] = {}
_MOST = 100_000  # mappings kept by one process; enough for a sweep of any size over one trace


def mapped(
    array: Accelerator, pricing: Pricing, shape: Shape, useful_macs: int, given: str = ""
) -> Work:
    """Return `map_shape`, remembered for every equal array, memory path and shape."""
    key = (array, pricing, shape.key, useful_macs, given)
    work = _MAPPED.get(key)
    if work is None:
        if len(_MAPPED) >= _MOST:
            _MAPPED.clear()
        work = _MAPPED[key] = map_shape(array, pricing, shape, useful_macs, given)
    return work


def map_shape(
    array: Accelerator, pricing: Pricing, shape: Shape, useful_macs: int, given: str = ""
) -> Work:
    """Return the accelerator's work for `shape`.

    Under the mapping `given` as text, else under the machine's own rule, else under the best of
    the mapper's space. `useful_macs` are those that the operation asks for; the array may execute
    more. Raises Infeasible when no tile fits, InputError when `given` cannot be read.
    """
    if given:
        plan = Plan(array, pricing, shape, rules.given(given, shape))
        return plan.work(useful_macs, "given")
    rule = rules.RULES.get(array.mapping)
    considered = [Plan(array, pricing, shape, m) for m in rule(array, shape)] if rule else []
    if considered:
        found = min(considered, key=lambda plan: plan.progress.duration_ps(WHOLE))
        return found.work(useful_macs, "default")
    return _best(array, pricing, shape).work(useful_macs, "best")


def _best(array: Accelerator, pricing: Pricing, shape: Shape) -> "Plan":
    """Return the mapping of least time, or of least traffic and among those of least time."""
    known: dict[tuple[int, ...], Sums] = {}
    found = []
    for mapping in candidates(array, shape):
        tile = block(shape, mapping, len(mapping.loops))
        if tile not in known:
            known[tile] = tile_sums(array, shape, mapping)
        found.append(_candidate(array, pricing, shape, mapping, known[tile]))
    found.sort()
    best, best_bound, best_ps = None, 0, 0
    for candidate in found:
        if best is not None:
            if candidate.bound > (best_bound if array.mapping == "traffic" else best_ps):
                break
            if _memory_ps(pricing, shape, candidate) >= best_ps:
                continue
        plan = Plan(array, pricing, shape, candidate.mapping)
        taken_ps = plan.progress.duration_ps(WHOLE)
        if best is None or taken_ps < best_ps:
            best, best_bound, best_ps = plan, candidate.bound, taken_ps
    assert best is not None, "candidates are never empty"
    return best


def _candidate(
    array: Accelerator, pricing: Pricing, shape: Shape, mapping: Mapping, sums: Sums
) -> _Candidate:
    """Return the mapping with its bound: all cycles after the first load and before the last
    store, or all bytes at the peak rate, whichever takes longer; or all bytes.
    """
    cycles, read, write = totals(array, shape, mapping, sums)
    peak = pricing.peak_bytes_per_s
    fill = fill_cycles(array, shape.dataflow)
    busy_ps = Clock(array.clock).cycles_to_ps(shape.repeats * cycles + fill)
    memory_ps = shape.repeats * (read + write) * PS_PER_S // peak
    least_ps = max(busy_ps + sums.end_bytes * PS_PER_S // peak, memory_ps)
    bound = read + write if array.mapping == "traffic" else least_ps
    return _Candidate(bound, least_ps, read, write, mapping)


def _memory_ps(pricing: Pricing, shape: Shape, candidate: _Candidate) -> int:
    """Return the memory time of all transfers of a candidate."""
    mapping, output = candidate.mapping, shape.widths.output
    held = [(pattern, 1) for pattern in held_loads(shape, mapping)]
    moved = [*loads(shape, mapping)]
    moved += ((shape.c(tile, output), n) for tile, n in over(pieces(shape, mapping), shape.c_axes))
    read = candidate.read_bytes - sum(pattern.bytes for pattern, _ in held)
    written = permille_written(read, candidate.write_bytes)
    return shape.repeats * (_channel_ps(pricing, moved, written) + _channel_ps(pricing, held, 0))


def _channel_ps(pricing: Pricing, moved: list[tuple[AccessPattern, int]], written: int) -> int:
    return sum(count * pricing.cost(pattern, written).channel_ps for pattern, count in moved)


class Plan:
    """An operation under one mapping: its tiles, their prices, what they count."""

    def __init__(
        self, array: Accelerator, pricing: Pricing, shape: Shape, mapping: Mapping
    ) -> None:
        """Cut `shape` for `array` as `mapping` says, and price its transfers."""
        self._array, self._pricing, self._shape, self._mapping = array, pricing, shape, mapping
        self._parts = nest(shape, mapping)
        self._census = census(self._parts)
        self._runs = {part: self._run(part) for part in self._census}
        self._mixed = permille_written(*self._bytes())
        self.progress = self._progress()

    def work(self, useful_macs: int, why: str) -> Work:
        """Return the work, with the reason `why` it has this mapping."""
        array, shape = self._array, self._shape
        counts = self._counts(useful_macs)
        cycles = shape.repeats * self._cycles() + fill_cycles(array, shape.dataflow)
        return Work(
            unit=Unit.ACCELERATOR,
            stage=Stage.GEMM,
            progress=self.progress,
            counts=counts,
            overhead_ps=self._launch_ps(),
            compute_ps=Clock(array.clock).cycles_to_ps(cycles),
            memory_ps=self._memory_ps(),
            compute_cycles=cycles,
            mapping=self._mapping.text,
            mapped=why,
        )

    def _run(self, part: Part) -> TileRun:
        """Return what a part loads, computes and stores."""
        shape, sizes = self._shape, part.sizes
        loads = [shape.a(sizes)] if part.load_a else []
        loads += [shape.b(part.b_sizes or sizes)] if part.load_b else []
        if part.load_c:
            loads.append(shape.c(sizes, shape.widths.sum)._replace(write=False))
        bits = {"final": shape.widths.output, "partial": shape.widths.sum}
        stores = (shape.c(sizes, bits[part.store]),) if part.store else ()
        cycles = shape.cycles(self._array, sizes) if part.computes else 0
        return TileRun(tuple(loads), cycles, stores)

    def _written(self, part: Part) -> int:
        """Return the share of writes, in permille, beside which a part moves its bytes."""
        return self._mixed if part.computes else 0

    def _bytes(self) -> tuple[int, int]:
        """Return what the parts that compute read and write."""
        read = write = 0
        for part, count in self._census.items():
            if not part.computes:
                continue
            run = self._runs[part]
            read += count * sum(pattern.bytes for pattern in run.loads)
            write += count * sum(pattern.bytes for pattern in run.stores)
        return read, write

    def _cycles(self) -> int:
        return sum(n * self._runs[part].compute_cycles for part, n in self._census.items())

    def _progress(self) -> Pipelined:
        array, loops = self._array, self._mapping.loops[self._mapping.region_from :]
        serial = any(loop.axis in self._shape.c_axes for loop in loops)
        tiles = {
            part: self._pricing.tile(run, array, self._written(part))._replace(
                ends=part.ends, drains=part.drains, serial=serial
            )
            for part, run in self._runs.items()
        }
        body = _priced(self._parts, tiles)
        if self._shape.repeats > 1:
            body = (Loop(self._shape.repeats, body),)
        fill = fill_cycles(array, self._shape.dataflow)
        return Pipelined(body, fill, self._launch_ps(), Clock(array.clock), schedule_of(array))

    def _launch_ps(self) -> int:
        """Return the latency of the command, after the host has chosen the mapping."""
        array = self._array
        chosen = Clock(array.clock).cycles_to_ps(self._mapping.tried * array.mapping_step)
        return array.launch_latency + chosen

    def _memory_ps(self) -> int:
        """Return the time of all transfers in turn, at the channel or at the ports."""
        return max(self.progress.channel_ps, self.progress.port_ps)

    def _counts(self, useful_macs: int) -> Counts:
        shape, traffic = self._shape, Traffic()
        operand_words = sums = 0
        for part, count in self._census.items():
            run = self._runs[part]
            moved = self._pricing.traffic((*run.loads, *run.stores), self._written(part))
            traffic = traffic.plus(moved, count * shape.repeats)
            if not part.computes:
                continue
            words = shape.accesses(self._array, part.sizes)
            operand_words += count * shape.repeats * (words.a_reads + words.b_reads)
            sums += count * shape.repeats * words.partial_sums
        return Counts(
            macs=useful_macs,
            macs_issued=shape.macs,
            array_macs=useful_macs,
            array_macs_issued=shape.macs,
            scratchpad_read_bytes=ceil_div(operand_words * shape.widths.operand, 8),
            scratchpad_write_bytes=traffic.read_bytes,
            accumulator_read_bytes=sums * shape.widths.sum // 8,
            accumulator_write_bytes=sums * shape.widths.sum // 8,
            interconnect_bytes=traffic.read_bytes + traffic.write_bytes,
            dram_read_bytes=traffic.read_bytes,
            dram_write_bytes=traffic.write_bytes,
            dram_activates=traffic.activates,
            dram_read_bursts=traffic.read_bursts,
            dram_write_bursts=traffic.write_bursts,
        )


def _priced(
    parts: "tuple[Part | Repeat[Part], ...]", tiles: dict[Part, Tile]
) -> tuple[Tile | Loop, ...]:
    return tuple(
        Loop(node.times, _priced(node.body, tiles)) if isinstance(node, Repeat) else tiles[node]
        for node in parts
    )
