"""Verdicts with intervals: samples against replays of their own, and what people read of them."""

import json
import math

import numpy as np
import polars
import pytest

from simulator import intervals, load_hardware, processes, simulate, sweep
from simulator.hardware.constant import Constant
from simulator.hardware.settings import quantity_of
from simulator.results.intervals import interval
from simulator.results.samples import read_samples
from simulator.sweeps.answers import best, best_in_samples
from simulator.trace.storage import load_trace
from simulator.uncertainty import replays
from simulator.uncertainty.account import account, accounts
from simulator.uncertainty.replays import Subject
from simulator.uncertainty.sampling import draw, is_price, uncertain
from simulator.views.plots import draw_run
from simulator.views.plots.bars import latency_per_phase
from simulator.views.plots.canvas import styled
from simulator.views.plots.decides import decides
from tests.builders import small_trace
from tests.command_line import trainsoc

RANGES = {
    "cpu.gemm_efficiency": (300, 600, 900),
    "cpu.op_overhead": (7_000, 28_000, 56_000),
    "cpu.energy_per_cycle": (70_000_000, 89_000_000, 120_000_000),
    "accelerator.launch_latency": (50_000, 200_000, 2_000_000),
}


def unsure(name, ranges=RANGES):
    """Return a machine of which nothing but these ranges and the prices is unsure."""
    known = [Constant(path, value, low, high) for path, (low, value, high) in ranges.items()]
    machine = load_hardware(name, {path: text(path, row[1]) for path, row in own(name, ranges)})
    return machine.with_constants(
        each for each in known if machine.accelerator or not each.path.startswith("accelerator")
    )


def own(name, ranges):
    return [item for item in ranges.items() if name != "cpu-only" or "accelerator" not in item[0]]


def text(path, value):
    return quantity_of(path).text(value)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return load_trace(small_trace(tmp_path_factory.mktemp("traces")))


@pytest.fixture(scope="module")
def drawn(trace):
    machines = (unsure("edge-16x16"), unsure("cpu-only"))
    return draw([Subject(each, trace) for each in machines], 24, 5)


def test_each_sample_is_what_a_replay_with_its_values_gives(drawn, trace):
    for name, samples in zip(("edge-16x16", "cpu-only"), drawn, strict=True):
        for index in (0, 11, 23):
            values = {
                path: text(path, column[index])
                for path, column in samples.draws.items()
                if path in RANGES
            }
            result = simulate(load_hardware(name, values), trace)
            assert samples.columns["latency_s"][index] == result.total["latency_s"]
            for row in result.phases:
                assert samples.columns[f"{row['phase']}_latency_s"][index] == row["latency_s"]
            # factors of prices are drawn besides, within what the sources of each leave
            low, high = result.total["energy_low_j"], result.total["energy_high_j"]
            assert low <= samples.columns["energy_j"][index] <= high


def test_machines_share_the_draws_of_what_they_share(drawn):
    ours, theirs = drawn
    assert ours.pairs_with(theirs)
    shared = set(ours.draws) & set(theirs.draws)
    assert {"cpu.gemm_efficiency", "cpu.op_overhead", "energy.dram_activates"} <= shared
    for path in shared:
        assert ours.draws[path] == theirs.draws[path]


def test_prices_alone_need_no_further_replay(trace, monkeypatch):
    machine = unsure("edge-16x16", {"cpu.energy_per_cycle": RANGES["cpu.energy_per_cycle"]})
    count, run = [], replays.Replay.run
    monkeypatch.setattr(replays.Replay, "run", lambda self: count.append(self) or run(self))
    (samples,) = draw([Subject(machine, trace)], 20)
    assert len(count) == 1
    assert len(set(samples.columns["latency_s"])) == 1
    assert len(set(samples.columns["energy_j"])) == 20


@pytest.mark.parametrize("path", ["cpu.energy_per_cycle", "cpu.static_power"])
def test_what_counts_as_a_price_changes_no_time(path, trace):
    assert is_price(path)
    assert is_price("technology.dram_typical")
    before = simulate("edge-16x16", trace)
    after = simulate("edge-16x16", trace, {path: {"cpu.static_power": "2 W"}.get(path, "9 nJ")})
    assert after.total["latency_ps"] == before.total["latency_ps"]
    assert after.total["energy_aj"] > before.total["energy_aj"]


def test_other_processes_draw_the_same(drawn, trace, monkeypatch):
    monkeypatch.setattr(replays, "_PARALLEL_FROM", 1)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    subjects = [Subject(unsure("edge-16x16"), trace)]
    assert draw(subjects, 24, 5) == [drawn[0]]


def test_the_account_is_of_the_samples(drawn):
    ours, theirs = drawn
    told = account(ours, theirs)
    speed = np.array(theirs.columns["latency_s"]) / np.array(ours.columns["latency_s"])
    assert told["speedup"]["median"] == pytest.approx(np.median(speed))
    ends = np.quantile(speed, [0.05, 0.95], method="weibull")
    assert [told["speedup"]["low"], told["speedup"]["high"]] == pytest.approx(list(ends))
    assert told["probability_faster"] == pytest.approx((speed > 1).mean())
    assert (told["samples"], told["seed"], told["infeasible"]) == (24, 5, 0)
    assert told["decided"] == "speedup"
    assert not any(is_price(row["setting"]) for row in told["decided_by"])
    assert {"forward_speedup", "forward_latency_s", "energy_ratio"} <= set(told)


def test_an_answer_that_one_constant_decides_says_so(trace):
    only = {"cpu.dispatch.forward": (16_000, 65_000, 130_000)}
    (samples,) = draw([Subject(unsure("cpu-only", only), trace)], 24)
    told = account(samples)
    (row,) = told["decided_by"]
    assert row["setting"] == "cpu.dispatch.forward"
    assert row["name"] == "forward of the dispatch of the CPU"
    assert row["share"] == 1
    assert (row["low"], row["value"], row["high"]) == ("16 kcycles", "65 kcycles", "130 kcycles")


def test_samples_that_cannot_run_are_counted_and_said(trace):
    ranges = {"dram.capacity": (1024, 10**6, 2 * 2**30)}
    (samples,) = draw([Subject(unsure("cpu-only", ranges), trace)], 24)
    told = account(samples)
    lost = sum(map(math.isnan, samples.columns["latency_s"]))
    assert 0 < lost < 24
    assert told["infeasible"] == lost == sum(told["reasons"].values())
    assert any("DRAM" in reason for reason in told["reasons"])


def test_the_function_for_python_gives_the_same_account(trace, drawn):
    machines = (unsure("edge-16x16"), unsure("cpu-only"))
    told = intervals(machines[0], trace, baseline=machines[1], samples=24, seed=5)
    assert told == account(*drawn)


# --- the command line ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sure")
    source = small_trace(folder)
    done = trainsoc(
        "run", "edge-16x16", source, "--baseline", "cpu-only", "--samples", 20, "-o", folder / "a"
    )
    assert done.returncode == 0, done.stderr
    return folder, source, done.stdout


def test_the_verdict_has_intervals_and_says_how_sure_it_is(run):
    folder, _, shown = run
    assert "Brackets hold nine in ten of 20 samples over the ranges of all constants" in shown
    result = json.loads((folder / "a" / "result.json").read_text())
    told = result["uncertainty"]
    assert told["energy_j"]["low"] < told["energy_j"]["median"] < told["energy_j"]["high"]
    assert f"faster in {100 * told['probability_faster']:.0f} % of them" in shown
    samples = read_samples(folder / "a")
    assert samples.count == 20
    assert interval(samples.columns["energy_j"])._asdict() == told["energy_j"]
    assert "uncertainty" in json.loads((folder / "a" / "baseline" / "result.json").read_text())


def test_two_runs_of_equal_draws_have_ratios_with_intervals(run):
    folder, _, _ = run
    done = trainsoc("diff", folder / "a", folder / "a" / "baseline", "--json")
    told = json.loads((folder / "a" / "result.json").read_text())["uncertainty"]
    assert json.loads(done.stdout)["uncertainty"]["energy_ratio"] == told["energy_ratio"]


def test_json_is_reproducible_and_zero_turns_samples_off(run):
    _, source, _ = run
    asked = ("run", "cpu-only", source, "--json")
    one, other = (trainsoc(*asked, "--samples", 4, "--seed", 3).stdout for _ in range(2))
    assert one == other
    assert json.loads(one)["uncertainty"]["level"] == 0.6
    assert "uncertainty" not in json.loads(trainsoc(*asked, "--samples", 0).stdout)
    refused = trainsoc(*asked, "--samples", 1)
    assert (refused.returncode, "one sample has no interval" in refused.stderr) == (2, True)


# --- sweeps -------------------------------------------------------------------------------------


def test_points_of_a_sweep_have_percentiles_and_the_best_says_how_sure_it_is(tmp_path, trace):
    machine = unsure("edge-16x16")
    space = {"accelerator.rows": [4, 8, 16]}
    options = {"hardware": machine, "workers": 1, "quiet": True, "samples": 12, "seed": 5}
    table = sweep(space, trace, tmp_path, **options)
    for row in table.iter_rows(named=True):
        at = load_hardware(machine, {"accelerator.rows": row["accelerator.rows"]})
        (samples,) = draw([Subject(at, trace)], 12, 5)
        told = account(samples)["latency_s"]
        ends = [row[f"latency_{name}_s"] for name in ("p05", "p50", "p95")]
        assert ends == [told["low"], told["median"], told["high"]]
    kept = polars.read_parquet(tmp_path / "points.parquet")
    assert kept["latency_p95_s"].to_list() == table["latency_p95_s"].to_list()
    columns = [json.loads(each)["latency_s"] for each in table["samples"]]
    least = min(range(3), key=lambda i: table["latency_s"][i])
    wins = np.argmin(np.array(columns), axis=0) == least
    assert best_in_samples(table, "latency") == pytest.approx(wins.mean())
    assert "samples" not in best(table, "latency")
    assert best_in_samples(table, "area_total_mm2") is None


def test_the_best_of_a_sweep_says_how_surely_it_is(run, tmp_path):
    _, source, _ = run
    done = trainsoc(
        "sweep", "edge-16x16", source, "--set", "accelerator.rows=4,16", "--samples", 4,
        "-o", tmp_path / "s", "--workers", 1, "--best", "energy", "--csv", tmp_path / "t.csv",
    )  # fmt: skip
    table = polars.read_parquet(tmp_path / "s" / "points.parquet")
    share = best_in_samples(table, "energy")
    assert f"; the best in {100 * share:.0f} % of the samples" in done.stdout
    columns = polars.read_csv(tmp_path / "t.csv").columns
    assert {"energy_p05_j", "energy_p95_j"} <= set(columns)
    assert "samples" not in columns


# --- figures ------------------------------------------------------------------------------------


def test_whiskers_are_the_intervals_and_the_figure_tells_the_shares(drawn, trace, tmp_path):
    documents = {}
    for name, told in zip(("edge-16x16", "cpu-only"), accounts(drawn), strict=True):
        result = simulate(unsure(name), trace)
        result.uncertainty = told
        documents[name] = result.as_dict()
    with styled():
        axes = latency_per_phase(documents).axes[0]
    whiskers = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
    told = documents["edge-16x16"]["uncertainty"]["forward_latency_s"]
    ratios = [high / low for low, high in whiskers]
    assert any(told["high"] / told["low"] == pytest.approx(ratio) for ratio in ratios)
    assert "decides.png" in {path.name for path in draw_run(documents, {}, tmp_path)}
    with styled():
        figure = decides(documents)
    shares = [text.get_text() for text in figure.axes[0].texts]
    first = documents["edge-16x16"]["uncertainty"]["decided_by"][0]
    assert f"{100 * first['share']:.0f} %" in shares
    plain = {name: {k: v for k, v in d.items() if k != "uncertainty"}
             for name, d in documents.items()}  # fmt: skip
    assert decides(plain) is None


@pytest.mark.slow
def test_the_truth_of_a_real_run_lies_in_its_interval_nine_times_of_ten():
    trace = load_trace("mlp_digits")
    subjects = [Subject(unsure("edge-16x16"), trace), Subject(unsure("cpu-only"), trace)]
    told = account(*draw(subjects, 64, 0))["speedup"]
    ours, theirs = draw(subjects, 100, 1)
    truths = np.array(theirs.columns["latency_s"]) / np.array(ours.columns["latency_s"])
    held = ((told["low"] <= truths) & (truths <= told["high"])).sum()
    assert 80 <= held <= 98  # three standard deviations of 100 truths, and of the ends themselves


def test_uncertain_constants_are_those_of_the_description_and_of_its_prices():
    known = [each.path for each in uncertain(Subject(unsure("edge-16x16"), None))]
    assert known[: len(RANGES)] == list(RANGES)
    assert all(path.startswith("energy.") for path in known[len(RANGES) :])
