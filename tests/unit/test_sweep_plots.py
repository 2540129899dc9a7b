"""Do the figures of a sweep say what its rows say, whatever the space, and what does a knob do?"""

from itertools import combinations, product
from math import isnan, log, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from simulator.views.design_space import Measure, SweepTable, label_of
from simulator.views.plots import draw_sweep
from simulator.views.plots.canvas import styled
from simulator.views.plots.labels import far_apart
from simulator.views.plots.map_cells import letters
from simulator.views.plots.sweep_across import across
from simulator.views.plots.sweep_array import energy_by_array, utilization
from simulator.views.plots.sweep_curves import curves, sensitivity
from simulator.views.plots.sweep_front import front
from simulator.views.plots.sweep_map import heat_map
from simulator.views.plots.sweep_search import explained, history, importance, parallel
from simulator.views.sensitivity import main_effect, main_effects

ROWS, COLS, FLOW = "accelerator.rows", "accelerator.cols", "accelerator.dataflow"
PAD, PRESET, CLOCK = "accelerator.scratchpad", "dram.preset", "cpu.clock"
EPOCHS = 4
PARTS = {"array": 0.1, "scratchpad": 0.05, "cpu": 0.5, "interconnect": 0.05, "dram": 0.3}


def point(knobs, latency, energy, **more):
    parts = {f"energy_{name}_j": part * energy for name, part in PARTS.items()}
    return {
        **knobs, "trace": "lenet", "method": "as traced", "baseline": "", "feasible": True,
        "reason": "", "epochs": EPOCHS, "latency_s": latency, "energy_j": energy,
        "array_use": 0.125, "array_utilization": 0.25, "forward_array_utilization": 0.5,
        "optimizer_array_utilization": 0.0, **parts, "area_total_mm2": 1.0, "pareto": False, **more,
    }  # fmt: skip


def infeasible(knobs):
    row = point(knobs, 0.0, 0.0, feasible=False, reason="too small")
    known = {*knobs, "trace", "method", "baseline", "feasible", "reason", "pareto"}
    return {name: value if name in known else None for name, value in row.items()}


def baseline(name, knobs, latency, energy):
    return point(dict.fromkeys(knobs), latency, energy, baseline=name)


def with_front(rows):
    """Mark the points that no other beats, by comparing each with each."""
    runs = [row for row in rows if row["feasible"] and not row["baseline"]]
    for row in runs:
        row["pareto"] = not any(
            other["latency_s"] <= row["latency_s"]
            and other["energy_j"] <= row["energy_j"]
            and (other["latency_s"], other["energy_j"]) != (row["latency_s"], row["energy_j"])
            for other in runs
        )
    return rows


def energy_of(rows, cols, flow):
    return EPOCHS * (0.1 + 0.01 * abs(rows - 16) + 0.002 * abs(cols - 8) + 0.05 * (flow == "os"))


def table_of(sizes=(8, 16, 32), hole=()):
    """Return rows x cols x dataflow: least energy at 16 x 8 ws, fastest at the largest array."""
    rows = []
    for r, c, flow in product(sizes, sizes, ("ws", "os")):
        knobs = {ROWS: r, COLS: c, FLOW: flow}
        latency = EPOCHS * (0.1 + 10 / (r * c) + 0.01 * (flow == "os"))
        whole = (
            infeasible(knobs) if (r, c) in hole else point(knobs, latency, energy_of(r, c, flow))
        )
        rows.append(whole)
    rows.append(baseline("cpu-only", (ROWS, COLS, FLOW), 8.0, 2.0))
    return SweepTable(with_front(rows), [ROWS, COLS, FLOW])


def drawn(figure, table):
    with styled():
        return figure(table)


def title(figure):
    return " ".join(figure.get_suptitle().split())


def note(figure):
    return " ".join(figure.get_supxlabel().split())


def texts(axes):
    return [text.get_text() for text in axes.texts]


# --- the table ----------------------------------------------------------------------------------


def test_equal_knobs_are_one_axis_and_constant_ones_none():
    rows = [point({ROWS: n, COLS: n, PAD: 65536, CLOCK: f}, 1, 1) for n in (32, 8) for f in (1, 2)]
    axes = SweepTable(rows, [ROWS, COLS, PAD, CLOCK]).axes
    assert [(axis.label, axis.values) for axis in axes] == [
        ("rows = cols", (8, 32)), ("CPU clock", (1, 2)),
    ]  # fmt: skip


def test_values_are_told_with_the_units_of_the_hardware():
    rows = [
        point({PAD: size, CLOCK: hz, FLOW: flow}, 1, 1)
        for size, hz, flow in ((65536, 10**9, "ws"), (2**21, 12 * 10**8, "os"))
    ]
    pad, clock, flow = SweepTable(rows, [PAD, CLOCK, FLOW]).axes
    assert [pad.text(value) for value in pad.values] == ["64 KiB", "2 MiB"]
    assert clock.phrase(12 * 10**8) == "1.2 GHz CPU clock"
    assert (flow.label, flow.values, flow.numeric) == ("dataflow", ("ws", "os"), False)


def test_knobs_of_one_name_are_told_apart():
    both = ["accelerator.clock", "cpu.clock"]
    assert [label_of(knob, both) for knob in both] == ["accelerator clock", "CPU clock"]
    assert label_of(PRESET) == "DRAM preset"
    assert label_of("accelerator.dma.bandwidth") == "DMA bandwidth"


@pytest.mark.parametrize(
    ("column", "label", "text"),
    [
        ("energy_j", "energy per epoch", "500 mJ"),
        ("wgrad_latency_s", "wgrad latency per epoch", "250 ms"),
        ("area_total_mm2", "area", "1 mm2"),
    ],
)
def test_measures_in_seconds_and_joules_count_per_epoch(column, label, text):
    row = point({}, 1.0, 2.0, wgrad_latency_s=1.0)
    assert (Measure(column).label([row]), Measure(column).text(row)) == (label, text)


# --- the heat map -------------------------------------------------------------------------------


def test_the_map_shows_the_best_of_each_cell():
    table = table_of()
    figure = drawn(heat_map, table)
    energy, latency = (axes.images[0].get_array() for axes in figure.axes[:2])
    for i, j in product(range(3), range(3)):
        r, c = (8, 16, 32)[i], (8, 16, 32)[j]
        assert energy[i, j] == pytest.approx(energy_of(r, c, "ws") / EPOCHS)
        assert latency[i, j] == pytest.approx(0.1 + 10 / (r * c))
    assert sorted(texts(figure.axes[0]))[:3] == ["100", "116", "148"]
    assert title(figure) == (
        "16 × 8 takes the least energy per epoch, 100 mJ; 32 × 32 the least time, 110 ms"
    )
    assert "best over dataflow" in note(figure)


def test_cells_that_cannot_run_are_hatched_and_cells_not_tried_are_not():
    table = table_of(hole=((16, 8), (32, 32)))
    table = SweepTable([r for r in table.rows if (r[ROWS], r[COLS]) != (8, 8)], table.knobs)
    figure = drawn(heat_map, table)
    for axes in figure.axes[:2]:
        hatched = [p.get_xy() for p in axes.patches if isinstance(p, Rectangle) and p.get_hatch()]
        assert hatched == [(-0.5, 0.5), (1.5, 1.5)]  # x is cols, y is rows
        assert int(np.ma.getmaskarray(axes.images[0].get_array()).sum()) == 3
    assert "4 of which cannot run" in note(figure)


def test_colours_are_bands_above_the_best():
    figure = drawn(heat_map, table_of())
    image, bar = figure.axes[0].images[0], figure.axes[2]
    best = 0.1  # J per epoch, at 16 x 8
    shades = [image.norm(best * factor) for factor in (1, 1.019, 1.021, 1.049, 1.051)]
    assert shades[0] == shades[1] < shades[2] == shades[3] < shades[4]
    ends = [edge / best for edge in image.norm.boundaries]
    assert ends[:4] == pytest.approx([1, 1.02, 1.05, 1.1])
    assert [text.get_text() for text in bar.get_yticklabels()][:3] == ["2 %", "5 %", "10 %"]
    assert bar.get_yticks()[:3] == pytest.approx([1.02 * best, 1.05 * best, 1.1 * best])
    assert bar.get_ylabel() == "within … of the best"


def test_cells_of_equal_values_need_no_bands():
    rows = [point({ROWS: r, COLS: c}, 1.0, 1.0) for r, c in product((8, 16), repeat=2)]
    figure = drawn(heat_map, SweepTable(with_front(rows), [ROWS, COLS]))
    assert texts(figure.axes[0]) == ["250"] * 4
    assert list(figure.axes[2].get_yticks()) == []


def test_a_cell_that_cannot_run_says_why():
    table = table_of(hole=((16, 8), (32, 32), (32, 8)))
    why = {(16, 8): "needs 12 KiB", (32, 32): "needs 3.5 KiB", (32, 8): "no such port"}
    rows = [row | {"reason": why.get((row[ROWS], row[COLS]), "")} for row in table.rows]
    figure = drawn(heat_map, SweepTable(rows, table.knobs))
    places = {t.get_text(): [] for t in figure.axes[0].texts}
    for text in figure.axes[0].texts:
        places[text.get_text()].append(text.get_position())
    assert (places["a"], places["b"]) == ([(0, 1), (2, 2)], [(0, 2)])
    assert "cannot run (a: needs 12 KiB; b: no such port)" in note(figure)


def test_reasons_beyond_the_fourth_share_a_letter():
    signs = letters({(i, 0): f"reason {'pqrstu'[i]} of {i}" for i in range(6)})
    assert [*signs.values()] == ["a", "b", "c", "d", "e", "e"]


def test_a_line_parts_off_what_lies_beyond_a_constraint():
    whole = table_of()
    inside = [r for r in whole.rows if r["baseline"] or r[ROWS] * r[COLS] <= 300]
    table = SweepTable(inside, whole.knobs, constraints=("rows * cols <= 300",))
    figure = drawn(heat_map, table)
    # rows x cols: all of 8, 16 with 8 and 16, 32 with 8 are inside.
    line = {(1.5, 0.5), (1.5, 1.5), (2.5, 0.5), (0.5, 1.5), (0.5, 2.5)}
    segments = figure.axes[0].collections[0].get_segments()
    ends = {tuple(end) for segment in segments for end in segment.tolist()}
    assert ends == line
    assert len(segments) == 4
    assert "not rows * cols <= 300" in note(figure)
    free = drawn(heat_map, SweepTable(inside, whole.knobs))
    assert len(free.axes[0].collections[0].get_segments()) == 0
    assert "Empty: not among the points" in note(free)


# --- the front ----------------------------------------------------------------------------------


def dots(axes):
    """Return the points drawn, beaten ones first."""
    return [
        {tuple(map(float, spot)) for spot in drawn.get_offsets()}
        for drawn in axes.collections
        if isinstance(drawn, PathCollection)
    ]


costs = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=25)


@given(costs)
@settings(max_examples=25, deadline=None)
def test_the_staircase_runs_through_the_points_that_none_beats(pairs):
    rows = [point({ROWS: i}, float(x), float(y)) for i, (x, y) in enumerate(pairs)]
    figure = drawn(front, SweepTable(with_front(rows), [ROWS]))
    beaten, best = dots(figure.axes[0])
    scaled = {(x / EPOCHS, y / EPOCHS) for x, y in pairs}
    unbeaten = {
        a for a in scaled if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in scaled)
    }
    assert best == unbeaten
    assert best | beaten == scaled
    stairs = figure.axes[0].lines[0]
    assert stairs.get_drawstyle() == "steps-post"
    assert set(zip(*stairs.get_data(), strict=True)) >= unbeaten
    assert all(a >= b for a, b in zip(stairs.get_ydata(), stairs.get_ydata()[1:], strict=False))


@pytest.mark.parametrize("crowd", [1.0, 0.02])
def test_labels_of_the_front_do_not_overlap(crowd):
    ways = [crowd * i / 39 for i in range(39)] + [1.0]
    rows = [point({ROWS: i}, 1.0 + way, 2.0 - way**0.5) for i, way in enumerate(ways)]
    figure = drawn(front, SweepTable(with_front(rows), [ROWS]))
    with styled():
        figure.draw_without_rendering()
        found = [text for text in figure.axes[0].texts if text.get_text()]
        boxes = [Text.get_window_extent(text) for text in found]  # without the line to the point
    assert len(boxes) == 12
    assert {"rows 0", "rows 39"} <= {text.get_text() for text in found}
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_long_names_are_numbers_with_a_key_and_baselines_are_named():
    rows = [
        point({PAD: 2**k, PRESET: preset}, 1.0 + k, 40.0 - k + more)
        for k in range(13, 17)
        for preset, more in (("LPDDR4-3200_x32_1ch", 0), ("HBM2_8ch", 30))
    ]
    rows.append(baseline("cpu-only", (PAD, PRESET), 30.0, 90.0))
    figure = drawn(front, SweepTable(with_front(rows), [PAD, PRESET]))
    *panels, key = figure.axes
    assert "cpu-only" in texts(panels[0])
    assert texts(panels[-1]) == ["1", "2", "3", "4"]
    assert texts(key)[4:8] == ["1", "8 KiB scratchpad", "3.5 s", "6.75 J"]
    assert "All points on the front: LPDDR4-3200_x32_1ch" in note(figure)
    assert title(figure) == (
        "11 % less energy costs 21 % more latency from end to end of the front, 4 of 8 points"
    )


def test_a_third_objective_is_the_colour():
    columns = ("latency_s", "energy_j", "area_total_mm2")
    rows = [point({ROWS: n}, 8.0 / n, float(n), area_total_mm2=float(n)) for n in (1, 2, 4)]
    figure = drawn(front, SweepTable(with_front(rows), [ROWS], columns))
    best = figure.axes[0].collections[1]
    assert sorted(best.get_array()) == [1.0, 2.0, 4.0]
    assert any(axes.get_ylabel() == "area (mm2)" for axes in figure.axes)


def test_the_labelled_points_are_those_far_apart():
    figure = drawn(front, SweepTable(with_front([point({ROWS: 1}, 1.0, 1.0)]), [ROWS]))
    axes = figure.axes[0]
    axes.set(xlim=(0, 10), ylim=(0, 10))
    assert far_apart(axes, [(0, 0), (1, 0), (2, 0), (5, 0), (9, 0), (10, 0)], 3) == [0, 3, 5]
    assert far_apart(axes, [(0, 0)], 3) == [0]


# --- arrays -------------------------------------------------------------------------------------


def test_bars_add_up_to_the_energy_of_the_best_point_of_each_array():
    figure = drawn(energy_by_array, table_of(hole=((32, 32),)))
    axes = figure.axes[0]
    names = [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in axes.get_xticklabels()]
    assert names == [
        "8 × 8", "8 × 16", "16 × 8", "8 × 32", "16 × 16", "32 × 8", "16 × 32", "32 × 16", "32 × 32",
        "cpu-only",
    ]  # fmt: skip
    assert len(axes.patches) == len(PARTS) * len(names)
    heights = np.array([bar.get_height() for bar in axes.patches]).reshape(len(PARTS), -1).sum(0)
    shapes = [tuple(map(int, name.split(" × "))) for name in names[:-2]]
    expected = [1e3 * energy_of(*shape, "ws") / EPOCHS for shape in shapes]  # in mJ
    assert heights == pytest.approx([*expected, 0, 2000 / EPOCHS])
    assert "cannot run" in texts(axes)
    assert title(figure).endswith("100 mJ, 50 % of it for the CPU")


def test_many_shapes_become_one_bar_per_number_of_elements():
    figure = drawn(energy_by_array, table_of((4, 8, 16, 32)))
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    # 16 shapes have 7 sizes; of each the one nearest to 16 rows, then to 8 columns
    assert [name.replace("\N{NO-BREAK SPACE}", "") for name in names[:-1]] == [
        "4×4", "8×4", "16×4", "16×8", "16×16", "16×32", "32×32",
    ]  # fmt: skip


def test_utilization_is_that_of_the_point_of_least_energy():
    rows = [
        point({ROWS: n, FLOW: flow}, 1.0, cost, **{COLS: 8}, forward_array_utilization=use)
        for n, flow, cost, use in ((8, "ws", 1, 0.9), (8, "os", 2, 1.0), (16, "ws", 1, 0.4))
    ]
    figure = drawn(utilization, SweepTable(rows, [ROWS, FLOW]))
    forward, whole = figure.axes[0].lines  # the optimizer never uses the array
    assert (list(forward.get_xdata()), list(forward.get_ydata())) == ([64, 128], [0.9, 0.4])
    assert list(whole.get_ydata()) == [0.25, 0.25]


# --- curves -------------------------------------------------------------------------------------


def test_a_line_joins_the_best_points_of_each_value():
    table = table_of((4, 8, 16, 32, 64))
    figure = drawn(curves, table)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "energy per epoch (mJ)", "latency per epoch (ms)",
    ]  # fmt: skip
    lines = {line.get_color(): line for line in figure.axes[0].lines}
    # dataflow moves the mean energy less than cols does, so that cols has the lines
    assert len(lines) == 5
    for cols, line in zip((4, 8, 16, 32, 64), lines.values(), strict=True):
        expected = [energy_of(r, cols, "ws") / EPOCHS for r in (4, 8, 16, 32, 64)]
        assert list(line.get_ydata()) == pytest.approx(expected)
    assert "rows 16 with cols 8, 100 mJ" in title(figure)


def test_a_knob_that_changes_nothing_is_said_to():
    rows = [point({ROWS: n}, 1.0 / n, 8.0) for n in (1, 2, 4)]
    figure = drawn(curves, SweepTable(rows, [ROWS]))
    assert title(figure) == "Energy per epoch is 2 J at best, whatever the rows"


def test_a_line_breaks_where_nothing_runs_and_at_most_seven_are_drawn():
    rows = [
        infeasible({ROWS: r, COLS: c})
        if (r, c) == (2, 1)
        else point({ROWS: r, COLS: c}, 1.0, r * (1 + abs(c - 3)))
        for r, c in product(range(1, 12), range(1, 10))
    ]
    figure = drawn(curves, SweepTable(rows, [ROWS, COLS]))
    lines = figure.axes[0].lines
    assert len(lines) == 7
    assert [isnan(y) for y in lines[0].get_ydata()] == [x == 2 for x in range(1, 12)]
    assert "2 values of cols are left out" in note(figure)
    assert "with cols 3," in title(figure)
    assert "3" in [text.get_text() for text in figure.legends[0].get_texts()]


# --- sensitivity --------------------------------------------------------------------------------

values = st.one_of(st.none(), st.floats(0.1, 100))
grids = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda size: st.tuples(
        st.just(size), st.lists(values, min_size=prod(size), max_size=prod(size))
    )
)


@given(grids)
@settings(max_examples=100, deadline=None)
def test_a_main_effect_is_that_of_all_comparable_settings(grid):
    (a, b, c), measured = grid
    places = list(product(range(a), range(b), range(c)))
    known = {
        place: value for place, value in zip(places, measured, strict=True) if value is not None
    }
    rows = [{"a": i, "b": j, "c": k, "y": known.get((i, j, k))} for i, j, k in places]
    effect = main_effect(rows, "a", ["b", "c"], lambda row: row["y"])
    alive = [i for i in range(a) if any(place[0] == i for place in known)]
    fair = [
        (j, k) for j, k in product(range(b), range(c)) if all((i, j, k) in known for i in alive)
    ]
    if len(alive) < 2 or not fair:
        assert effect is None
        return
    means = {i: prod(known[i, j, k] for j, k in fair) ** (1 / len(fair)) for i in alive}
    assert effect.ratio == pytest.approx(max(means.values()) / min(means.values()))
    assert effect.means == pytest.approx(means)
    assert effect.settings == len(fair)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=4), st.floats(1, 20), st.floats(0.1, 9))
@settings(max_examples=50, deadline=None)
def test_factors_of_a_product_are_found_one_by_one(factors, double, scale):
    rows = [
        {"a": i, "b": j, "y": scale * factor * double**j}
        for i, factor in enumerate(factors)
        for j in range(2)
    ]
    found = {effect.knob: effect for effect in main_effects(rows, ["a", "b"], lambda r: r["y"])}
    assert log(found["b"].ratio) == pytest.approx(log(double), abs=1e-9)
    assert found["a"].ratio == pytest.approx(max(factors) / min(factors))


def test_bars_are_the_ratios_of_the_knobs():
    rows = [
        point({ROWS: r, PRESET: dram}, 10.0 / r, r * cost)
        for r, (dram, cost) in product((1, 2, 5), (("slow", 1.0), ("fast", 8.0)))
    ]
    figure = drawn(sensitivity, SweepTable(rows, [ROWS, PRESET]))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["DRAM preset", "rows"]
    widths = [1 + bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([8, 5, 5, 1])  # energy of both, latency of both
    assert texts(axes) == ["8: slow best, fast worst", "5: 1 best, 5 worst",
                           "5: 5 best, 1 worst", "1"]  # fmt: skip
    assert (
        title(figure) == "Energy depends most on DRAM preset, up to 8x; latency on rows, up to 5x"
    )


# --- whatever the table -------------------------------------------------------------------------


def stems(paths):
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    return {path.stem for path in paths}


ALL = {"heat_map", "front", "energy_by_array", "utilization", "curves", "sensitivity"}


def test_figures_that_a_table_cannot_give_are_left_out(tmp_path):
    assert stems(draw_sweep(table_of(), tmp_path)) == ALL
    clocks = [point({CLOCK: n * 10**9}, 1.0 / n, 1.0 + n) for n in (1, 2)]
    assert stems(draw_sweep(SweepTable(clocks, [CLOCK]), tmp_path)) == {
        "front", "curves", "sensitivity",
    }  # fmt: skip
    words = [point({FLOW: flow}, 1.0, 1.0) for flow in ("ws", "os")]
    assert stems(draw_sweep(SweepTable(words, [FLOW]), tmp_path)) == {"front", "sensitivity"}
    one = SweepTable(words, [FLOW], ("energy_j",))
    assert stems(draw_sweep(one, tmp_path)) == {"sensitivity"}


def lone_point():
    """Return the table of four arrays, of which one can run, and the rows where none can."""
    knobs = [{ROWS: r, COLS: c} for r, c in product((8, 16), (8, 16))]
    none = [infeasible(each) for each in knobs]
    return SweepTable([point(knobs[0], 1.0, 1.0, pareto=True), *none[1:]], [ROWS, COLS]), none


def test_one_feasible_point_is_drawn_and_none_is_not(tmp_path):
    lone, none = lone_point()
    assert stems(draw_sweep(lone, tmp_path)) == {"heat_map", "front", "energy_by_array"}
    assert draw_sweep(SweepTable(none, [ROWS, COLS]), tmp_path / "none") == []
    assert draw_sweep(SweepTable([], []), tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_each_trace_has_figures_of_its_own(tmp_path):
    rows = table_of().points
    both = [*rows, *({**row, "trace": "mlp digits/2"} for row in rows)]
    table = SweepTable(both, [ROWS, COLS, FLOW, "trace"])
    assert table.by_trace()["lenet"].rows == rows
    paths = draw_sweep(table, tmp_path)
    names = {f"{name}_{t}" for name in ALL for t in ("lenet", "mlp_digits_2")}
    assert stems(paths) == names | {"across"}


def test_a_free_machine_is_drawn(tmp_path):
    rows = [point({ROWS: r, COLS: c}, 0.0, 0.0) for r, c in product((8, 16), (8, 16))]
    assert "front" in stems(draw_sweep(SweepTable(rows, [ROWS, COLS]), tmp_path))


def test_equal_tables_give_equal_files(tmp_path):
    one, other = (draw_sweep(table_of(), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


# --- a search, and several trainings --------------------------------------------------------------


def search_of(count=40):
    """Return points of a search: energy depends on the rows alone, latency on nothing."""
    rows = []
    for number in range(count):
        knobs = {ROWS: 2 ** (3 + number % 4), COLS: 8 * (1 + number % 3)}
        rows.append(point(knobs, 1.0 + 0.001 * number, float(knobs[ROWS])))
    return SweepTable(with_front(rows), [ROWS, COLS], ("energy_j", "latency_s"))


def test_a_knob_explains_what_varies_between_its_values():
    """All of the energy for rows; of columns nothing, as each meets all rows equally often."""
    table = search_of(48)
    rows, cols = table.axes
    assert explained(table.feasible, rows, Measure("energy_j")) == pytest.approx(1)
    assert explained(table.feasible, cols, Measure("energy_j")) == pytest.approx(0, abs=1e-12)
    assert "rows decides most: its value explains 100 %" in title(drawn(importance, table))


def test_the_history_of_a_search_shows_the_least_so_far():
    figure = drawn(history, search_of(8))
    dots, least = figure.axes[0].lines
    assert list(dots.get_ydata()) == [2 * 2 ** (n % 4) for n in range(8)]
    assert list(least.get_ydata()) == [2] * 8
    assert "at point 1 of 8" in title(figure)


def test_the_history_of_a_search_shows_how_much_of_the_space_it_dominates():
    """Of a box from (1, 1) to (5, 5): a quarter, the same, then three more cells of sixteen."""
    pairs = [(5.0, 1.0), (1.0, 5.0), (3.0, 3.0), (4.0, 4.0), (2.0, 4.0)]
    rows = [point({ROWS: n}, *pair) for n, pair in enumerate(pairs)]
    figure = drawn(history, SweepTable(with_front(rows), [ROWS]))
    (share,) = figure.axes[-1].lines
    assert list(share.get_ydata()) == pytest.approx([0, 0, 25, 25, 31.25])
    assert figure.axes[-1].get_ylim()[1] >= 100


def test_the_knee_of_the_front_has_a_ring():
    pairs = [(8.0, 1.0), (2.0, 2.0), (1.0, 8.0), (9.0, 9.0)]
    rows = [point({ROWS: n}, *pair) for n, pair in enumerate(pairs)]
    figure = drawn(front, SweepTable(with_front(rows), [ROWS]))
    (ring,) = (line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert ring.get_xydata().tolist() == [[2.0 / EPOCHS, 2.0 / EPOCHS]]
    assert "Ring: its knee" in note(figure)
    line = [point({ROWS: n}, 1.0 + n, 3.0 - n) for n in range(3)]
    assert "Ring" not in note(drawn(front, SweepTable(with_front(line), [ROWS])))


def test_every_point_of_a_search_is_a_line():
    figure = drawn(parallel, search_of())
    lines = [len(each.get_segments()) for each in figure.axes[0].collections]
    table = search_of()
    front_size = sum(bool(row["pareto"]) for row in table.feasible)
    assert lines == [40 - front_size, front_size, 1]


def several_traces():
    """Return two designs of which each is best for one training, and one that suits both."""
    energies = {"a": {8: 1.0, 16: 1.1, 32: 2.0}, "b": {8: 6.0, 16: 3.3, 32: 3.0}}
    rows = [
        point({ROWS: size}, 1.0, energy, trace=trace)
        for trace, by_size in energies.items()
        for size, energy in by_size.items()
    ]
    return SweepTable(rows, [ROWS, "trace"])


def test_designs_are_compared_over_several_trainings():
    figure = drawn(across, several_traces())
    assert title(figure) == "rows 16 suits all: at most 10 % above the least energy of each"
    assert texts(figure.axes[0]) == ["1.10", "1.10", "1.00", "2.00", "2.00", "1.00"]
    assert drawn(across, table_of()) is None


def test_figures_of_an_earlier_sweep_do_not_stay(tmp_path):
    assert "heat_map" in stems(draw_sweep(lone_point()[0], tmp_path))
    (tmp_path / "mine.png").write_bytes(b"")
    names = {path.stem for path in draw_sweep(search_of(), tmp_path, search=True)}
    assert names == {"front", "history", "importance", "parallel"}
    assert {path.stem for path in tmp_path.glob("*.png")} == names | {"mine"}
