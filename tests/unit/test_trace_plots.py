"""Do the figures of a trace say what its steps do and hold?"""

import struct
from itertools import pairwise

import pytest

from simulator.errors import InputError
from simulator.trace.memory import footprint
from simulator.trace.op import Phase
from simulator.trace.storage import load_trace
from simulator.views.memory_view import GROUPS, memory_over_time
from simulator.views.plots import draw_trace
from simulator.views.plots.canvas import MEMORY, styled
from simulator.views.plots.trace import memory, work
from simulator.views.trace_summary import trace_summary
from tests.builders import StepBuilder, one_step_trace

NAMES = ["lenet_digits", "resnet20_digits"]


def drawn(figure, document):
    with styled():
        return figure(document)


def documents(trace, step=None):
    summary = trace_summary(trace, step)
    return summary, memory_over_time(trace, summary["step"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [None, 0, 3])
def test_the_highest_point_is_the_footprint(name, step):
    trace = load_trace(name)
    summary, held = documents(trace, step)
    axes = drawn(memory, held).axes[0]
    factor = 1e6
    assert axes.get_ylabel() == "memory held (MB)"
    highest = max(axes.patches[-1].get_data().values) * factor
    assert highest == pytest.approx(footprint(trace.steps[summary["step"]]).peak_bytes)


def test_layers_of_the_stack_are_the_kinds_of_memory():
    _, held = documents(load_trace("lenet_digits"))
    axes = drawn(memory, held).axes[0]
    below = [0.0] * len(held["phases"])
    for patch, group in zip(axes.patches, held["held"], strict=True):
        top = patch.get_data().values
        bytes_drawn = [1e6 * (a - b) for a, b in zip(top, below, strict=True)]
        assert bytes_drawn == pytest.approx(held["held"][group], abs=1e-3)
        below = list(top)


def test_every_op_is_in_the_lane_of_its_phase():
    _, held = documents(load_trace("lenet_digits"))
    lanes = drawn(memory, held).axes[1]
    names = [label.get_text() for label in lanes.get_yticklabels()]
    assert names == list(dict.fromkeys(held["phases"]))
    for name, spans in zip(names, lanes.collections, strict=True):
        edges = [[round(x) for x in path.vertices[:, 0]] for path in spans.get_paths()]
        covered = {i for xs in edges for i in range(min(xs), max(xs))}
        assert covered == {i for i, phase in enumerate(held["phases"]) if phase == name}


def test_bars_are_the_work_of_each_phase():
    summary, _ = documents(load_trace("lenet_digits"))
    left, right = drawn(work, summary).axes
    rows = [row for row in summary["phases"] if row["bytes"]]
    assert [bar.get_width() * 1e6 for bar in left.patches] == [row["flops"] for row in rows]
    ends = {}
    for bar in right.patches:
        y = round(bar.get_y() + bar.get_height() / 2)
        ends[y] = max(ends.get(y, 0), 1e6 * (bar.get_x() + bar.get_width()))
    assert list(ends.values()) == pytest.approx([row["bytes"] for row in rows])


def test_titles_answer():
    builder = StepBuilder()
    builder.gemm(500, 500, 500)
    builder.gemm(500, 500, 500, phase=Phase.EVAL)
    builder.gemm(500, 500, 500, phase=Phase.EVAL)
    summary, held = documents(one_step_trace(builder))
    title = " ".join(drawn(work, summary).get_suptitle().split())
    assert title == (
        "A step of built computes 750 MFLOP, 67 % of it in eval, and moves 9 MB, 67 % of it in eval"
    )
    title = " ".join(drawn(memory, held).get_suptitle().split())
    assert title == "A step of built holds at most 5 MB, 60 % of it parameters"


@pytest.mark.parametrize("name", NAMES)
def test_files_are_pngs_of_reasonable_size_and_repeat(name, tmp_path):
    made = [draw_trace(*documents(load_trace(name)), tmp_path / folder) for folder in ("a", "b")]
    assert [path.name for path in made[0]] == ["trace.png", "memory.png"]
    for first, second in zip(*made, strict=True):
        data = first.read_bytes()
        assert data == second.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", data[16:24])
        assert width == 7.5 * 150
        assert 2 * 150 <= height <= 8 * 150


@pytest.mark.parametrize("ops", [0, 1])
def test_steps_that_do_next_to_nothing_are_drawn(ops, tmp_path):
    builder = StepBuilder()
    for _ in range(ops):
        builder.elementwise(builder.tensor(0))
    assert len(draw_trace(*documents(one_step_trace(builder)), tmp_path)) == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="cannot be written"):
        draw_trace(*documents(load_trace("lenet_digits")), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_written_overlaps(name):
    for figure, document in zip((work, memory), documents(load_trace(name)), strict=True):
        made = drawn(figure, document)
        made.canvas.draw()
        for axes in made.axes:
            for labels in (axes.get_xticklabels(), axes.get_yticklabels(), axes.texts):
                shown = [text for text in labels if text.get_text()]
                boxes = [text.get_window_extent() for text in shown]
                assert not any(a.overlaps(b) for a, b in pairwise(boxes))
            right = axes.get_window_extent().x1
            assert all(text.get_window_extent().x1 <= right + 1 for text in axes.texts)


def test_colours_are_of_all_kinds_and_distinct():
    assert set(GROUPS) <= set(MEMORY)
    assert len(set(MEMORY.values())) == len(MEMORY)
