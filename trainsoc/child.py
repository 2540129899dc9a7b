"""Waits in a child process of a captured script until it trains, then records it."""

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from trainsoc.border import Border

FOLDER = "TRAINSOC_CHILDREN"
"""Environment variable: the folder for the traces of children."""


def arm(record: Callable[[], None] | None = None, *, networks: bool = False) -> None:
    """Start to record with the first optimizer; also with the first network call, if `networks`.

    A child that only loads data creates no optimizer, so its networks are left alone.
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
        with suppress(Exception):  # whatever fails here, the program goes on
            record()

    for method in ("__init__", "__setstate__"):
        waiting.append(_before(Optimizer, method, begin))
    if networks:
        waiting.append(register_module_forward_pre_hook(begin).remove)


def _before(owner: type, method: str, call: Callable[[], None]) -> Callable[[], None]:
    """Make `owner.method` call `call` first; return how to undo that."""
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
        from workloads.capture.children import record_here  # noqa: PLC0415 - imports our modules
    record_here()
