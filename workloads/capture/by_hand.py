"""Updates that a program makes without an optimizer: what tells them from other writes."""

from workloads.capture.open_step import OpenStep
from workloads.capture.spots import Spot, in_backward


def writes(step: OpenStep, spot: Spot) -> bool:
    """Return whether the last call on the unit's tape updates a parameter: outside of backward, of
    modules and of optimizers.
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
    """Return the call after which a parameter has got other data since backward, None if none has.

    That is seen only where the parameter is looked at again, as the next step begins.
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
    # What the step made itself is an input that learns, such as an adversarial image.
    tape = step.tape
    if tape is None or number not in tape.leaves:
        return False
    return tape.leaves[number] or step.cause == "start" or tape.makers[number] < 0
