"""Which mapping an operation has on this accelerator and memory, and the work that it becomes.

By default the best of the mapper's space, in time or traffic. A machine may have a rule of its own
instead, and a mapping may be prescribed as text.
"""

from simulator.activity import Work
from simulator.hardware.accelerator import Accelerator
from simulator.mapping.loops import Mapping
from simulator.mapping.plan import Plan
from simulator.mapping.problem import ProblemShape
from simulator.mapping.rules import RULES, prescribed
from simulator.memo import Memo
from simulator.timing.pricing import Pricing
from simulator.timing.shares import WHOLE

# A guess: the mappings of some tens of designs, each of about 4 kB. Designs far apart in a sweep
# seldom have an array and a memory path in common.
_WORKS: Memo[Work] = Memo("mapped shapes", 2048)

Choices = dict[str, Mapping]
"""Mappings that searches chose, by the problem in words."""

_CHOICES: Memo[Choices] = Memo("choices of searches", 64)


def choices_of(array: Accelerator, pricing: Pricing) -> Choices:
    """Return what searches on an array and memory path chose, from the first call on. They take
    what is in it already.
    """
    return _CHOICES.get((array, pricing), dict)


def map_shape(
    array: Accelerator, pricing: Pricing, shape: ProblemShape, useful_macs: int, text: str = ""
) -> Work:
    """Return the accelerator's work for `shape`; equal arrays, memory paths and shapes share it.

    Its mapping is the one that `text` prescribes, else that of the machine's own rule, else the
    best of the mapper's space. `useful_macs` are those of the operation; the array may execute
    more. Raises Infeasible when no tile fits, InputError when `text` cannot be read.
    """
    key = (array, pricing, shape.key, useful_macs, text)
    return _WORKS.get(key, lambda: _work(array, pricing, shape, useful_macs, text))


def _work(
    array: Accelerator, pricing: Pricing, shape: ProblemShape, useful_macs: int, text: str
) -> Work:
    if text:
        plan = Plan(array, pricing, shape, prescribed(text, shape))
        return plan.work(useful_macs, "given")
    rule = RULES.get(array.mapping)
    mappings = shape.under(rule, array) if rule else ()
    plans = [Plan(array, pricing, shape, mapping) for mapping in mappings]
    if plans:
        fastest = min(plans, key=lambda plan: plan.progress.duration_ps(WHOLE))
        return fastest.work(useful_macs, "default")
    return _best(array, pricing, shape).work(useful_macs, "best")


def _best(array: Accelerator, pricing: Pricing, shape: ProblemShape) -> Plan:
    """Return the best plan of the mapper's space."""
    choices = _CHOICES.find((array, pricing))
    if choices is None:
        return _searched(array, pricing, shape)
    problem = repr(shape.key)
    if problem not in choices:
        choices[problem] = _searched(array, pricing, shape).mapping
    return Plan(array, pricing, shape, choices[problem])


def _searched(array: Accelerator, pricing: Pricing, shape: ProblemShape) -> Plan:
    """Return what a search finds, which needs as much code as all else: a run that recalls its
    choices imports none of it.
    """
    from simulator.mapping.search import Search  # noqa: PLC0415

    return Search(array, pricing, shape).best()
