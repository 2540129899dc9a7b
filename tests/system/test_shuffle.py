# ruff: noqa: E402 - without torch nothing here can be imported
"""A step gives the same bits in every order that its dependences allow, and in no order less."""

import pytest

torch = pytest.importorskip("torch")

from simulator.trace.trace import dependences
from tests.catalogue import CATALOGUE, setup
from tests.shuffle import orders, record, without

pytestmark = pytest.mark.torch
OPAQUE = {
    "lstm": "its workspace is laid out by oneDNN",
    "workers": "batches come from another process",
    "thread": "the record sees one thread only",
    "evaluation": "two steps in one",
    "encoder with evaluation": "two steps in one",
    "gan": "two steps in one",
    "schedule": "two steps in one",
    "averaged weights": "what follows the optimizer counts to the next step",
}


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in OPAQUE])
def test_every_allowed_order_gives_the_same_bits(name):
    recorded = record(setup(name))
    expected = recorded.outcome()
    waits = list(dependences(recorded.step))
    in_order = range(len(waits))
    assert recorded.replay(in_order) == expected
    for order in orders(waits, 4):
        assert sorted(order) == list(in_order)
        assert order != list(in_order)
        assert recorded.replay(order) == expected


@pytest.mark.parametrize("kind", ["RAW", "RAW through views", "WAR", "WAW", "random"])
def test_no_class_of_dependences_can_be_left_out(kind):
    differing = 0
    for name in ("sgd", "in place", "accumulation", "tied", "batch norm", "attention with dropout"):
        recorded = record(setup(name))
        expected = recorded.outcome()
        waits = without(recorded.step, kind)
        differing += any(recorded.replay(order) != expected for order in orders(waits, 4))
    assert differing
