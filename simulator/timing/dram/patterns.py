"""Memory microbenchmarks by name: access patterns as request streams.

Names and parameters are those of the DRAMsim3 runs in tests/reference/dram. Their totals, blocks,
outstanding transactions and strides follow from the counts and times of those rows; where streams
lie is known of copies and tiles, and a guess for two and more streams (64 rows apart, spread over
the banks) and for a processor beside an accelerator (anywhere in 1 GiB).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random
from typing import Any

from simulator.errors import InputError, shown
from simulator.hardware.dram import DramDevice
from simulator.timing.dram.traffic import Stream, Transaction

MIB = 1 << 20
LINE = 64  # bytes of one access of a processor
BLOCK = 4096  # bytes of one burst of a streaming engine
SEED = 1
WINDOW = 256  # default granules in flight of one stream
_SPACE = 1 << 30  # bytes that random addresses cover
_COPY_TO = (1 << 26) + (32 << 10)  # another row of other banks, of LPDDR4; of DDR4, half of them
_FS_PER_S = 10**15

Transactions = Callable[[], Iterator[Transaction]]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Streams, with the address mapping where it differs from the device's."""

    streams: tuple[Stream, ...]
    hashed: bool = True
    mapping: str = ""


def pattern(device: DramDevice, name: str, params: str | dict[str, Any] = "{}") -> Pattern:
    """Return the pattern `name` with `params` (JSON text or a mapping) on `device`.

    Raises InputError for a name or parameter that is unknown, missing or out of range.
    """
    if name not in _PATTERNS:
        raise InputError(f"pattern {name!r} is unknown: use one of {', '.join(sorted(_PATTERNS))}")
    build, names = _PATTERNS[name]
    values = _values(name, params)
    if set(values) != set(names):
        raise InputError(
            f"pattern {name} takes the params {', '.join(names) or 'none'}, not "
            f"{', '.join(values) or 'none'}"
        )
    for key, value in values.items():
        _check(name, key, value)
    return build(device, values)


def _values(name: str, params: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(params, str):
        try:
            params = json.loads(params.strip() or "{}")
        except (ValueError, RecursionError):
            raise InputError(
                f'pattern {name}: params {shown(params)} are not JSON such as {{"bytes": 4096}}'
            ) from None
    if not isinstance(params, dict):
        raise InputError(f"pattern {name}: params {params!r} must be a JSON object")
    return params


def _check(name: str, key: str, value: Any) -> None:
    setting = f"pattern {name}: {key} = {shown(value)}"
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            choices = " or ".join(repr(choice) for choice in _CHOICES[key])
            raise InputError(f"{setting} must be {choices}")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{setting} must be a number")
    elif key in _FRACTIONS:
        if not 0 < value <= 1:
            raise InputError(f"{setting} must be above 0, 1 at most")
    elif not isinstance(value, int) or not 1 <= value <= MIB:
        raise InputError(f"{setting} must be a whole number, 1 to {MIB}")


_FRACTIONS = ("inj", "write_inj", "accel_inj", "cpu_inj", "read_frac")
_OTHER_BANKS = ("other banks (+RB/2)", "other banks")
_CHOICES: dict[str, tuple[Any, ...]] = {
    "xor": (0, 1),
    "map": ("page-contiguous, no BG interleave",),
    "B_offset": (*_OTHER_BANKS, "same banks (+64 rows)"),
}


def _blocks(n: int, size: int, *, write: bool = False, base: int = 0) -> Transactions:
    """Return `n` consecutive blocks."""
    return lambda: (Transaction(base + i * size, size, write) for i in range(n))


def _mixed_blocks(n: int, size: int, read_share: float, pieces: int = 1) -> Transactions:
    """Return consecutive blocks in equal pieces, each block randomly a read or a write."""

    def blocks() -> Iterator[Transaction]:
        random = Random(SEED)
        for block in range(n):
            write, piece = random.random() >= read_share, size // pieces
            for part in range(pieces):
                yield Transaction(block * size + part * piece, piece, write)

    return blocks


def _random_blocks(n: int | None, size: int, read_share: float, seed: int = SEED) -> Transactions:
    """Return aligned blocks at random addresses, randomly reads or writes; None: endless."""

    def blocks() -> Iterator[Transaction]:
        random = Random(seed)
        for _ in count() if n is None else range(n):
            address = random.randrange(_SPACE // size) * size
            yield Transaction(address, size, random.random() >= read_share)

    return blocks


def _evenly(n: int | None, interval_fs: float) -> Callable[[], Iterator[int]]:
    return lambda: (int(i * interval_fs) for i in (count() if n is None else range(n)))


def _poisson(n: int, interval_fs: float, seed: int = SEED) -> Callable[[], Iterator[int]]:
    """Return `n` Poisson arrivals, conditioned on `n` in the expected time of `n`."""

    def arrivals() -> Iterator[int]:
        random = Random(seed + 1)
        return iter(sorted(int(random.random() * n * interval_fs) for _ in range(n)))

    return arrivals


def _unending_poisson(interval_fs: float, seed: int) -> Callable[[], Iterator[int]]:
    def arrivals() -> Iterator[int]:
        random, at = Random(seed), 0.0
        while True:
            at += random.expovariate(1 / interval_fs)
            yield int(at)

    return arrivals


def _interval_fs(device: DramDevice, size: int, share: float) -> float:
    """Return the time between accesses of `size` bytes that offer `share` of the peak."""
    return size * _FS_PER_S / (share * device.peak_bytes_per_s)


def _alone(
    transactions: Transactions, outstanding: int, window: int = WINDOW, **options: Any
) -> Pattern:
    return Pattern((Stream(transactions, outstanding, window),), **options)


def _sequential(_: DramDevice, __: dict[str, Any], *, write: bool) -> Pattern:
    return _alone(_blocks(2 * MIB // BLOCK, BLOCK, write=write), 16)


def _simple_mapping(_: DramDevice, __: dict[str, Any], *, write: bool) -> Pattern:
    """Page-contiguous mapping: one bank after the other, channels interleaved by burst."""
    blocks = _blocks(2 * MIB // BLOCK, BLOCK, write=write)
    return _alone(blocks, 16, mapping="ch*,co*,bg*,ba*,ra*,ro*")


def _copy(_: DramDevice, p: dict[str, Any]) -> Pattern:
    """Copy: a block read from one region, then a block written to another."""
    size = p["block_B"]
    n = 2 * MIB // size // 2

    def blocks() -> Iterator[Transaction]:
        for i in range(n):
            yield Transaction(i * size, size)
            yield Transaction(_COPY_TO + i * size, size, True)

    return _alone(blocks, max(4, 4 * BLOCK // size))


def _sequential_mix(_: DramDevice, p: dict[str, Any]) -> Pattern:
    return _alone(_mixed_blocks(2 * MIB // p["block_B"], p["block_B"], p["read_frac"]), 8)


def _stride(_: DramDevice, p: dict[str, Any]) -> Pattern:
    step = p["stride_B"]

    def accesses() -> Iterator[Transaction]:
        return (Transaction(i * step, LINE) for i in range(MIB // LINE))

    return _alone(accesses, 64, hashed=bool(p["xor"]))


def _random(_: DramDevice, p: dict[str, Any], *, read_share: float) -> Pattern:
    size = p["block_B"]
    total = 2 * MIB if size >= BLOCK else MIB
    return _alone(_random_blocks(total // size, size, read_share), p.get("T", 64))


def _window(_: DramDevice, p: dict[str, Any], *, random: bool) -> Pattern:
    n = MIB // 2 // LINE
    return _alone(_random_blocks(n, LINE, 1) if random else _blocks(n, LINE), p["window"])


def _dma(_: DramDevice, p: dict[str, Any], *, random: bool) -> Pattern:
    size = p["block_B"]
    n = MIB // size
    return _alone(_random_blocks(n, size, 1) if random else _blocks(n, size), p["T"])


def _rate(device: DramDevice, p: dict[str, Any], *, kind: str) -> Pattern:
    """Open loop: accesses arrive at given times, regardless of those in flight."""
    size = BLOCK if kind == "randblk" else LINE
    n, interval = 2 * MIB // size, _interval_fs(device, size, p["inj"])
    transactions = {
        "seq": _blocks(n, size),
        "random": _random_blocks(n, size, 1),
        "seq_2r1w": _mixed_blocks(2 * MIB // BLOCK, BLOCK, 2 / 3, BLOCK // LINE),
        "randblk": _random_blocks(n, size, 2 / 3),
    }[kind]
    arrivals = _evenly(n, interval) if kind == "seq" else _poisson(n, interval)
    return Pattern((Stream(transactions, arrivals=arrivals),))


def _tile(_: DramDevice, p: dict[str, Any], *, write: bool) -> Pattern:
    """Tiles of a row-major matrix with a pitch of `pitch_B` bytes, band by band."""
    rows, width, pitch = p["rows"], p["width_B"], p["pitch_B"]
    if width > pitch:
        raise InputError(f"tile: width_B = {width} must not be above pitch_B = {pitch}")
    per_band = pitch // width
    n = max(4, min(256, 2 * MIB // (rows * max(width, LINE))))

    def tiles() -> Iterator[Transaction]:
        for tile in range(n):
            band, column = divmod(tile, per_band)
            yield Transaction(band * rows * pitch + column * width, width, write, rows, pitch)

    return _alone(tiles, p["T"])


def _bank_cycle(device: DramDevice) -> int:
    """Return the address distance of adjacent rows of one bank, in bytes."""
    return device.channels * device.banks * device.row


def _two_streams(device: DramDevice, p: dict[str, Any], *, write: bool) -> Pattern:
    n, other = MIB // BLOCK, p["B_offset"] in _OTHER_BANKS
    base = 64 * _bank_cycle(device) + other * _bank_cycle(device) // 2
    blocks = (_blocks(n, BLOCK, write=write), _blocks(n, BLOCK, write=write, base=base))
    return Pattern(tuple(Stream(each, 8, WINDOW) for each in blocks))


def _read_with_writes(device: DramDevice, p: dict[str, Any]) -> Pattern:
    base = 64 * _bank_cycle(device) + _bank_cycle(device) // 2
    interval = _interval_fs(device, BLOCK, p["write_inj"])
    n = 16 * MIB // BLOCK
    writes = _blocks(n, BLOCK, write=True, base=base)
    return Pattern(
        (
            Stream(_blocks(MIB // BLOCK, BLOCK), 8, WINDOW),
            Stream(writes, arrivals=_evenly(n, interval), endless=True),
        )
    )


def _several_streams(device: DramDevice, _: dict[str, Any], *, n: int) -> Pattern:
    cycle = _bank_cycle(device)
    bases = [i * (64 * cycle + cycle // n) for i in range(n)]
    blocks = (_blocks(2 * MIB // BLOCK // n, BLOCK, base=base) for base in bases)
    return Pattern(tuple(Stream(each, 4, WINDOW) for each in blocks))


_CPU_SEED = 7


def _accelerator_and_cpu(_: DramDevice, p: dict[str, Any], *, mixed: bool) -> Pattern:
    blocks = _mixed_blocks(MIB // BLOCK, BLOCK, 2 / 3) if mixed else _blocks(MIB // BLOCK, BLOCK)
    cpu = _random_blocks(None, LINE, 0.7 if mixed else 1, _CPU_SEED)
    return Pattern(
        (
            Stream(blocks, 8 if mixed else 16, WINDOW),
            Stream(cpu, p["cpu_window"], WINDOW, endless=True),
        )
    )


def _accelerator_and_rate(device: DramDevice, p: dict[str, Any]) -> Pattern:
    interval = _interval_fs(device, LINE, p["cpu_inj"])
    cpu = Stream(
        _random_blocks(None, LINE, 1, _CPU_SEED),
        arrivals=_unending_poisson(interval, _CPU_SEED),
        endless=True,
    )
    blocks, n = _blocks(MIB // BLOCK, BLOCK), MIB // BLOCK
    if "accel_inj" not in p:
        return Pattern((Stream(blocks, 16, WINDOW), cpu))
    arrivals = _evenly(n, _interval_fs(device, BLOCK, p["accel_inj"]))
    return Pattern((Stream(blocks, arrivals=arrivals), cpu))


_Build = Callable[[DramDevice, dict[str, Any]], Pattern]
_PATTERNS: dict[str, tuple[_Build, tuple[str, ...]]] = {
    "seq_read": (partial(_sequential, write=False), ()),
    "seq_write": (partial(_sequential, write=True), ()),
    "seq_read_simplemap": (partial(_simple_mapping, write=False), ("map",)),
    "seq_write_simplemap": (partial(_simple_mapping, write=True), ("map",)),
    "copy_alternate": (_copy, ("block_B",)),
    "seq_mix": (_sequential_mix, ("read_frac", "block_B")),
    "stride_read": (_stride, ("stride_B", "xor")),
    "random_read": (partial(_random, read_share=1), ("block_B",)),
    "random_write": (partial(_random, read_share=0), ("block_B",)),
    "random_rw50": (partial(_random, read_share=0.5), ("block_B",)),
    "randblk_read": (partial(_random, read_share=1), ("block_B", "T")),
    "randblk_write": (partial(_random, read_share=0), ("block_B", "T")),
    "randblk_rw50": (partial(_random, read_share=0.5), ("block_B", "T")),
    "seq_read_win": (partial(_window, random=False), ("window",)),
    "random_read_win": (partial(_window, random=True), ("window",)),
    "dma_rand_T": (partial(_dma, random=True), ("block_B", "T")),
    "dma_seq_T": (partial(_dma, random=False), ("block_B", "T")),
    "seq_read_rate": (partial(_rate, kind="seq"), ("inj",)),
    "random_read_rate_poisson": (partial(_rate, kind="random"), ("inj",)),
    "seq_2r1w_rate_poisson": (partial(_rate, kind="seq_2r1w"), ("inj",)),
    "randblk4K_2r1w_rate_poisson": (partial(_rate, kind="randblk"), ("inj",)),
    "2stream_seq_rr": (partial(_two_streams, write=False), ("B_offset",)),
    "2stream_seq_ww": (partial(_two_streams, write=True), ("B_offset",)),
    "2stream_seqread_sat_plus_seqwrite_rate": (_read_with_writes, ("write_inj",)),
    "3stream_seq_read": (partial(_several_streams, n=3), ()),
    "4stream_seq_read": (partial(_several_streams, n=4), ()),
    "8stream_seq_read": (partial(_several_streams, n=8), ()),
    "accel_seq_plus_cpu_random": (partial(_accelerator_and_cpu, mixed=False), ("cpu_window",)),
    "accel_2r1w_plus_cpu_rand30w": (partial(_accelerator_and_cpu, mixed=True), ("cpu_window",)),
    "accel_seq_sat_plus_cpu_rate": (_accelerator_and_rate, ("cpu_inj",)),
    "accel_seq_rate_plus_cpu_rate": (_accelerator_and_rate, ("accel_inj", "cpu_inj")),
    "tile_read": (partial(_tile, write=False), ("rows", "width_B", "pitch_B", "T")),
    "tile_write": (partial(_tile, write=True), ("rows", "width_B", "pitch_B", "T")),
}
