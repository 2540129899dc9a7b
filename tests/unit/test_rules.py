"""Rules and given mappings: the tiles that Gemmini's library recorded, texts and their mistakes."""

import pytest

from simulator.activity import Task
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.precision import PRECISION_BITS
from simulator.machine.step import run_step
from simulator.mapping.array_shape import shape_of
from simulator.mapping.layout import layout
from simulator.mapping.mapper import map_shape
from simulator.mapping.nest import nest
from simulator.mapping.rules import RULES, prescribed
from simulator.mapping.rules.gemmini import ConvSearch, matmul_tile
from simulator.probes import probe_array
from simulator.timing.pricing import pricing_of
from simulator.timing.repeats import census
from simulator.timing.shares import WHOLE
from simulator.trace.op import Gemm, Phase, Role, convolution, valid_convolution
from simulator.units import ceil_div
from tests.reference import rows

GEMMINI = load_hardware("gemmini-16x16").accelerator
RECORDED = [
    *rows("array/gemmini_rtl_default_mapper.csv"),
    *rows("array/gemmini_rtl_dosa_layers.csv"),
]
DOSA = rows("array/gemmini_rtl_dosa_layers.csv")


def shape(row):
    channels, filters, p, q, r, s, stride = (
        int(row[name]) for name in ("C", "Kout", "P", "Q", "R", "S", "stride")
    )
    if q == r == 1:
        gemm = Gemm(Role.FORWARD, 1, p, filters, channels, 0, 1, 0)
    else:
        size = ((p - 1) * stride + r, (q - 1) * stride + s)
        gemm = convolution(valid_convolution(channels, filters, size, (r, s), stride))
    bits = PRECISION_BITS["int8"]
    return shape_of(gemm, layout(gemm, GEMMINI), GEMMINI, bits)


def test_the_library_s_tiles_are_those_recorded():
    wrong = []
    for row in RECORDED:
        r, _, q, p, c, k, _ = map(int, row["gemmini_default_tiling(R_S_q_p_C_K_b)"].split("_"))
        asked = shape(row)
        if hasattr(asked, "dims"):
            m, n, depth = matmul_tile(GEMMINI, asked)
            found, recorded = (m, depth, n), (q, c, k)
        else:
            tile = ConvSearch(GEMMINI, asked).tile()
            found = tuple(tile[axis] for axis in ("tap_row", "col", "row", "channel", "filter"))
            recorded = (r, q, p, c, k)
        if found != recorded:
            wrong.append((row, found))
    assert wrong == []


MOCA = load_hardware("gemmini-moca").accelerator
RESNET_50 = rows("array/gemmini_moca_resnet50.csv")[1:-1]  # without max pool, and one image padded


def beats_loaded(row):
    """Return the 16-byte beats of A (0 for a convolution, whose halos are counted otherwise) and of
    B that MoCA's tiles load.
    """
    size, kernel, channels, filters, stride = (
        int(row[name]) for name in ("ifmap_h", "filt_h", "channels", "num_filters", "stride")
    )
    conv = valid_convolution(channels, filters, (size, size), (kernel, kernel), stride)
    gemm = convolution(conv)
    asked = shape_of(gemm, layout(gemm, MOCA), MOCA, PRECISION_BITS["int8"])
    (mapping,) = asked.under(RULES["moca"], MOCA)
    a = b = 0
    for part, count in census(nest(asked, mapping)).items():
        tile = dict(zip(asked.extents, part.sizes, strict=True))
        if "m" in tile:
            a += count * tile["m"] * ceil_div(tile["k"], 16)
            b += count * tile["k"] * ceil_div(tile["n"], 16)
        else:
            taps = tile["tap_row"] * tile["tap_col"]
            b += count * ceil_div(tile["channel"], 16) * tile["filter"] * taps
    return a, b


def test_moca_s_tiles_load_what_its_authors_counted():
    for row in RESNET_50:
        a, b = beats_loaded(row)
        assert b == int(row["b_load_16B"])
        assert a in (0, int(row["a_load_16B"]))


@pytest.mark.parametrize("row", DOSA[::7], ids=lambda row: row["dosa_mapping"][:40])
def test_a_given_mapping_covers_the_operation_once(row):
    asked = shape(row)
    parts = census(nest(asked, prescribed(row["dosa_mapping"], asked)))
    macs = 0
    for part, count in parts.items():
        product = count
        for size in part.sizes:
            product *= size
        macs += product
    assert macs == asked.macs
    outputs = sum(
        n * asked.c(part.sizes, 8).bytes for part, n in parts.items() if part.store == "final"
    )
    axes = [asked.extents[axis] for axis in asked.c_axes]
    total = 1
    for size in axes:
        total *= size
    assert outputs == total


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", "cannot be read"),
        ("L2[WI] K16X", "has no level L3"),
        ("L3[WIO] Z4", "factor 'Z4'"),
        ("3_3_23_22_64_0_1", "cannot be read"),
    ],
)
def test_a_text_that_is_no_mapping_says_so(text, message):
    with pytest.raises(InputError, match=message):
        prescribed(text, shape(DOSA[0]))


@pytest.mark.parametrize("row", DOSA[::12], ids=lambda row: row["dosa_mapping"][:40])
def test_two_slots_take_the_same_time_tile_by_tile(row):
    hardware = load_hardware("gemmini-16x16")
    work = map_shape(GEMMINI, pricing_of(hardware.dram, hardware.interconnect), shape(row), 1)
    task = Task(work, 0, Phase.FORWARD, "", ())
    assert run_step((task,), "in_order", "tile").duration_ps == work.progress.duration_ps(WHOLE)


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("m,n,k,mapping", "64,64,64,fast", "line 2: mapping 'fast' cannot be read"),
        ("m,n,k,role", "64,64,64,other", "line 2: role = 'other' must be one of forward"),
        ("m,n,k,groups", "64,64,64,2", "line 2: groups belong to a convolution"),
    ],
)
def test_a_probe_names_the_line_of_a_mistake(tmp_path, header, cells, message):
    shapes, out = tmp_path / "shapes.csv", tmp_path / "out.csv"
    shapes.write_text(f"{header}\n{cells}\n")
    with pytest.raises(InputError, match=message):
        probe_array(load_hardware("gemmini-16x16"), shapes, out)
    assert not out.exists()
