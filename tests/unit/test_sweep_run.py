"""A sweep in one process against a replay of each point by itself."""

import json

import pytest
from polars.testing import assert_frame_equal

from simulator import simulate, sweep
from simulator.errors import InputError, Stopped
from simulator.hardware import load_hardware
from simulator.replay import Replay
from simulator.sweeps import executors
from simulator.sweeps.axis import parse_axes
from simulator.sweeps.executors import Here
from simulator.sweeps.folder import read_table
from simulator.sweeps.run import run_study
from simulator.sweeps.study import study
from simulator.sweeps.watch import Silent
from tests.builders import StepBuilder, one_step_trace

ROWS, PAD = "accelerator.rows", "accelerator.scratchpad"


def _trace(size: int = 32):
    builder = StepBuilder()
    builder.elementwise(builder.gemm(size, size, size))
    return one_step_trace(builder, 3)


@pytest.fixture
def replays(monkeypatch) -> list[str]:
    """Return the list of hardware digests that have been replayed."""
    digests, run = [], Replay.run

    def counted(self, *args):
        digests.append(self.hardware.digest)
        return run(self, *args)

    monkeypatch.setattr(Replay, "run", counted)
    return digests


def _sweep(space, trace=None, out=None, **options):
    return sweep(space, trace or _trace(), out, workers=1, quiet=True, **options)


def test_each_row_is_what_a_replay_of_its_point_gives(tmp_path):
    trace = _trace()
    space = {ROWS: [8, 16], PAD: ["64 KiB", "256 KiB"]}
    table = _sweep(space, trace, tmp_path, baselines={"cpu": "cpu-only"})
    assert table.height == 5
    for row in table.iter_rows(named=True):
        settings = {ROWS: row[ROWS], PAD: f"{row[PAD]} B"}
        name = row["baseline"]
        machine = load_hardware("cpu-only") if name else load_hardware("edge-16x16", settings)
        result = simulate(machine, trace)
        assert row["feasible"]
        assert row["latency_s"] == result.total["latency_s"]
        assert row["energy_j"] == result.total["energy_j"]
        assert row["energy_aj"] == str(result.total["energy_aj"])
        assert row["area_total_mm2"] == result.area_mm2["total"]
        assert row["epochs"] == 1
    assert table.select(ROWS, PAD).rows() == [
        (None, None),
        *((rows, size * 1024) for rows in (8, 16) for size in (64, 256)),
    ]


def test_a_method_is_laid_over_the_trace():
    table = _sweep({ROWS: [16]}, methods=["as-traced", "int8"])
    assert table["method"].to_list() == ["as-traced", "int8"]
    assert table["point"].n_unique() == 2


def test_points_of_equal_hardware_are_replayed_once(replays):
    trace = _trace()
    traces = {"one": trace, "the same": trace}
    table = _sweep({ROWS: [16]}, traces, baselines={"same": "edge-16x16"})
    assert (len(replays), table.height, table["latency_s"].n_unique()) == (1, 4, 1)


def test_the_same_call_goes_on_from_what_is_finished(tmp_path, replays):
    trace = _trace()
    first = _sweep({ROWS: [8, 16]}, trace, tmp_path)
    assert len(replays) == 2
    assert _sweep({ROWS: [8, 16]}, trace, tmp_path).equals(first)
    assert len(replays) == 2
    more = _sweep({ROWS: [4, 8, 16]}, trace, tmp_path)
    assert len(replays) == 3
    assert more.filter(more[ROWS] > 4).drop("pareto").equals(first.drop("pareto"))
    assert read_table(tmp_path).equals(more)


def test_a_stopped_sweep_goes_on_where_it_stopped(tmp_path, replays, monkeypatch):
    asked = study("edge-16x16", parse_axes([f"{ROWS}=2,4,8,16"]), _trace())
    submit, jobs = Here.submit, []

    def stopping(self, job):
        jobs.append(job)
        if len(jobs) == 3:
            raise KeyboardInterrupt
        return submit(self, job)

    with monkeypatch.context() as patched:
        patched.setattr(Here, "submit", stopping)
        with pytest.raises(Stopped, match="stopped; 2 new points finished: they are kept"):
            run_study(asked, Here(asked), tmp_path, Silent())
        jobs[:] = jobs[:2]
        with pytest.raises(Stopped, match="stopped; 0 new points finished: nothing is kept"):
            run_study(asked, Here(asked), None, Silent())
    whole = run_study(asked, Here(asked), tmp_path, Silent())
    assert len(replays) == 4
    assert whole.equals(run_study(asked, Here(asked), None, Silent()))


def test_whole_results_are_kept_where_they_are_asked(tmp_path, replays):
    trace = _trace()
    _sweep({ROWS: [8, 16]}, trace, tmp_path)
    table = _sweep({ROWS: [8, 16]}, trace, tmp_path, full=True)
    assert len(replays) == 4
    for row in table.iter_rows(named=True):
        document = json.loads((tmp_path / "results" / f"{row['point']}.json").read_text())
        assert document["total"]["latency_s"] == row["latency_s"]
        assert f"{ROWS}={row[ROWS]}" in document["provenance"]["command"]
    assert _sweep({ROWS: [8, 16]}, trace, tmp_path, full=True).equals(table)
    assert len(replays) == 4


def test_a_point_that_cannot_run_is_a_row_with_its_reason(tmp_path, replays):
    trace = _trace(256)
    tried: list[int] = []
    for _ in range(2):  # it is finished, too: not tried again
        space = {PAD: ["64 B", "64 KiB"], "dram.capacity": ["100 kB", "1 GiB"]}
        table = _sweep(space, trace, tmp_path)
        tried.append(len(replays))
    assert tried == [2, 2]  # two of four do not come as far as to be run
    assert table["feasible"].to_list() == [False, False, False, True]
    reasons = table["reason"].to_list()
    assert "DRAM has 100 kB" in reasons[0]
    assert "DRAM has 100 kB" in reasons[2]
    assert "scratchpad of 64 B is too small" in reasons[1]
    assert reasons[3] == ""
    assert table["latency_s"].null_count() == 3
    assert table["pareto"].to_list() == [False, False, False, True]


def test_settings_that_do_not_fit_together_are_a_row_with_their_reason(tmp_path):
    space = {"dram.bandwidth": ["10 GB/s"], "dram.preset": ["LPDDR4-3200_x32_1ch", "ideal"]}
    for out in (None, tmp_path, tmp_path):
        table = _sweep(space, out=out)
        assert table["feasible"].to_list() == [False, True]
        assert "only preset ideal takes another" in table["reason"][0]
        assert table["dram.bandwidth"].to_list() == [10**10] * 2


def test_a_sweep_of_which_no_point_fits_is_a_table_too(tmp_path):
    space = {"accelerator.dma.outstanding": [4], "accelerator.dma.latency": ["0 ns", "1 ns"]}
    table = _sweep(space, out=tmp_path, constraints=["dma.latency = 0 ns"])
    assert table["feasible"].to_list() == [False]
    assert "give a latency" in table["reason"][0]
    assert read_table(tmp_path).height == 1


def test_sweeps_of_one_folder_share_its_points_but_not_its_table(tmp_path, replays):
    """The table is that of the last sweep, exactly; the first one finds its points again."""
    trace = _trace()
    first = _sweep({ROWS: [8, 16]}, trace, tmp_path)
    second = _sweep({"accelerator.cols": [8, 16]}, trace, tmp_path)
    assert len(replays) == 3
    assert [name for name in second.columns if "." in name] == ["accelerator.cols"]
    assert_frame_equal(read_table(tmp_path), second)
    assert_frame_equal(_sweep({ROWS: [8, 16]}, trace, tmp_path), first)
    assert len(replays) == 3


def test_nothing_is_written_for_a_sweep_that_is_wrong(tmp_path):
    out = tmp_path / "out"
    for space, trace in (({ROWS: [0]}, _trace()), ({ROWS: [8]}, None), ({ROWS: [8]}, "/none")):
        with pytest.raises(InputError):
            sweep(space, trace, out, workers=1, quiet=True)
    with pytest.raises(InputError, match="no point of the space"):
        _sweep({ROWS: [8]}, out=out, constraints=["rows > 8"])
    assert not out.exists()


def test_what_a_point_raises_names_the_point(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Replay, "run", broken)
    with pytest.raises(ZeroDivisionError) as told:
        _sweep({ROWS: [8]})
    assert told.value.__notes__ == [
        "in the point accelerator.rows=8, hardware=edge-16x16, trace=built, method=as-traced, "
        "baseline="
    ]


def test_one_worker_needs_no_other_process():
    asked = study("edge-16x16", (), _trace())
    assert isinstance(executors.workers_for(asked, 1), Here)


def test_a_file_takes_another_trace_and_another_soc(tmp_path, replays):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"hardware: edge-16x61\ntrace: no-such\naxes: {{{ROWS}: [8, 16]}}\n")
    table = sweep(path, _trace(), hardware="gemmini-16x16", workers=1, quiet=True)
    assert (table.height, len(replays)) == (2, 2)
    direct = sweep({ROWS: [8, 16]}, _trace(), hardware="gemmini-16x16", workers=1, quiet=True)
    assert table.equals(direct)
