"""An operation under one mapping: its tiles with their prices, and the work that they make."""

from typing import NamedTuple

from simulator.activity import Counts, Repeat, Stage, TileRun, Unit, Work
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.nest import Mapping, Part, census, nest
from simulator.mapping.sums import Shape
from simulator.memo import Memo
from simulator.timing.pipeline import Loop, Pipelined, Tile
from simulator.timing.pricing import Pricing, Traffic, permille_written
from simulator.timing.schedules import schedule_of
from simulator.timing.systolic import fill_cycles
from simulator.units import Clock, ceil_div


class Cut(NamedTuple):
    """An operation under one mapping, whatever computes it: its parts, how often each occurs,
    what each moves, and the share of writes in permille beside which it does so.
    """

    parts: tuple[Part | Repeat[Part], ...]
    census: dict[Part, int]
    runs: dict[Part, TileRun]
    written: dict[Part, int]
    serial: bool


# A guess, enough for a sweep over memories of all sizes: mappings looked at closely, of about 4 kB.
_CUTS: Memo[Cut] = Memo("cuts of an operation", 8192)


def cut_of(shape: Shape, mapping: Mapping) -> Cut:
    """Return `shape` cut as `mapping` says; equal ones share it, whatever computes them."""
    return _CUTS.get((shape.key, mapping), lambda: _cut(shape, mapping))


def _cut(shape: Shape, mapping: Mapping) -> Cut:
    parts = nest(shape, mapping)
    times = census(parts)
    runs = {part: _run(shape, part) for part in times}
    mixed = permille_written(*_beside(times, runs))
    written = {
        part: mixed if part.computes else permille_written(*_moved(run))
        for part, run in runs.items()
    }
    serial = any(loop.axis in shape.c_axes for loop in mapping.loops[mapping.region_from :])
    return Cut(parts, times, runs, written, serial)


def _run(shape: Shape, part: Part) -> TileRun:
    """Return what a part loads and stores; how long it computes is for the array to say."""
    sizes = part.sizes
    loads = [shape.a(sizes)] if part.load_a else []
    loads += [shape.b(part.b_sizes or sizes)] if part.load_b else []
    if part.load_c:
        loads.append(shape.c(sizes, shape.widths.sum)._replace(write=False))
    bits = {"final": shape.widths.output, "partial": shape.widths.sum}
    stores = (shape.c(sizes, bits[part.store]),) if part.store else ()
    return TileRun(tuple(loads), 0, stores)


def _beside(times: dict[Part, int], runs: dict[Part, TileRun]) -> tuple[int, int]:
    """Return what the parts that compute read and write."""
    read = write = 0
    for part, count in times.items():
        if part.computes:
            loaded, stored = _moved(runs[part])
            read, write = read + count * loaded, write + count * stored
    return read, write


class Plan:
    """An operation under one mapping: its tiles, their prices, what they count."""

    def __init__(
        self, array: Accelerator, pricing: Pricing, shape: Shape, mapping: Mapping
    ) -> None:
        """Cut `shape` for `array` as `mapping` says, and price its transfers."""
        self._array, self._pricing, self._shape, self._mapping = array, pricing, shape, mapping
        self._cut = cut_of(shape, mapping)
        self._cycles = {
            part: shape.cycles(array, part.sizes) if part.computes else 0
            for part in self._cut.census
        }
        self.progress = self._progress()

    def work(self, useful_macs: int, why: str) -> Work:
        """Return the work, with the reason `why` it has this mapping."""
        array, shape = self._array, self._shape
        counts = self._counts(useful_macs)
        once = sum(n * self._cycles[part] for part, n in self._cut.census.items())
        cycles = shape.repeats * once + fill_cycles(array, shape.dataflow)
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

    def _progress(self) -> Pipelined:
        array, cut, price = self._array, self._cut, self._pricing.tile
        tiles = {
            part: price(run._replace(compute_cycles=self._cycles[part]), array, cut.written[part])
            ._replace(ends=part.ends, drains=part.drains, serial=cut.serial)
            for part, run in cut.runs.items()
        }  # fmt: skip
        body = _priced(cut.parts, tiles)
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
        shape, cut, traffic = self._shape, self._cut, Traffic()
        operand_words = filled = sums = 0
        for part, count in cut.census.items():
            run = cut.runs[part]
            moved = self._pricing.traffic((*run.loads, *run.stores), cut.written[part])
            traffic = traffic.plus(moved, count * shape.repeats)
            filled += count * shape.repeats * self._filled_bytes(part)
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
            scratchpad_write_bytes=filled,
            accumulator_read_bytes=sums * shape.widths.sum // 8,
            accumulator_write_bytes=sums * shape.widths.sum // 8,
            interconnect_bytes=traffic.read_bytes + traffic.write_bytes,
            dram_read_bytes=traffic.read_bytes,
            dram_write_bytes=traffic.write_bytes,
            dram_activates=traffic.activates,
            dram_read_bursts=traffic.read_bursts,
            dram_write_bursts=traffic.write_bursts,
        )

    def _filled_bytes(self, part: Part) -> int:
        """Return the bytes that the loads of a part leave in the scratchpads, in the width that
        they have there.
        """
        shape, sizes = self._shape, part.sizes
        a = shape.a_size(sizes) if part.load_a else 0
        b = shape.b_size(part.b_sizes or sizes) if part.load_b else 0
        return a + b + (shape.c(sizes, shape.widths.sum).bytes if part.load_c else 0)


def _moved(run: TileRun) -> tuple[int, int]:
    """Return the bytes that a tile loads and stores."""
    loaded, stored = (sum(p.bytes for p in patterns) for patterns in (run.loads, run.stores))
    return loaded, stored


def _priced(
    parts: "tuple[Part | Repeat[Part], ...]", tiles: dict[Part, Tile]
) -> tuple[Tile | Loop, ...]:
    return tuple(
        Loop(node.times, _priced(node.body, tiles)) if isinstance(node, Repeat) else tiles[node]
        for node in parts
    )
