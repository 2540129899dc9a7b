"""Waits in a child process of a captured script for its training to begin; then records it."""

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from trainsoc.border import Border

FOLDER = "TRAINSOC_CHILDREN"
"""Environment variable: the folder into which children put their traces."""


def arm(record: Callable[[], None] | None = None, *, networks: bool = False) -> None:
    """Begin to record when the first optimizer is made, with `networks` when a network is called.

    A child that only loads data makes no optimizer; its networks are left alone.
    """
    record = record or _record
    from torch.nn.modules.module import register_module_forward_pre_hook  # noqa: PLC0415
    from torch.optim.optimizer import Optimizer  # noqa: PLC0415

    waiting: list[Callable[[], None]] = []

    def begin(*_: Any) -> None:
        if _loads_data():
            return
        for stop in waiting:
            stop()
        waiting.clear()
        with suppress(Exception):  # whatever it is, the program goes on
            record()

    for method in ("__init__", "__setstate__"):
        waiting.append(_before(Optimizer, method, begin))
    if networks:
        waiting.append(register_module_forward_pre_hook(begin).remove)


def _before(owner: type, method: str, call: Callable[[], None]) -> Callable[[], None]:
    """Make `owner.method` call something first; return how to undo that."""
    original = getattr(owner, method)

    @functools.wraps(original)
    def first(*args: Any, **kwargs: Any) -> Any:
        call()
        return original(*args, **kwargs)

    setattr(owner, method, first)
    return lambda: setattr(owner, method, original)


def _loads_data() -> bool:
    data: Any = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def _record() -> None:
    border = Border()
    border.adopt()
    border.stand()
    with border.inside():
        from workloads.capture.children import record_here  # noqa: PLC0415 - as we see the names
    record_here()
