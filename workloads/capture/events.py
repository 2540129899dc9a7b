"""Hooks into PyTorch: module calls, loaders, optimizers and backward passes."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data.dataloader import _BaseDataLoaderIter

from workloads.capture.names import WRAPPERS


class Listener(Protocol):
    """Receives the events of one thread."""

    def module_enter(self, module: torch.nn.Module, inputs: Any) -> None:
        """A module is about to run on `inputs`."""

    def module_leave(self, module: torch.nn.Module) -> None:
        """A module has run, or failed."""

    def optimizer_enter(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step."""

    def optimizer_leave(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""

    def batch_enter(self, iterator: Any) -> None:
        """A loader's iterator is asked for a batch."""

    def batch_leave(self, iterator: Any, exhausted: bool) -> None:
        """The iterator has returned a batch, or is `exhausted`."""

    def backward_enter(self, create_graph: bool) -> None:
        """A backward pass is about to run; `create_graph` if it is itself differentiated."""

    def gradients(self, inputs: Any, gradients: Any) -> None:
        """A backward pass has returned the gradients of `inputs` instead of accumulating them."""

    def compiled_enter(self) -> None:
        """A module that torch.compile wrapped is about to run."""


class Audience(Protocol):
    """The listeners, one for each recorded thread."""

    lock: threading.RLock
    faults: int

    def current(self) -> Listener | None:
        """Return the listener of the calling thread."""


Tell = Callable[[Callable[[Listener], None]], None]


@contextmanager
def listening(audience: Audience) -> Iterator[None]:
    """Call the listeners inside the block; their own errors count as faults."""

    def tell(event: Callable[[Listener], None]) -> None:
        listener = audience.current()
        if listener is None:
            return
        try:
            with audience.lock:
                event(listener)
        except Exception:
            audience.faults += 1

    with ExitStack() as stack:
        for handle in _hooks(tell):
            stack.callback(handle.remove)
        stack.enter_context(_loader(tell))
        stack.enter_context(_backward(tell))
        yield


def _hooks(tell: Tell) -> Iterator[Any]:
    def before(module: torch.nn.Module, inputs: Any) -> None:
        if type(module).__name__ not in WRAPPERS:
            tell(lambda listener: listener.module_enter(module, inputs))
        elif hasattr(module, "_orig_mod"):
            tell(lambda listener: listener.compiled_enter())

    def after(module: torch.nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG001
        if type(module).__name__ not in WRAPPERS:
            tell(lambda listener: listener.module_leave(module))

    def enter(optimizer: torch.optim.Optimizer, *rest: Any) -> None:  # noqa: ARG001
        tell(lambda listener: listener.optimizer_enter(optimizer))

    def leave(optimizer: torch.optim.Optimizer, *rest: Any) -> None:  # noqa: ARG001
        tell(lambda listener: listener.optimizer_leave(optimizer))

    yield register_module_forward_pre_hook(before)
    yield register_module_forward_hook(after, always_call=True)
    yield register_optimizer_step_pre_hook(enter)
    yield register_optimizer_step_post_hook(leave)


@contextmanager
def _loader(tell: Tell) -> Iterator[None]:
    original = _BaseDataLoaderIter.__next__

    @functools.wraps(original)
    def watched(self: Any) -> Any:
        tell(lambda listener: listener.batch_enter(self))
        exhausted = False
        try:
            return original(self)
        except StopIteration:
            exhausted = True
            raise
        finally:
            tell(lambda listener: listener.batch_leave(self, exhausted))

    _BaseDataLoaderIter.__next__ = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        _BaseDataLoaderIter.__next__ = original  # type: ignore[method-assign]


@contextmanager
def _backward(tell: Tell) -> Iterator[None]:
    # Hooked outside the engine, so that it also shows in steps whose ops are not recorded.
    backward, grad = torch.autograd.backward, torch.autograd.grad
    place = {
        f: list(inspect.signature(f).parameters).index("create_graph") for f in (backward, grad)
    }

    def enter(original: Callable[..., Any], args: Any, kwargs: Any) -> None:
        position = place[original]
        flag = args[position] if len(args) > position else kwargs.get("create_graph")
        tell(lambda listener: listener.backward_enter(bool(flag)))

    @functools.wraps(backward)
    def watched_backward(*args: Any, **kwargs: Any) -> Any:
        enter(backward, args, kwargs)
        return backward(*args, **kwargs)

    @functools.wraps(grad)
    def watched_grad(*args: Any, **kwargs: Any) -> Any:
        enter(grad, args, kwargs)
        gradients = grad(*args, **kwargs)
        inputs = args[1] if len(args) > 1 else kwargs.get("inputs")
        tell(lambda listener: listener.gradients(inputs, gradients))
        return gradients

    torch.autograd.backward, torch.autograd.grad = watched_backward, watched_grad
    try:
        yield
    finally:
        torch.autograd.backward, torch.autograd.grad = backward, grad
