"""Storages that an evaluation leaves to the next one, as a language model does keys and values."""

from typing import Any

import torch

from workloads.capture.tape import Tape


class CarriedStorages:
    """The storages of the latest evaluation that are still there, by identity.

    Weak references keep their addresses from being used again, and nothing alive.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._left: dict[int, tuple[int, Any]] = {}

    def __del__(self) -> None:
        """Give their addresses free."""
        self.forget()

    def follow(self, tape: Tape) -> dict[int, int]:
        """Take in the tape of the next evaluation.

        Return the storages that it got from the one before: their numbers on its tape, and on the
        earlier one.
        """
        shared = {
            tape.numbers[address]: number
            for address, (number, _) in self._left.items()
            if address in tape.numbers
        }
        self.forget()
        for address, number in tape.numbers.items():
            reference = tape.weak[number]
            storage: Any = reference and _alive(reference)
            if storage is not None:
                self._left[address] = number, storage._weak_ref()
        return shared

    def forget(self) -> None:
        """Follow no storage any more."""
        free: Any = torch.UntypedStorage._free_weak_ref
        for _, reference in self._left.values():
            free(reference)
        self._left.clear()


def _alive(reference: Any) -> Any:
    """Return the storage that a weak reference points to, None if it is gone."""
    revive: Any = torch.UntypedStorage._new_with_weak_ptr
    return revive(reference)
