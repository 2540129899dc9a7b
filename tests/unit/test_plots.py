"""Do the figures say what the documents say, for every kind of run, and are their sums exact?"""

import copy
import struct
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import InputError
from simulator.replay import Replay
from simulator.si import scale, share
from simulator.trace.op import Phase, Role
from simulator.trace.trace import Segment, Trace
from simulator.views.figure_names import NAMES_BY_KIND
from simulator.views.plots import FIGURES_BY_KIND, Drawing, draw_run, draw_step
from simulator.views.plots.against_baseline import against_baseline
from simulator.views.plots.bars import energy_per_epoch, energy_per_phase, latency_per_phase
from simulator.views.plots.canvas import COMPONENTS, PHASES, styled
from simulator.views.plots.over_step import cumulative_energy, step_memory
from simulator.views.plots.over_time import dram_bandwidth, occupancy
from simulator.views.plots.profile import layers, profile
from simulator.views.plots.roofline import roofline
from simulator.views.plots.series import bars, bin_edges, binned_bytes, busy_ps
from tests.builders import StepBuilder, machine

NAMES = [
    "energy_per_epoch.png", "energy_per_phase.png", "latency_per_phase.png",
    "dram_bandwidth.png", "occupancy.png", "cumulative_energy.png", "step_memory.png",
    "roofline.png", "profile.png", "layers.png",
]  # fmt: skip


def _trace(epochs, *, backward=True):
    builder = StepBuilder()
    x = builder.gemm(64, 128, 96)
    for i in range(4):
        x = builder.gemm(64, 128, 128, a=builder.elementwise(x, layer=f"act{i}"), layer=f"fc{i}")
    for i in range(4 if backward else 0):
        builder.gemm(64, 128, 128, phase=Phase.DGRAD, role=Role.DGRAD, layer=f"fc{i}")
        builder.gemm(128, 128, 64, phase=Phase.WGRAD, role=Role.WGRAD, layer=f"fc{i}")
        builder.elementwise(builder.tensor(700, 700), phase=Phase.OPTIMIZER)
    segments = tuple(Segment(epoch, 0, 10) for epoch in range(epochs))
    return Trace("built", (builder.step(),), segments)


def _documents(bases, *, epochs=2, backward=True, issue="in_order"):
    trace = _trace(epochs, backward=backward)
    replays = {base: Replay(machine(base, runtime__issue=issue), trace) for base in bases}
    results = {base: replay.run().as_dict() for base, replay in replays.items()}
    return results, {base: replay.typical_step() for base, replay in replays.items()}


BOTH = ("edge-16x16", "cpu-only")


@pytest.fixture(scope="module")
def both():
    return _documents(BOTH, issue="dataflow")


@pytest.fixture(scope="module")
def drawn(both, tmp_path_factory):
    """Figures of both machines, and the settings of matplotlib before they were drawn and after."""
    before = dict(matplotlib.rcParams)
    paths = draw_run(*both, tmp_path_factory.mktemp("drawn"))
    return paths, before, dict(matplotlib.rcParams)


def _title(figure):
    return " ".join(figure.get_suptitle().split())


def _draw(function, documents):
    with styled():
        return function(documents)


# --- exact series -------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 7, 250, 10**5])
def test_bins_hold_exactly_the_bytes_of_the_flows(both, bins):
    for step in both[1].values():
        series = binned_bytes(step["flows"], bin_edges(step["duration_ps"], bins))
        for unit, sizes in series.items():
            assert sum(sizes) == sum(f["bytes"] for f in step["flows"] if f["unit"] == unit)


@pytest.mark.parametrize("bins", [1, 7, 250, 10**5])
def test_no_bin_is_above_the_peak_of_the_memory(both, bins):
    for step in both[1].values():
        edges = bin_edges(step["duration_ps"], bins)
        columns = zip(*binned_bytes(step["flows"], edges).values(), strict=True)
        peak = Fraction(step["machine"]["dram_bytes_per_s"], 10**12)
        for (low, high), sizes in zip(pairwise(edges), columns, strict=True):
            assert sum(sizes) <= peak * (high - low)


def test_a_flow_is_spread_evenly():
    flow = {"unit": "cpu", "task": 0, "start_ps": 5, "end_ps": 35, "bytes": 100}
    sizes = binned_bytes([flow], [0, 10, 20, 30, 40])["cpu"]
    assert sizes == [Fraction(50, 3), Fraction(100, 3), Fraction(100, 3), Fraction(50, 3)]


def test_a_flow_that_ends_at_an_edge_stays_before_it():
    flow = {"unit": "cpu", "task": 0, "start_ps": 0, "end_ps": 10, "bytes": 3}
    assert binned_bytes([flow], [0, 10, 20])["cpu"] == [3, 0]


times = st.integers(0, 1000)
flows = st.builds(
    lambda a, b, size: {
        "unit": "cpu", "task": 0, "start_ps": min(a, b), "end_ps": max(a, b), "bytes": size,
    },
    times, times, st.integers(0, 10**6),
)  # fmt: skip


@given(st.lists(flows, max_size=20), st.integers(0, 1000), st.integers(1, 300))
def test_no_byte_is_lost_whatever_the_flows(made, duration, bins):
    edges = bin_edges(duration, bins)
    assert (edges[0], edges[-1]) == (0, max(1, duration))
    sizes = binned_bytes(made, edges).get("cpu", [])
    assert sum(sizes) == sum(flow["bytes"] for flow in made)
    assert all(size >= 0 for size in sizes)


tasks = st.builds(
    lambda a, b, phase: {"start_ps": min(a, b), "end_ps": max(a, b), "phase": phase},
    times, times, st.sampled_from(["forward", "dgrad"]),
)  # fmt: skip


@given(st.lists(tasks, max_size=20))
def test_busy_time_counts_every_moment_once(made):
    moments = {t for task in made for t in range(task["start_ps"], task["end_ps"])}
    assert busy_ps(made) == len(moments)


def _made_task(start, end, phase="forward"):
    return {"start_ps": start, "end_ps": end, "phase": phase}


def test_near_neighbours_of_a_phase_are_one_bar():
    made = [_made_task(0, 10), _made_task(12, 20), _made_task(40, 50), _made_task(50, 60, "wgrad")]
    assert bars(made, 2) == [("forward", 0, 20), ("forward", 40, 50), ("wgrad", 50, 60)]
    assert bars(made, 1)[0] == ("forward", 0, 10)


# --- figures ------------------------------------------------------------------------------------


def _png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize(
    ("bases", "epochs", "backward"),
    [
        (BOTH, 30, True),
        (("edge-16x16",), 1, True),
        (("cpu-only",), 30, True),
        (BOTH[::-1], 1, False),
    ],
)
def test_every_figure_is_a_png_of_reasonable_size(bases, epochs, backward, tmp_path):
    documents = _documents(bases, epochs=epochs, backward=backward)
    paths = draw_run(*documents, tmp_path / "figures")
    assert [path.name for path in paths] == NAMES
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(NAMES)
    for path in paths:
        width, height = _png_size(path)
        assert width == 7.5 * 150
        assert 2.5 * 150 <= height <= 8 * 150
        assert 10_000 < path.stat().st_size < 300_000


def test_equal_documents_give_equal_files(both, drawn, tmp_path):
    again = draw_run(*both, tmp_path)
    assert [p.read_bytes() for p in drawn[0]] == [p.read_bytes() for p in again]


def test_a_run_without_energy_or_time_is_drawn(both, tmp_path):
    results, steps = copy.deepcopy(both)
    for result in results.values():
        for row in [result["total"], *result["phases"], *result["epochs"]]:
            row["energy_j"] = row["latency_s"] = 0.0
            row["energy_by_component_j"] = dict.fromkeys(row["energy_by_component_j"], 0.0)
    for step in steps.values():
        step.update(tasks=[], flows=[], power=[], duration_ps=0)
    reasons = []
    for step in steps.values():
        step.pop("memory", None)
    paths = draw_run(results, steps, Drawing(tmp_path, say=reasons.append))
    left_out = set(NAMES) - {path.name for path in paths}
    assert left_out == {"cumulative_energy.png", "step_memory.png"}
    assert reasons == [
        "no cumulative_energy: no step spends energy",
        "no step_memory: the step does not tell its memory: run it again with this version",
    ]


def test_a_memory_without_practical_limit_is_drawn(both, tmp_path):
    steps = copy.deepcopy(both[1])
    for step in steps.values():
        step["machine"]["dram_bytes_per_s"] *= 10**6
    assert len(draw_step(steps, tmp_path)) == 7


def test_gemms_that_never_touch_memory_stay_on_the_roofline(both):
    step = copy.deepcopy(both[1]["cpu-only"])
    for task in step["tasks"]:
        task["dram_bytes"] = 0
    note = _draw(roofline, {"cpu-only": step}).get_supxlabel()
    assert "At the right edge: 13 without DRAM traffic." in " ".join(note.split())


def test_the_roofline_names_the_longest_layers_at_their_longest_gemms(both):
    step = copy.deepcopy(both[1]["edge-16x16"])
    products = [task for task in step["tasks"] if task["macs"]]
    names = [f"layer{i % 9}" for i in range(len(products))]
    for i, (task, name) in enumerate(zip(products, names, strict=True)):
        task["layer"], task["end_ps"] = name, task["start_ps"] + 10**6 * (i + 1)
    axes = _draw(roofline, {"edge-16x16": step}).axes[0]
    factor, _ = scale(step["machine"]["array_macs_per_s"])
    lengths = dict.fromkeys(names, 0)
    places = {}
    for task in products:  # ascending in length, so that the last of a layer is its longest
        length = task["end_ps"] - task["start_ps"]
        lengths[task["layer"]] += length
        rate = task["macs"] * 1e12 / length
        places[task["layer"]] = task["macs"] / task["dram_bytes"], rate / factor
    wanted = sorted(lengths, key=lengths.__getitem__)[-6:]
    drawn = {t.get_text(): t.xy for t in axes.texts if t.get_text().startswith("layer")}
    assert drawn == {name: pytest.approx(places[name]) for name in wanted}


def test_ratios_against_a_baseline_have_the_ranges_of_common_samples(both):
    results = copy.deepcopy(both[0])
    main, other = results
    assert _draw(against_baseline, results) is None  # nothing was sampled
    account = {"samples": 64, "seed": 0, "level": 0.9, "infeasible": 0, "reasons": {}}
    ends = {"speedup": (1.5, 9.0), "energy_ratio": (0.5, 3.0)}
    for name, (low, high) in ends.items():
        account[name] = {"low": low, "high": high}
    results[main]["uncertainty"] = account
    assert _draw(against_baseline, {main: results[main]}) is None
    figure = _draw(against_baseline, results)
    axes = figure.axes[0]
    for key, bar, (whisker, name) in zip(
        ("latency_s", "energy_j"), axes.patches, zip(axes.lines, ends, strict=False), strict=True
    ):
        expected = results[other]["total"][key] / results[main]["total"][key]
        assert bar.get_width() == pytest.approx(expected)
        assert tuple(whisker.get_xdata()) == ends[name]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["latency", "energy"]
    assert axes.lines[2].get_xdata() == [1, 1]
    assert _title(figure).count("its range has 1") == 1


def test_help_names_every_figure():
    assert FIGURES_BY_KIND == NAMES_BY_KIND


@pytest.mark.parametrize("bases", [BOTH, BOTH[::-1]], ids=" ".join)
def test_machines_share_one_time_axis(both, bases):
    steps = {base: both[1][base] for base in bases}
    longest = max(step["duration_ps"] for step in steps.values())
    factor, prefix = scale(longest / 10**12)
    for draw in (dram_bandwidth, occupancy, cumulative_energy, step_memory):
        axes = [each for each in _draw(draw, steps).axes if each.get_xlabel()]
        assert axes
        assert {each.get_xlabel() for each in axes} == {f"time in the step ({prefix}s)"}
        for each in axes:
            assert each.get_xlim() == (0, pytest.approx(longest / 1e12 / factor))


def test_energy_so_far_ends_at_power_times_time(both):
    """The sum is made by brute force: each level of power for as long as it lasts."""
    figure = _draw(cumulative_energy, both[1])
    factor, _ = scale(max(_spent_aj(step) for step in both[1].values()) / 10**18)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 1]
    for line, step in zip(lines, both[1].values(), strict=True):
        drawn = line.get_ydata()
        assert drawn[0] == 0
        assert all(a <= b for a, b in pairwise(drawn))
        assert drawn[-1] * factor == pytest.approx(_spent_aj(step) / 10**18)


def _spent_aj(step):
    ends = [*(row["start_ps"] for row in step["power"][1:]), step["duration_ps"]]
    return sum(
        row["power_uw"] * (end - row["start_ps"])
        for row, end in zip(step["power"], ends, strict=True)
    )


def test_memory_of_a_step_is_what_lives(both):
    figure = _draw(step_memory, both[1])
    most = [max(sum(row["bytes"].values()) for row in s["memory"]) for s in both[1].values()]
    factor, _ = scale(max(most))
    for axes, peak in zip(figure.axes, most, strict=True):
        tops = [patch.get_data().values for patch in axes.patches]
        assert max(tops[-1]) * factor == pytest.approx(peak)
        assert all((lower <= upper).all() for lower, upper in pairwise(tops))


def test_results_alone_are_drawn(both, tmp_path):
    assert [path.name for path in draw_run(both[0], {}, tmp_path)] == NAMES[:3]


def test_an_unwritable_place_is_an_input_error_and_leaves_nothing(both, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="cannot be written"):
        draw_run(*both, tmp_path / "file")
    (tmp_path / "figures" / NAMES[0]).mkdir(parents=True)  # in the place of the first figure
    with pytest.raises(InputError, match="cannot be written"):
        draw_run(*both, tmp_path / "figures")
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in (tmp_path / "figures").iterdir()] == [NAMES[0]]


# --- what the figures say -----------------------------------------------------------------------


def test_stacks_add_up_to_the_energy_of_each_epoch(both):
    figure = _draw(energy_per_epoch, both[0])
    for axes, result in zip(figure.axes, both[0].values(), strict=True):
        tops = {}
        for patch in axes.patches:
            x = round(patch.get_x() + patch.get_width() / 2)
            tops[x] = max(tops.get(x, 0), patch.get_y() + patch.get_height())
        energies = {row["epoch"]: row["energy_j"] for row in result["epochs"]}
        factor, _ = scale(max(row["energy_j"] for r in both[0].values() for row in r["epochs"]))
        assert {x: y * factor for x, y in tops.items()} == pytest.approx(energies)


def test_the_bandwidth_drawn_carries_the_bytes_of_the_step(both):
    figure = _draw(dram_bandwidth, both[1])
    for axes, step in zip(figure.axes, both[1].values(), strict=True):
        factor, _ = scale(step["duration_ps"] / 1e12)
        highest = axes.patches[-1].get_data()
        widths = [(b - a) * factor for a, b in pairwise(highest.edges)]
        moved = sum(v * 1e9 * w for v, w in zip(highest.values, widths, strict=True))
        assert moved == pytest.approx(sum(flow["bytes"] for flow in step["flows"]))


def test_titles_answer_with_the_documents_numbers(both):
    results, steps = copy.deepcopy(both)
    for base, energy, latency in (("edge-16x16", 2.24, 3.0), ("cpu-only", 5.6, 4.5)):
        results[base]["total"].update(energy_j=energy, latency_s=latency)
    assert _title(_draw(energy_per_epoch, results)) == (
        "Training costs 1.12 J per epoch on edge-16x16, 40 % of cpu-only"
    )
    assert _title(_draw(latency_per_phase, results)) == (
        "edge-16x16 trains with 1.5x speedup over cpu-only: 3 s against 4.5 s"
    )
    assert "takes the most energy on edge-16x16" in _title(_draw(energy_per_phase, results))
    moved = sum(flow["bytes"] for flow in steps["edge-16x16"]["flows"])
    assert f"moves {moved / 1e6:.3g} MB" in _title(_draw(dram_bandwidth, steps))
    assert "the CPU is busy" in _title(_draw(occupancy, steps))
    assert "of the array's 256 GMAC/s" in _title(_draw(roofline, steps))


def test_colours_are_fixed_and_distinct():
    assert set(PHASES) == {phase.value for phase in Phase}
    for table in (PHASES, COMPONENTS):
        assert len(set(table.values())) == len(table)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0, "0 %"),
        (1e-6, "<0.1 %"),
        (0.038, "3.8 %"),
        (0.384, "38 %"),
        (0.9999, ">99.9 %"),
        (1, "100 %"),
    ],
)
def test_shares_are_never_rounded_to_nothing_or_all(part, text):
    assert share(part, 1) == text


def test_drawing_touches_no_setting_and_no_backend(drawn):
    _, before, after = drawn
    assert after == before
    code = "import sys, simulator.views.plots; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- profile ------------------------------------------------------------------------------------


def _widths(axes):
    return [bar.get_width() for bar in axes.patches]


def test_shares_of_a_profile_are_all_of_the_step(both):
    figure = _draw(profile, both[1])
    for axes in figure.axes:
        assert sum(_widths(axes)) == pytest.approx(100)
    assert "of 100" not in _title(figure)


def test_a_profile_names_what_takes_longest(both):
    step = {"edge-16x16": both[1]["edge-16x16"]}
    busy = {}
    for task in step["edge-16x16"]["tasks"]:
        key = task["stage"] if task["stage"] not in ("op", "gemm") else task["op"]
        busy[key] = busy.get(key, 0) + task["end_ps"] - task["start_ps"]
    longest = max(busy, key=busy.get).replace("aten.", "").split(".")[0].replace("_", " ").strip()
    assert f"goes to {longest} on the" in _title(_draw(profile, step))


def test_layers_hold_the_products_and_what_they_drag_along(both):
    figure = _draw(layers, both[1])
    forward, dgrad, wgrad = figure.axes
    factor = 1e-3 if "ms" in forward.get_xlabel() else 1e-6
    drawn = sum(_widths(forward)) * factor
    expected = 0
    for step in both[1].values():
        served = {(t["layer"], t["op"]) for t in step["tasks"]
                  if t["stage"] == "gemm" and t["phase"] == "forward"}  # fmt: skip
        expected += sum(
            t["end_ps"] - t["start_ps"]
            for t in step["tasks"]
            if (t["layer"], t["op"]) in served and t["phase"] == "forward"
        )
    assert drawn == pytest.approx(expected / 1e12)
    assert len(_widths(dgrad)) == len(_widths(wgrad)) == len(_widths(forward))
    assert "over cpu-only" in _title(figure)


def test_figures_come_in_the_formats_that_are_named(both, tmp_path):
    drawing = Drawing(tmp_path, ("svg", "pdf"), ("roofline", "energy_per_phase"))
    paths = draw_run(*both, drawing)
    assert sorted(path.name for path in paths) == [
        "energy_per_phase.pdf",
        "energy_per_phase.svg",
        "roofline.pdf",
        "roofline.svg",
    ]
    text = (tmp_path / "roofline.svg").read_text()
    assert "<svg" in text
    assert ">DRAM" in text  # text stays text
    again = Drawing(tmp_path / "again", ("svg", "pdf"), ("roofline",))
    for path in draw_run(*both, again):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
