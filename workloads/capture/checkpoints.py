"""Checkpoints of a fake capture: nothing is written, but a program can load what it saved.

A file given by path is not touched. An open file or buffer, which the program has truncated
already, gets a mark. Renaming or copying a file that was not written moves what stands for it.
"""

import copy
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from workloads.capture.patches import replaced

_MARK = "stands for what a fake capture of trainsoc did not save"


class Checkpoints:
    """Objects saved with fake tensors in them; `unsaved` counts how often."""

    def __init__(self, is_fake: Callable[[torch.Tensor], bool]) -> None:
        """Start with none; `is_fake` says which tensors have no contents."""
        self.unsaved = 0
        self._is_fake = is_fake
        self._saved: dict[int, Any] = {}
        self._paths: dict[str, int] = {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Patch torch.save, torch.load and file operations inside a block."""
        with ExitStack() as stack:
            stack.enter_context(replaced(torch, "save", self._save(torch.save)))
            stack.enter_context(replaced(torch, "load", self._load(torch.load)))
            for owner, name in ((os, "rename"), (os, "replace"), (shutil, "copyfile")):
                moves = name != "copyfile"
                moving = self._move(getattr(owner, name), moves=moves)
                stack.enter_context(replaced(owner, name, moving))
            for name in ("remove", "unlink"):
                stack.enter_context(replaced(os, name, self._remove(getattr(os, name))))
            yield

    def _save(self, save: Callable[..., None]) -> Callable[..., None]:
        def saving(obj: Any, f: Any, *rest: Any, **options: Any) -> None:
            if not _holds(obj, self._is_fake):
                self._paths.pop(_path(f), None)
                save(obj, f, *rest, **options)
                return
            self.unsaved += 1
            with _disable_current_modes():
                self._saved[self.unsaved] = copy.deepcopy(obj)
            if _path(f):
                self._paths[_path(f)] = self.unsaved
            else:
                save({_MARK: self.unsaved}, f)

        return saving

    def _load(self, load: Callable[..., Any]) -> Callable[..., Any]:
        def loading(f: Any, *rest: Any, **options: Any) -> Any:
            number = self._paths.get(_path(f))
            if number is None:
                loaded = load(f, *rest, **options)
                number = loaded.get(_MARK) if type(loaded) is dict else None
            if number is None:
                return loaded
            with _disable_current_modes():
                return copy.deepcopy(self._saved[number])

        return loading

    def _move(self, move: Callable[..., Any], *, moves: bool) -> Callable[..., Any]:
        def moving(src: Any, dst: Any, *rest: Any, **options: Any) -> Any:
            number = self._paths.get(_path(src))
            if number is None:
                self._paths.pop(_path(dst), None)
                return move(src, dst, *rest, **options)
            self._paths[_path(dst)] = number
            if moves:
                del self._paths[_path(src)]
            return dst

        return moving

    def _remove(self, remove: Callable[..., None]) -> Callable[..., None]:
        def removing(path: Any, *rest: Any, **options: Any) -> None:
            if self._paths.pop(_path(path), None) is None:
                remove(path, *rest, **options)

        return removing


def _path(file: Any) -> str:
    """Return the real path of a file given by path, "" for a stream."""
    return (
        os.path.realpath(os.fsdecode(file)) if isinstance(file, str | bytes | os.PathLike) else ""
    )


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


def _holds(obj: Any, is_fake: Callable[[torch.Tensor], bool]) -> bool:
    """Return whether an object to be saved contains a fake tensor."""
    holds_fake = False

    class FakeFinder(pickle.Pickler):
        def persistent_id(self, part: Any) -> Any:
            nonlocal holds_fake
            if not isinstance(part, torch.Tensor):
                return None
            holds_fake = holds_fake or is_fake(part)
            return "tensor"

    with suppress(Exception):  # torch.save will report it
        FakeFinder(_Nowhere(), protocol=2).dump(obj)
    return holds_fake
