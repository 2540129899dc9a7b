"""Which arguments of a profile's ops are parameters, by the names of the arguments."""

from simulator.trace.importers.names import kind_by_name
from simulator.trace.importers.nodes import OpEvent
from simulator.trace.importers.signature import Signature, is_parameter
from simulator.trace.op import OpKind

_LINEAR = {"mat2": "weight", "self": "bias"}


def parameters(event: OpEvent, sig: Signature) -> dict[str, str]:
    """Return which arguments of an op are parameters, and the names of these parameters.

    There are none in backward, optimizers, losses and views.
    """
    scope, base = event.scope, event.node.base
    kind = kind_by_name(base)
    if scope.in_backward or scope.marker is not None or scope.loss or kind is OpKind.VIEW:
        return {}
    in_linear = scope.outer is not None and scope.outer.base == "linear"
    linear = in_linear or (scope.compiled and base in ("addmm", "mm"))
    names = [argument.name for argument in sig.arguments]
    renamed = {name: name for name in names if is_parameter(name)}
    if linear and kind is OpKind.GEMM:
        known_as = {name: _LINEAR[name] for name in names if name in _LINEAR}
        renamed |= {a: b for a, b in known_as.items() if a != "self" or "mat1" in names}
    return renamed
