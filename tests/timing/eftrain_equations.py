"""EF-Train's own performance model, as an oracle for the beat-by-beat timing.

Tang, Zhang, Zhou and Hu, "EF-Train: Enable Efficient On-device CNN Training on FPGA Through Data
Reshaping for Online Adaptation or Personalization", ACM TODAES 27(5), 2022 (arXiv 2202.10935),
Sec. 5.1: the times of one tile, the forward and backward latencies Lat1..3 and Latb1..3, and
equations (22)-(27) for the weight update. All times are clock cycles of the 100 MHz design.

The text leaves out what the authors' search script shows: output channels go in blocks of `mon`
with the remainder last; a layer with fewer input channels than Tn loads only those;
in BP the weights of a whole block ride with the first output tile, except on its first load; a
layer's last row tile and last channel tile cost as much as a full one; and the reads that fetch
weights in FP, and the stores of weights in WU, pay no restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Array:
    """The Tm x Tn multipliers, the width of one DMA stream, and the buffers around them."""

    tm: int = 16
    tn: int = 16
    words_per_cycle: int = 4
    restart: int = 400
    ofm_words: int = 2016  # of one bank: Tr * Tc
    ifm_words: int = 2486  # of one bank: the tile with its halo
    weight_slots: int = 64  # of one bank of one of the two buffers; kernel_max ** 2 words each
    kernel_max: int = 3
    clock_hz: float = 100e6


@dataclass(frozen=True)
class Conv:
    """A convolution as one phase sees it: BP swaps the channels of FP, WU keeps them."""

    out_channels: int
    in_channels: int
    rows: int
    cols: int
    kernel: int
    stride: int = 1

    def macs(self) -> int:
        """Multiplications for one image."""
        return (
            self.out_channels * self.in_channels * self.rows * self.cols * self.kernel * self.kernel
        )

    def backward(self) -> "Conv":
        """Return the input-gradient convolution of a layer of stride 1."""
        return Conv(
            self.in_channels, self.out_channels, self.rows, self.cols, self.kernel, self.stride
        )


@dataclass(frozen=True)
class Tile:
    """The two free choices per layer and phase: rows of a tile, output channels of a block."""

    tr: int
    mon: int


@dataclass(frozen=True)
class Times:
    """Cycles of the pieces of one tile."""

    comp: int
    ifm: int
    ofm: int
    out: int
    wei: int


def ifm_words(conv: Conv, tr: int) -> int:
    """Words of one channel of an input tile: whole rows, so Tc = C."""
    rows = (tr - 1) * conv.stride + conv.kernel
    return rows * ((conv.cols - 1) * conv.stride + conv.kernel)


def tile_times(array: Array, conv: Conv, tr: int) -> Times:
    """Give the times of one tile; FP's WEI is one Tm x Tn tile, WU stores the same tile."""
    p, taps, area = array.words_per_cycle, conv.kernel * conv.kernel, tr * conv.cols
    lanes = min(conv.in_channels, array.tn)  # an image of 3 channels fills no Tn lanes
    return Times(
        comp=area * taps,
        ifm=array.restart + ceil(lanes / p) * ifm_words(conv, tr),
        ofm=array.restart + ceil(array.tm / p) * area,
        out=ceil(array.tm / p) * area,
        wei=ceil(array.tm * lanes / p) * taps,
    )


def blocks(channels: int, mon: int) -> list[int]:
    """Split the output channels: full blocks, the remainder last."""
    return [min(mon, channels - start) for start in range(0, channels, mon)]


def forward_block(array: Array, conv: Conv, tr: int, mon: int, batch: int) -> int:
    """FP of one block: Lat3 for every image but the first, which also loads weights (Latb3)."""
    t = tile_times(array, conv, tr)
    n_tiles, m_tiles, r_tiles = (
        ceil(conv.in_channels / array.tn),
        ceil(mon / array.tm),
        ceil(conv.rows / tr),
    )
    load, store = max(t.ifm, t.wei), max(t.comp, t.out)
    plain = (n_tiles - 1) * max(t.ifm, t.comp) + t.ifm
    loaded = (n_tiles - 1) * max(load, t.comp) + load
    drain = t.out + array.restart
    image = (m_tiles * r_tiles - 1) * (plain + store) + plain + t.comp + drain
    first = m_tiles * (r_tiles - 1) * (plain + store) + (m_tiles - 1) * (loaded + store)
    return (batch - 1) * image + first + loaded + t.comp + drain


def backward_block(array: Array, conv: Conv, tr: int, mon: int, batch: int) -> int:
    """BP of one block: the weights of all its channels ride with its first output tile."""
    t = tile_times(array, conv, tr)
    n_tiles, m_tiles, r_tiles = (
        ceil(conv.in_channels / array.tn),
        ceil(mon / array.tm),
        ceil(conv.rows / tr),
    )
    wei = array.restart + ceil(mon * array.tn / array.words_per_cycle) * conv.kernel**2
    store, drain = max(t.comp, t.out), t.out + array.restart
    plain = (n_tiles - 1) * max(t.ifm, t.comp) + t.ifm
    loaded = (n_tiles - 1) * max(t.ifm, wei, t.comp) + t.ifm
    others = (m_tiles * r_tiles - 1) * (plain + store) + drain
    return (batch - 1) * (others + plain + t.comp) + others + loaded + t.comp


def update_block(array: Array, conv: Conv, tr: int, mon: int, batch: int) -> int:
    """WU of one block, (22)-(27): images accumulate on chip, the last one stores the weights."""
    t = tile_times(array, conv, tr)
    out = ceil(array.tm * array.tn / array.words_per_cycle) * conv.kernel**2
    n_tiles, m_tiles, r_tiles = (
        ceil(conv.in_channels / array.tn),
        ceil(mon / array.tm),
        ceil(conv.rows / tr),
    )
    load = max(t.ifm, t.ofm)
    if r_tiles > 1:
        rows = (r_tiles - 1) * max(load, t.comp) + load
        plain, stored = rows + t.comp, rows + max(t.comp, out)
        tiles = m_tiles * n_tiles
        return ((batch - 1) * tiles + 1) * plain + (tiles - 1) * stored + out
    plain = (n_tiles - 1) * max(t.ifm, t.comp) + load + t.comp
    return m_tiles * (batch * plain + n_tiles * out)


PHASES = {"FP": forward_block, "BP": backward_block, "WU": update_block}


def phase_cycles(array: Array, conv: Conv, phase: str, tile: Tile, batch: int) -> int:
    """Cycles of one layer in one phase; for BP give `conv.backward()`."""
    block = PHASES[phase]
    sizes = blocks(conv.out_channels, tile.mon)
    return sum(block(array, conv, tile.tr, mon, batch) for mon in sizes)


def largest_mon(array: Array, conv: Conv) -> int:
    """Return the largest block of channels whose weights fit: the script's rule, K x K per slot."""
    taps = max(1, array.kernel_max**2 // conv.kernel**2)
    # Two buffers share the input tiles, odd ones in one and even ones in the other.
    slots = ceil(ceil(conv.in_channels / (2 * array.tn)) / taps)
    mon = max(1, array.weight_slots // slots) * array.tm
    return min(mon, conv.out_channels)


def best_tile(array: Array, conv: Conv, phase: str, batch: int) -> Tile:
    """Choose the Tr that costs least within the buffers, the smallest of equals."""
    mon = largest_mon(array, conv)
    fits = [
        Tile(tr, mon)
        for tr in range(1, conv.rows + 1)
        if tr * conv.cols <= array.ofm_words and ifm_words(conv, tr) <= array.ifm_words
    ]
    return min(fits, key=lambda tile: (phase_cycles(array, conv, phase, tile, batch), tile.tr))


def training_phases(layers: Sequence[Conv]) -> list[tuple[int, str, Conv]]:
    """Return what one iteration runs, by layer; the first layer has no input gradient."""
    runs = [(i, "FP", conv) for i, conv in enumerate(layers)]
    runs += [(i, "BP", conv.backward()) for i, conv in enumerate(layers) if i]
    return runs + [(i, "WU", conv) for i, conv in enumerate(layers)]


def training_ops(layers: Sequence[Conv]) -> int:
    """Floating-point operations per image: 2 (3 sum MAC - MAC_1)."""
    return 2 * (3 * sum(conv.macs() for conv in layers) - layers[0].macs())


def network_cycles(array: Array, layers: Sequence[Conv], batch: int) -> int:
    """Cycles of one training iteration over the convolutions, each at its best tile."""
    return sum(
        phase_cycles(array, conv, phase, best_tile(array, conv, phase, batch), batch)
        for _, phase, conv in training_phases(layers)
    )


def gflops(array: Array, layers: Sequence[Conv], batch: int) -> float:
    """Return the throughput of one training iteration."""
    seconds = network_cycles(array, layers, batch) / array.clock_hz
    return training_ops(layers) * batch / seconds / 1e9
