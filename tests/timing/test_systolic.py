"""Cycles of the array against SCALE-Sim, and the closed form through the whole mapper."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.timing.dataflows import Dims, dataflow_of
from simulator.timing.systolic import Folds, tile_cycles
from simulator.trace.op import Gemm, Role
from tests.builders import array_work, machine
from tests.reference import rows

SCALESIM = [row for row in rows("array/scalesim.csv") if row["layer_kind"] == "gemm"]


def array(row_count, col_count, dataflow, **more):
    settings = {"rows": row_count, "cols": col_count, "dataflow": dataflow, "overlap": "none"}
    return machine(**{f"accelerator__{key}": value for key, value in (settings | more).items()})


def cycles(accelerator, dims, dataflow):
    flow = dataflow_of(dataflow)
    return tile_cycles(accelerator, dims, flow) + flow.fill_cycles(accelerator)


def case(row):
    dims = Dims(int(row["M"]), int(row["N"]), int(row["K"]))
    return array(int(row["array_rows"]), int(row["array_cols"]), row["dataflow"]), dims


@pytest.mark.parametrize(
    "row", SCALESIM, ids=lambda r: f"{r['layer']}-{r['dataflow']}-{r['array_rows']}-{r['version']}"
)
def test_compute_cycles_equal_scalesim(row):
    hardware, dims = case(row)
    assert cycles(hardware.accelerator, dims, row["dataflow"]) == int(row["compute_cycles"])


def test_operand_reads_equal_scalesim():
    wrong = 0
    for row in SCALESIM:
        hardware, dims = case(row)
        words = dataflow_of(row["dataflow"]).accesses(hardware.accelerator, dims)
        seen = (
            int(float(row["sram_ifmap_reads"] or -1)),
            int(float(row["sram_filter_reads"] or -1)),
        )
        wrong += min(seen) >= 0 and (words.a_reads, words.b_reads) != seen
    assert wrong == 0


sizes = st.integers(1, 90)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(sizes, sizes, sizes), st.tuples(sizes, sizes, sizes),
    st.sampled_from(["ws", "os", "is"]), st.sampled_from(["none", "preload", "drain", "full"]),
)  # fmt: skip
def test_folds_counted_by_dimension_are_those_of_all_tiles(dims, tile, dataflow, overlap):
    accelerator = array(8, 4, dataflow, overlap=overlap).accelerator
    tile = tuple(map(min, tile, dims))
    pieces = [
        [min(step, size - start) for start in range(0, size, step)]
        for size, step in zip(dims, tile, strict=True)
    ]
    flow = dataflow_of(dataflow)
    one_by_one = sum(tile_cycles(accelerator, Dims(*each), flow) for each in product(*pieces))
    assert Folds(accelerator, Dims(*dims), flow).cycles(tile) == one_by_one


FORMULA = {
    "os": lambda r, c, m, n, k: (r + c + k - 2) * -(-m // r) * -(-n // c) - 1,
    "ws": lambda r, c, m, n, k: (2 * r + c + m - 2) * -(-k // r) * -(-n // c) - 1,
    "is": lambda r, c, m, n, k: (2 * r + c + n - 2) * -(-k // r) * -(-m // c) - 1,
}


@pytest.mark.parametrize("dataflow", FORMULA)
@pytest.mark.parametrize("dims", [(64, 64, 64), (1, 10, 84), (100, 33, 17), (128, 96, 160)])
@pytest.mark.parametrize("size", [(8, 8), (16, 16), (16, 32), (4, 64)])
def test_a_gemm_that_fits_takes_the_formula_end_to_end(dataflow, dims, size):
    hardware = array(*size, dataflow, scratchpad="1 MiB", accumulator="1 MiB")
    gemm = Gemm(Role.FORWARD, 1, *dims, 0, 1, 0)
    work = array_work(hardware, gemm, 32)
    assert work.compute_cycles == FORMULA[dataflow](*size, *dims)


@pytest.mark.parametrize("dataflow", FORMULA)
@pytest.mark.parametrize("partly", ["preload", "drain"])
def test_more_overlap_is_never_slower(dataflow, partly):
    dims = Dims(200, 48, 80)
    counts = [
        cycles(array(16, 16, dataflow, overlap=overlap).accelerator, dims, dataflow)
        for overlap in ("none", partly, "full")
    ]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("dataflow", FORMULA)
@pytest.mark.parametrize("overlap", ["none", "preload", "drain", "full"])
@pytest.mark.parametrize("structure", ["systolic", "broadcast"])
def test_no_array_computes_faster_than_its_multipliers(dataflow, overlap, structure):
    part = array(8, 8, dataflow, overlap=overlap, structure=structure).accelerator
    for dims in (Dims(64, 64, 64), Dims(8, 8, 1000), Dims(1000, 8, 8), Dims(8, 1000, 8)):
        slack = 1 if dataflow_of(dataflow).fill_cycles(part) < 0 else 0  # SCALE-Sim counts from 0
        assert cycles(part, dims, dataflow) >= dims.m * dims.n * dims.k // (8 * 8) - slack
