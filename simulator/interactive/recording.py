"""Capture from Python, which imports torch when it is called and not before."""

from typing import TYPE_CHECKING, Any

from simulator.errors import InputError

if TYPE_CHECKING:
    from workloads.capture import Recording


def capture(
    model: Any = None,
    optimizer: Any = None,
    *,
    steps: int | None = None,
    name: str = "",
    time: bool = False,
    fake: bool = False,
) -> "Recording":
    """Record the training inside a `with` block; its `trace` is then the trace of the run.

    Arguments are those of `workloads.capture.capture`: a network and an
    optimizer of torch. Raises InputError where torch is missing.
    """
    try:
        from workloads import capture as recorder  # noqa: PLC0415 - imports torch
    except ModuleNotFoundError as error:
        lack = f"capture needs {error.name}: pip install 'trainsoc[capture]'"
        raise InputError(lack) from None
    return recorder.capture(model, optimizer, steps=steps, name=name, time=time, fake=fake)
