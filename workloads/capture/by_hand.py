"""Updates that a program makes without an optimizer."""

from workloads.capture.open_step import OpenStep
from workloads.capture.spots import Spot, in_backward


def writes(step: OpenStep, spot: Spot) -> bool:
    """Return whether the last call on the tape updates a parameter, outside backward, modules and
    optimizers.
    """
    tape = step.tape
    if tape is None or in_backward() or spot.outside is not None or spot.root:
        return False
    number = tape.target()
    if not _is_parameter(step, number):
        return False
    tape.updated.add(number)
    return True


def replaces(step: OpenStep) -> int | None:
    """Return the end of the last call before a parameter's data were replaced since backward, or
    None.

    This shows only when the next step begins and looks at the parameter again.
    """
    tape = step.tape
    if tape is None or not step.backward or step.updated or in_backward():
        return None
    ends = []
    for before, now in tape.replaced():
        if _is_parameter(step, before):
            tape.updated.add(now)
            ends.append(tape.makers[now] + 1 if now >= 0 else len(tape))
    return max(ends, default=None)


def _is_parameter(step: OpenStep, number: int) -> bool:
    # A leaf that the step created is a trained input, such as an adversarial image.
    tape = step.tape
    if tape is None or number not in tape.leaves:
        return False
    return tape.leaves[number] or step.cause == "start" or tape.makers[number] < 0
