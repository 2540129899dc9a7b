"""How a training script says in which bits it trains: set on modules, read by a capture."""

from collections.abc import Callable, Iterable

import torch

from simulator.trace.passes.treatment import AS_TRACED, Method, Treatment

_NAME = "_trainsoc_treatment"


_titles: set[str] = set()  # of all methods so far: without any, nobody need look at modules


def treat(module: torch.nn.Module, treatment: Treatment, method: str = "") -> None:
    """Say how the training method treats the weights of `module` from now on.

    A capture keeps what held when a step called its network, for each step; without a capture
    nothing happens. `method` is its name in the trace, of several the first one's.
    """
    module.__dict__[_NAME] = treatment, method
    _titles.add(method)


def method_of(named: Callable[[], Iterable[tuple[str, torch.nn.Module]]]) -> Method:
    """Return the method that modules, with their names, are under now; nobody asks for the names
    where no module is under any.
    """
    modules = named() if _titles else ()
    treatments = [
        (name, *module.__dict__[_NAME]) for name, module in modules if _NAME in vars(module)
    ]
    if not treatments:
        return AS_TRACED
    title = next((method for _, _, method in treatments if method), "own")
    return Method(title, tuple((_escaped(name), treatment) for name, treatment, _ in treatments))


def _escaped(name: str) -> str:
    """Return a pattern that fits this name alone: a module path has no other special signs."""
    return name.replace("[", "[[]")
