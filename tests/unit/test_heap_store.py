"""New memory of steps comes from disk as it was worked out, whatever lies there."""

import json

from simulator import heap_store
from simulator.heap_store import recall_heaps
from simulator.lowering import heap
from simulator.lowering.heap import new_bytes
from simulator.replay import as_trace


def test_a_second_command_takes_what_the_first_worked_out(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINSOC_CACHE", str(tmp_path))
    run = as_trace("mlp_digits")
    heap._NEW_BYTES.clear()
    alone = [new_bytes(step) for step in run.steps]
    heap._NEW_BYTES.clear()
    recall_heaps(run)
    (file,) = tmp_path.glob("heaps-*.json")
    heap._NEW_BYTES.clear()
    monkeypatch.setattr(heap_store, "new_bytes", lambda _: 1 / 0)
    recall_heaps(run)
    monkeypatch.setattr(heap, "_new_bytes", lambda _: 1 / 0)
    assert [new_bytes(step) for step in run.steps] == alone

    for damage in ([], {}, {key: [1] for key in json.loads(file.read_text())}):
        heap._NEW_BYTES.clear()
        file.write_text(json.dumps(damage))
        recall_heaps(run)
        assert not len(heap._NEW_BYTES), "what does not fit the steps is not taken"
