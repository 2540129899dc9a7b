# ruff: noqa: E402 - without torch nothing here can be imported
"""Scripts as public repositories write them: capture changes no bit and counts as a person would.

`tests/scripts/truths.py` has what is right; `python -m tests.scripts` prints what differs.
"""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from simulator.trace.memory import footprint
from tests.scripts import runs
from tests.scripts.runs import account, captured, comparable, counted, plain, right
from tests.scripts.truths import MEMORY, TRUTHS
from workloads.capture import capture, capture_script

pytestmark = pytest.mark.torch


def test_every_script_has_its_truth():
    assert {path.stem for path in runs.PUBLIC.glob("*.py")} == set(TRUTHS)


def test_a_script_is_counted_as_by_a_person(capsys):
    path = runs.PUBLIC / "amp.py"
    trace = capture_script(path)
    assert account(trace) == right(path.stem, capsys.readouterr().out)


def test_the_peak_of_two_layers_is_that_of_a_walk_by_hand():
    rows, inputs, hidden, outputs = 64, 4, 32, 2
    model = torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture(model, optimizer) as recording:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(rows, inputs)).sum().backward()
            optimizer.step()
    # Most is held where ReLU is differentiated: its result, the gradients on both of its sides,
    # the input for the first layer's gradient, all parameters, the second layer's gradients.
    elements = 3 * rows * hidden + rows * inputs
    elements += (inputs + 1) * hidden + (hidden + 1) * outputs
    elements += (hidden + 1) * outputs
    assert footprint(recording.steps[recording.trace.typical_step]).peak_bytes == 4 * elements


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_the_count_by_hand_is_that_of_pytorch(name):
    if TRUTHS[name].partial or TRUTHS[name].threaded:
        pytest.skip("one of the two does not count all")
    assert sum(right(name, plain(name)).flops.values()) == counted(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_capture_changes_no_bit_and_counts_as_a_person_would(name, tmp_path):
    printed = plain(name)
    under, trace = captured(name, tmp_path)
    assert not isinstance(trace, str), trace
    assert under == printed
    found, expected = account(trace), right(name, printed)
    assert comparable(name, found, expected) == expected
    if TRUTHS[name].partial:
        assert sum(found.flops.values()) == counted(name)
    if name in MEMORY:
        held = footprint(trace.steps[trace.typical_step])
        assert (held.parameters, held.gradients, held.optimizer_state) == MEMORY[name]
