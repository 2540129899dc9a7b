"""The names that `accelerator.dataflow` takes: built in, or registered by another package."""

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from simulator import extensions

BUILT_IN = ("ws", "os", "is")
GROUP = "trainsoc.dataflows"
"""Entry points of this group are objects of `timing.dataflows.Dataflow`, by their names."""


def _check_name(name: str) -> str:
    """Return `name` if a dataflow has it, looking into other packages last."""
    if name in BUILT_IN or name in (others := extensions.names(GROUP)):
        return name
    *first, last = (repr(each) for each in (*BUILT_IN, *others))
    raise PydanticCustomError("unknown_dataflow", f"input should be {', '.join(first)} or {last}")


DataflowName = Annotated[str, AfterValidator(_check_name)]
