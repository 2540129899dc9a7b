"""What searches remember does not grow with the number of arrays, whatever the collector does."""

import gc

from simulator import memo
from simulator.collector import paused_collector
from simulator.mapping import tiling
from simulator.mapping.bounds import Bounds
from simulator.mapping.tiling import ArraySpace, Level
from simulator.trace.op import Gemm, Role
from tests.builders import array_work, machine

MOST = 4
ARRAYS = 10


def _alive(kind):
    return sum(type(each) is kind for each in gc.get_objects())


def test_spaces_of_arrays_go_with_their_memo_without_the_collector(monkeypatch):
    memo.clear()
    gc.collect()
    before = {kind: _alive(kind) for kind in (ArraySpace, Bounds, Level)}
    monkeypatch.setattr(tiling._SPACES, "most", MOST)
    monkeypatch.setattr(tiling._MAPSPACES, "most", MOST)
    gemm = Gemm(Role.FORWARD, 1, 24, 20, 36, 0, 1, 0)
    with paused_collector():
        for rows in range(2, 2 + ARRAYS):
            array_work(machine(**{"accelerator.rows": rows}), gemm, 32)
        assert _alive(ArraySpace) - before[ArraySpace] == MOST
        assert 0 < _alive(Bounds) - before[Bounds] <= MOST
        levels = _alive(Level) - before[Level]
    gc.collect()
    assert levels == _alive(Level) - before[Level], "no level waits for the collector"
