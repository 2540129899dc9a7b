"""How a training script declares the bits in which it trains: on modules, for a capture to read."""

from collections.abc import Callable, Iterable

import torch

from simulator.trace.passes.treatment import AS_TRACED, Method, Treatment

_NAME = "_trainsoc_treatment"


_titles: set[str] = set()  # names of all methods so far; if empty, no module need be read


def treat(module: torch.nn.Module, treatment: Treatment, method: str = "") -> None:
    """Declare how the training method treats the weights of `module` from now on.

    A capture keeps, for each step, what held when its network was called; without a capture nothing
    happens. `method` is the name in the trace; the first one counts.
    """
    module.__dict__[_NAME] = treatment, method
    _titles.add(method)


def method_of(named: Callable[[], Iterable[tuple[str, torch.nn.Module]]]) -> Method:
    """Return the method of these modules, by name; without any treatment `named` is not called."""
    modules = named() if _titles else ()
    treatments = [
        (name, *module.__dict__[_NAME]) for name, module in modules if _NAME in vars(module)
    ]
    if not treatments:
        return AS_TRACED
    title = next((method for _, _, method in treatments if method), "own")
    return Method(title, tuple((_escaped(name), treatment) for name, treatment, _ in treatments))


def _escaped(name: str) -> str:
    """Return a pattern for exactly this module path; "." is its only special character."""
    return name.replace("[", "[[]")
