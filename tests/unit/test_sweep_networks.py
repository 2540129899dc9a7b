"""Are networks that axes span captured once each, and swept as if each had been named?"""

import re
from itertools import product

import pytest
from polars.testing import assert_frame_equal

from simulator import memo, simulate, sweep
from simulator.errors import InputError
from simulator.sweeps.axis import parse_axes
from simulator.sweeps.networks import NETWORKS, network_name
from simulator.sweeps.request import SweepRequest
from simulator.sweeps.study import study, study_of
from simulator.trace.trace import Segment, Trace
from simulator.views.pareto import pareto_front
from tests.builders import StepBuilder

ROWS, WIDTH, DEPTH = "accelerator.rows", "model.width", "model.depth"
SPACE = {DEPTH: [1, 2], WIDTH: [16, 24, 32], ROWS: [4, 8]}


def network(name: str, batch: int | None) -> Trace:
    """Return `depth` products of `width` columns; the model has no other parameter."""
    model, _, texts = name.partition(":")
    numbers = {key: int(text) for key, text in re.findall(r"(\w+)=(\d+)", texts)}
    if model != "net" or not numbers.keys() <= {"depth", "width"}:
        raise InputError(f"model {name}: no such parameter")
    builder = StepBuilder()
    for _ in range(numbers.get("depth", 1)):
        builder.elementwise(builder.gemm(batch or 8, numbers.get("width", 16), 32))
    return Trace(name, (builder.step(),), (Segment(0, 0, 1),))


@pytest.fixture
def captures(monkeypatch) -> list[str]:
    """Return the list of networks that have been captured."""
    names, make = [], network

    def counted(name: str, batch: int | None) -> Trace:
        names.append(name)
        return make(name, batch)

    memo.clear()
    monkeypatch.setattr(f"{__name__}.network", counted)
    return names


def _sweep(space, out=None, **options):
    return sweep(space, "net", out, models=network, workers=1, quiet=True, **options)


def test_each_row_is_what_a_replay_of_its_network_gives():
    table = _sweep(SPACE)
    assert table.height == 12
    for row in table.iter_rows(named=True):
        trace = network(f"net:depth={row[DEPTH]},width={row[WIDTH]}", None)
        result = simulate("edge-16x16", trace, {ROWS: row[ROWS]})
        assert row["latency_s"] == result.total["latency_s"]
        assert row["energy_aj"] == str(result.total["energy_aj"])
        assert row["trace"] == "net"


def test_a_network_is_captured_once_whatever_runs_it(tmp_path, captures):
    table = _sweep(SPACE, tmp_path)
    expected = {
        f"net:depth={depth},width={width}" for depth, width in product([1, 2], [16, 24, 32])
    }
    assert sorted(captures) == sorted(expected)
    assert len(list((tmp_path / NETWORKS).glob("*.trace"))) == 6
    memo.clear()
    more = _sweep(SPACE | {ROWS: [4, 8, 16]}, tmp_path)
    assert len(captures) == 6
    assert more.height == 18
    assert_frame_equal(more.filter(more[ROWS] < 16).drop("pareto"), table.drop("pareto"))


def test_a_damaged_network_is_captured_again(tmp_path, captures):
    table = _sweep(SPACE, tmp_path)
    for path in (tmp_path / NETWORKS).glob("*.trace"):
        path.write_bytes(path.read_bytes()[:-100])
    memo.clear()
    assert _sweep(SPACE, tmp_path).equals(table)
    assert len(captures) == 12
    memo.clear()
    _sweep(SPACE, tmp_path)
    assert len(captures) == 12


def test_networks_come_first_and_share_a_front():
    table = _sweep({ROWS: [4, 8], WIDTH: [16, 32], DEPTH: [1, 2]})
    points = table.select(WIDTH, DEPTH, ROWS).rows()
    assert points == list(product([16, 32], [1, 2], [4, 8]))
    front = pareto_front(table.select("latency_s", "energy_j").to_numpy())
    assert table["pareto"].to_list() == front


def test_batches_are_an_axis_beside_them():
    request = SweepRequest(trace="net", batch=[2, 4], axes={WIDTH: [16, 32]})
    plan = study_of(request, network)
    points = list(plan.points())
    assert [tuple(point.labels.values()) for point in points] == [
        ("16", "2"), ("16", "4"), ("32", "2"), ("32", "4"),
    ]  # fmt: skip
    sizes = [plan.trace_of(point).steps[0].ops[0].gemms[0].m for point in points]
    assert sizes == [2, 4, 2, 4]
    assert network_name("net", points[0].labels) == "net:width=16 b2"


def test_conditions_and_searches_take_them():
    conditions = ["width * depth <= 32", "rows >= width / 4"]
    table = _sweep(SPACE, constraints=conditions)
    expected = [
        (depth, width, rows)
        for depth, width, rows in product([1, 2], [16, 24, 32], [4, 8])
        if width * depth <= 32 and rows >= width / 4
    ]
    assert table.select(DEPTH, WIDTH, ROWS).rows() == expected
    searched = _sweep(SPACE, constraints=conditions, search=50)
    assert sorted(searched.select(DEPTH, WIDTH, ROWS).rows()) == sorted(expected)


def test_a_search_captures_no_more_than_it_replays(tmp_path, captures):
    space = {WIDTH: "8..400:+1", ROWS: "4..64:+4"}
    table = _sweep(space, tmp_path, search=25)
    assert table.height == 25
    assert len(captures) <= 25 + 1  # and the first, whose parameters were checked


def test_a_network_that_there_is_not_has_a_reason():
    space = {WIDTH: [16, 100]}

    def narrow(name: str, batch: int | None) -> Trace:
        if "100" in name:
            raise InputError("model net: width=100: write a whole number up to 64")
        return network(name, batch)

    table = sweep(space, "net", models=narrow, workers=1, quiet=True)
    assert table["feasible"].to_list() == [True, False]
    assert "up to 64" in table["reason"][1]


@pytest.mark.parametrize(
    ("texts", "traces", "more", "says"),
    [
        (["model.size=1,2"], {"net": "net"}, {}, "no such parameter"),
        (["model.width=1,2"], {"net": "net", "b": "b"}, {}, "model.width: its networks are of"),
        (["model.width=1,2", "batch=0"], {"net": "net"}, {}, "axis batch: 0: write whole numbers"),
        (["model.width=1,01"], {"net": "net"}, {}, "1 and 01 are the same value"),
        (["model.width=1,2"], {"net": "net"}, {"models": None}, "must be captured"),
        (["model.width=1,2"], {"net": "net"}, {"baselines": {"cpu": "cpu-only"}}, "baseline cpu:"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused(texts, traces, more, says):
    with pytest.raises(InputError, match=re.escape(says)):
        study("edge-16x16", parse_axes(texts), traces, **{"models": network} | more)
