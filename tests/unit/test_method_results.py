"""What results of training methods say side by side, and the figures of it."""

import copy
from dataclasses import replace

import pytest

from simulator.replay import Replay
from simulator.results.methods import accuracies, bit_table, bits_by_epoch, reached_j
from simulator.si import scale
from simulator.trace.passes.overlay import scheduled
from simulator.trace.passes.treatment import (
    Method,
    MethodSchedule,
    Treatment,
    TreatmentRule,
)
from simulator.trace.trace import Segment, StorageKind, Trace
from simulator.views.plots import Drawing, draw_methods
from simulator.views.plots.methods import accuracy_front
from tests.builders import StepBuilder, machine, one_step_trace

SIX, TEN = (Treatment(bits, bits, bits) for bits in (6, 10))


def trained(origin=None):
    builder = StepBuilder()
    x = builder.gemm(64, 64, 64, layer="body.fc")
    builder.tensor(8, kind=StorageKind.OPTIMIZER_STATE, name="w0.momentum")
    builder.elementwise(x)
    segments = tuple(Segment(epoch, 0, 10) for epoch in range(3))
    return Trace("run", (builder.step(),), segments, origin or {"accuracy": "0.5 0.8 0.9"})


def result(trace):
    return Replay(machine("edge-16x16-mp"), trace).run().as_dict()


def test_energy_until_an_accuracy_is_that_of_the_epochs_before():
    document = result(trained())
    assert accuracies(document) == [0.5, 0.8, 0.9]
    epochs = [row["energy_j"] for row in document["epochs"]]
    assert reached_j(document, 0.8) == pytest.approx(sum(epochs[:2]))
    assert reached_j(document, 0.95) is None
    assert accuracies(result(trained({"tool": "t"}))) == []


def test_bits_are_means_over_the_steps_of_an_epoch():
    methods = tuple(Method("m", (("fc", each),)) for each in (SIX, TEN, Treatment()))
    segments = (Segment(0, 0, 3, 0), Segment(0, 0, 1, 1), Segment(1, 0, 5, 1), Segment(2, 0, 1, 2))
    trace = Trace("run", trained().steps, segments, methods=methods)
    (row,) = bits_by_epoch(trace)
    assert row["layer"] == "fc"
    assert row["weights"] == row["gradients"] == [7.0, 10.0, 32.0]
    assert bits_by_epoch(trained()) == []


def test_figures_of_methods_are_drawn(tmp_path):
    rules = (TreatmentRule(SIX, "body.*", 0, 0), TreatmentRule(TEN, "body.*", 1))
    laid = scheduled(trained(), MethodSchedule("rct", rules))
    documents = {"fp32": result(trained()), "rct": result(laid)}
    assert bit_table(documents["rct"]) == {"body.*": [6.0, 10.0, 10.0]}
    assert documents["rct"]["method"] == "rct"
    paths = draw_methods(documents, tmp_path)
    assert [path.stem for path in paths] == [
        "method_energy", "energy_to_accuracy", "accuracy_front", "bits_over_epochs",
        "memory_of_methods",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_nothing_is_drawn_of_methods_without_accuracy_or_bits(tmp_path):
    reasons = []
    drawing = Drawing(tmp_path, say=reasons.append)
    paths = draw_methods({"fp32": result(trained({"tool": "t"}))}, drawing)
    assert [path.stem for path in paths] == ["method_energy", "memory_of_methods"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    why = "no run notes its accuracy: record the training with its evaluations"
    assert reasons == [
        f"no energy_to_accuracy: {why}",
        f"no accuracy_front: {why}",
        "no bits_over_epochs: no method changes the bits of a layer",
    ]


def test_the_front_of_methods_has_those_that_none_beats():
    plain = result(trained())
    total = sum(row["energy_j"] for row in plain["epochs"])
    documents = {}
    for label, factor, accuracy in (
        ("good", 1.0, 0.9), ("cheap", 0.5, 0.8), ("worse", 1.2, 0.7), ("best", 2.0, 0.95)
    ):  # fmt: skip
        document = copy.deepcopy(plain)
        document["provenance"]["trace_origin"]["accuracy"] = f"0.1 0.2 {accuracy}"
        for row in document["epochs"]:
            row["energy_j"] *= factor
        documents[label] = document
    (axes,) = accuracy_front(documents).axes
    line, *points = axes.lines
    unit, _ = scale(2 * total)
    shown = [(x[0] * unit / total, y[0]) for x, y in (p.get_data() for p in points)]
    expected = [(1.0, 90.0), (0.5, 80.0), (1.2, 70.0), (2.0, 95.0)]
    assert [pytest.approx(each) for each in expected] == shown
    assert list(line.get_ydata()) == pytest.approx([80.0, 90.0, 95.0])


def test_bits_of_an_epoch_are_means_over_its_steps_and_none_is_walked_twice():
    """The accesses of many epochs are counted: each segment is read once for a row of bits."""
    read = []

    class Counted(tuple):
        def __iter__(self):
            read.append(len(self))
            return super().__iter__()

    methods = (Method("a", (("fc", Treatment(8, 8, 8)),)), Method("a", (("fc", Treatment(4, 8)),)))
    builder = StepBuilder()
    builder.gemm(2, 2, 2)
    runs = Counted(Segment(epoch, 0, count, count % 2) for epoch in range(500) for count in (2, 1))
    trace = replace(one_step_trace(builder), segments=runs, methods=methods)
    (row,) = bits_by_epoch(trace)
    assert row["weights"] == [(2 * 8 + 1 * 4) / 3] * 500
    assert row["activations"] == [8.0] * 500
    assert row["gradients"] == [(2 * 8 + 1 * 32) / 3] * 500
    assert len(read) <= 6 + 6  # and the number of epochs with it


def test_a_note_that_is_no_list_of_shares_tells_no_accuracy():
    for text, shares in {"0.5 0.75 1": [0.5, 0.75, 1.0], "97 %": [], "1.5": [], "nan": []}.items():
        document = {"provenance": {"trace_origin": {"accuracy": text}}}
        assert accuracies(document) == shares
