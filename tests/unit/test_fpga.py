"""Do arrays take of an FPGA what the published table of operators says, and no more than it has?"""

import csv
from pathlib import Path

import pytest

from simulator import simulate, sweep
from simulator.energy.banks import Bank
from simulator.energy.fpga import Resources, block_rams, check_fits, element, resources
from simulator.energy.price_file import read_table
from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.fpga import Fpga
from simulator.replay import Replay
from simulator.results.recost import recost
from simulator.run_folder import save_run
from simulator.sweeps.answers import objectives_of
from simulator.sweeps.axis import parse_axes
from simulator.sweeps.executors import Here
from simulator.sweeps.space import DesignSpace
from simulator.trace.trace import Segment, Trace
from tests.builders import StepBuilder

REFERENCE = Path(__file__).parents[1] / "reference" / "systems"
ROWS, COLS, BITS = "accelerator.rows", "accelerator.cols", "accelerator.precision"
FPGA = Fpga(part="XC7Z020", luts=30_000)


def _table() -> dict[tuple[str, str, str], dict[str, str]]:
    with (REFERENCE / "fpga_operator_luts.csv").open(encoding="utf-8", newline="") as file:
        return {
            (row["operator"], row["bits_a_or_int"], row["bits_b_or_frac"]): row
            for row in csv.DictReader(file)
        }


def _published(bits: int) -> tuple[int, int, int]:
    """Return LUTs, registers and DSP slices of a multiplier and an adder; 0 bits are fp32."""
    rows = _table()
    parts = rows["multiplier", str(bits), str(bits)], rows["adder", str(2 * bits), ""]
    return tuple(sum(int(part[name]) for part in parts) for name in ("LUT", "Reg", "DSP"))


def _trace() -> Trace:
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    return Trace("built", (builder.step(),), (Segment(0, 0, 1),))


def _on_fpga(**changes: object) -> Hardware:
    hardware = load_hardware("edge-16x16")
    technology = hardware.technology.model_copy(update={"fpga": FPGA})
    array = hardware.accelerator.model_copy(update=changes)
    return hardware.model_copy(update={"technology": technology, "accelerator": array})


@pytest.mark.parametrize("bits", [0, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (4, 12), (24, 32)])
def test_sums_equal_the_table_exactly(bits, rows, cols):
    precision = f"int{bits}" if bits else "fp32"
    demand = resources(_on_fpga(rows=rows, cols=cols, precision=precision))
    assert demand[:3] == tuple(rows * cols * each for each in _published(bits))


def test_multipliers_beyond_the_table_go_on_as_its_rows_do():
    """Of 4 to 10 bits the rule for wider ones is within 2 LUTs of the table."""
    rows = _table()
    for bits in range(4, 11):
        assert abs(int(rows["multiplier", str(bits), str(bits)]["LUT"]) - bits * (bits + 2) / 2) < 3
    assert element("int16").luts == 16 * 18 // 2 + 23 + (32 - 15)
    costs = [element(f"int{bits}").luts for bits in range(3, 17)]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("name", "rows"),
    [("ef-train-pynq-z1", ["1X CNN,PYNQ-Z1"]), ("ef-train-zcu102", ["VGG-16 no BN", "AlexNet"])],
)
def test_ef_train_takes_the_published_dsp_slices_and_most_of_its_block_rams(name, rows):
    with (REFERENCE / "eftrain_networks.csv").open(encoding="utf-8", newline="") as file:
        published = [
            each
            for each in csv.DictReader(file)
            if any(f"{each['network']},{each['platform']}".startswith(start) for start in rows)
            and each["DConv"]
        ]
    demand = resources(load_hardware(name))
    assert published
    for each in published:
        assert demand.dsps == int(each["DConv"])
        assert 0.8 * int(each["BConv"]) < demand.brams <= int(each["BConv"])


def test_a_memory_takes_the_fewest_block_rams_of_all_shapes():
    """By hand: 512 words of 72 bits are one; a word more, or a bit more, takes a second."""
    assert block_rams(Bank(512 * 9, 72)) == 1
    assert block_rams(Bank(512 * 9 + 1, 72)) == 2
    assert block_rams(Bank(512 * 9, 73)) == 2
    assert block_rams(Bank(4096, 1)) == 1
    assert block_rams(Bank(64 * 1024, 128)) == 15  # 4096 words, 9 bits of each in one


def test_arrays_that_compute_in_several_formats_take_as_much_as_each():
    demand = resources(_on_fpga(rows=2, cols=2, precision="int4", precisions=("fp32",)))
    most = map(max, zip(_published(4), _published(0), strict=True))
    assert demand[:3] == tuple(4 * each for each in most)


def test_a_format_without_a_table_is_refused():
    with pytest.raises(InputError, match="no table has a multiplier in bf16"):
        resources(_on_fpga(precision="bf16"))


def test_what_does_not_fit_says_what_it_lacks():
    with pytest.raises(Infeasible) as refusal:
        simulate(_on_fpga(rows=64, cols=64, precision="int6"), _trace())
    error = refusal.value
    assert (error.constraint, error.bound) == ("technology.fpga.luts", 30_000)
    assert error.demand == 64 * 64 * _published(6)[0]
    assert "take 176,128 look-up tables, XC7Z020 has 30,000" in str(error)
    check_fits(load_hardware("edge-16x16"))


def test_a_result_says_what_it_takes_and_still_does_at_other_prices(tmp_path):
    replay = Replay(load_hardware("ef-train-pynq-z1"), _trace())
    result = replay.run()
    assert result.as_dict()["fpga"]["dsps"] == 180
    save_run(replay, result, tmp_path)
    assert (
        recost(tmp_path, read_table(tmp_path / "energy.yaml")).as_dict()["fpga"]
        == result.as_dict()["fpga"]
    )
    assert "fpga" not in simulate("edge-16x16", _trace()).as_dict()


def test_points_over_the_limit_have_a_reason_and_no_job(monkeypatch):
    machine, handed, run = _on_fpga(rows=8, cols=8), [], Here.submit

    def counted(self, jobs):
        handed.extend(job.point.settings[ROWS] for job in jobs)
        return run(self, jobs)

    monkeypatch.setattr(Here, "submit", counted)
    axes = {f"{ROWS} = {COLS}": [8, 16, 128], BITS: ["int4", "int6"]}
    table = sweep(axes, _trace(), hardware=machine, workers=1, quiet=True)
    for row in table.to_dicts():
        luts = row[ROWS] ** 2 * _published(int(row[BITS][3:]))[0]
        assert row["feasible"] == (luts <= 30_000)
        assert row["luts"] == (luts if row["feasible"] else None)
        assert ("look-up tables" in row["reason"]) != row["feasible"]
    assert sorted(handed) == ["16", "16", "8", "8"]


def test_a_search_replays_no_point_over_the_limit():
    axes = {ROWS: "4..64:+4", COLS: "4..64:+4", BITS: ["int2", "int4", "int6"]}
    machine = _on_fpga(rows=8, cols=8)
    table = sweep(axes, _trace(), hardware=machine, workers=1, quiet=True, search=30)
    assert table.height == 30
    assert table["feasible"].all()
    assert table["luts"].max() <= 30_000


def test_conditions_on_resources_hold_before_anything_runs():
    space = DesignSpace(
        _on_fpga(), "edge-16x16", parse_axes([f"{ROWS}={COLS}=8,16,32", f"{BITS}=int2,int6"]),
        ("luts <= 12000 and brams < 1000",),
    )  # fmt: skip
    chosen = [space.point(number).settings for number in space.allowed()]
    expected = [
        (rows, bits)
        for rows in ("8", "16", "32")
        for bits in ("int2", "int6")
        if int(rows) ** 2 * _published(int(bits[3:]))[0] <= 12_000
    ]
    assert [(each[ROWS], each[BITS]) for each in chosen] == expected
    assert 0 < len(expected) < 6


def test_resources_of_no_fpga_are_refused():
    space = DesignSpace(
        load_hardware("edge-16x16"), "", parse_axes([f"{ROWS}=8,16"]), ("luts < 9",)
    )
    with pytest.raises(InputError, match=r"luts of no FPGA: describe one under technology\.fpga"):
        space.allowed()
    with pytest.raises(InputError, match="--minimize luts: no such measure"):
        sweep({ROWS: [8]}, _trace(), minimize="luts", workers=1, quiet=True)
    assert objectives_of("luts") == ("luts",)


def test_resources_add_up():
    assert Resources(1, 2, 3, 4).times(2).plus(Resources(1)) == Resources(3, 4, 6, 8)
