"""A pass of another package: each GEMM runs several times over, by layer."""

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from simulator.trace.passes.rewrite import Pass


@dataclass(frozen=True)
class Copies(Pass[int]):
    """Multiplies the batch of every GEMM of a layer."""

    key = "copies"
    value_type = Annotated[int, Field(ge=1, le=8)]

    def apply(self, step):
        return replace(step, ops=tuple(self._copied(op) for op in step.ops))

    def _copied(self, op):
        times = self.of(op.layer) or 1
        return replace(op, gemms=tuple(replace(g, batch=times * g.batch) for g in op.gemms))


class Misnamed(Copies):
    """Registered under a key that it does not have."""
