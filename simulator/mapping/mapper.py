"""The mapping of an operation for this accelerator and memory, and the work that it becomes.

The mapping is the best of the mapper's space, by time or by traffic. A machine may have a rule of
its own instead, and a mapping may be given.
"""

from simulator.activity import Work
from simulator.hardware.accelerator import Accelerator
from simulator.mapping import rules
from simulator.mapping.plan import Plan
from simulator.mapping.search import Search
from simulator.mapping.sums import Shape
from simulator.memo import Memo
from simulator.timing.pricing import Pricing
from simulator.timing.shares import WHOLE

# A guess: the mappings of some tens of designs, each of about 4 kB. Designs far apart in a sweep
# seldom have an array and a memory path in common.
_MAPPED: Memo[Work] = Memo("mapped shapes", 8192)


def mapped(
    array: Accelerator, pricing: Pricing, shape: Shape, useful_macs: int, given: str = ""
) -> Work:
    """Return `map_shape`, remembered for every equal array, memory path and shape."""
    key = (array, pricing, shape.key, useful_macs, given)
    return _MAPPED.get(key, lambda: map_shape(array, pricing, shape, useful_macs, given))


def map_shape(
    array: Accelerator, pricing: Pricing, shape: Shape, useful_macs: int, given: str = ""
) -> Work:
    """Return the accelerator's work for `shape`.

    Under the mapping `given` as text, else under the machine's own rule, else under the best of
    the mapper's space. `useful_macs` are those that the operation asks for; the array may execute
    more. Raises Infeasible when no tile fits, InputError when `given` cannot be read.
    """
    if given:
        plan = Plan(array, pricing, shape, rules.given(given, shape))
        return plan.work(useful_macs, "given")
    rule = rules.RULES.get(array.mapping)
    considered = [Plan(array, pricing, shape, m) for m in rule(array, shape)] if rule else []
    if considered:
        found = min(considered, key=lambda plan: plan.progress.duration_ps(WHOLE))
        return found.work(useful_macs, "default")
    return Search(array, pricing, shape).best().work(useful_macs, "best")
