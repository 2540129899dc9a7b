"""Names of op arguments, and which of them an op writes."""

import re
from dataclasses import dataclass
from importlib.resources import files

from simulator.memo import remember

_MANY = ", ".join(["self, other, third, fourth", *(f"argument{n}" for n in range(4, 40))])
_FILE = "signatures.txt"
_PARAMETER = re.compile(
    r"(?!attn_|.*(_buf|_stride0|_sizes|_dtype|_scale|_meta)$).*(weight|bias)|params$|(ORI_)?W$|q?w$"
)


def _read() -> dict[str, str]:
    """Return the arguments of each op by its name; "!" marks those that the op writes."""
    text = files("simulator.trace.importers").joinpath(_FILE).read_text(encoding="utf-8")
    pairs = (line.partition("(") for line in text.splitlines())
    return {name: arguments.removesuffix(")") for name, _, arguments in pairs}


SIGNATURES = _read()


@remember("names of parameters", most=4096)
def is_parameter(argument: str) -> bool:
    """Return whether an argument of this name is a parameter of a layer."""
    return bool(_PARAMETER.match(argument))


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of an op: whether the op writes it, and whether it is only an `out`."""

    name: str
    written: bool
    out: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of an op in order, and its overload."""

    arguments: tuple[Argument, ...]
    overload: str

    def named(self, values: tuple[object, ...]) -> dict[str, object]:
        """Return the values by argument name."""
        return dict(zip((argument.name for argument in self.arguments), values, strict=False))


@remember("signatures of ops", most=8192)
def signature(base: str, schema: str) -> Signature:
    """Return the signature of op `base` from its PyTorch schema; if that is "", from its name."""
    if schema:
        name, _, rest = schema.partition("(")
        overload = name.partition(".")[2] or "default"
        return Signature(_parsed(rest.rpartition("->")[0] or rest), overload)
    plain = base if base in SIGNATURES else base.removesuffix("_")
    arguments = _parsed(SIGNATURES.get(plain, _MANY) + ")")
    if base != plain or (base not in SIGNATURES and base.endswith("_")):
        first, *others = arguments
        arguments = (Argument(first.name, True, False), *others)
    return Signature(arguments, "")


def _parsed(text: str) -> tuple[Argument, ...]:
    """Parse "Tensor(a!) self, Tensor other, *, Scalar alpha=1)"."""
    arguments = []
    keyword = False
    for piece in _pieces(text):
        if piece == "*":
            keyword = True
            continue
        name = piece.partition("=")[0].split()[-1].rstrip("!")
        written = "!" in piece.partition("=")[0]
        arguments.append(Argument(name, written, written and keyword))
    return tuple(arguments)


def _pieces(text: str) -> list[str]:
    pieces, depth, piece = [], 0, ""
    for character in text:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            break
        if character == "," and not depth:
            pieces.append(piece.strip())
            piece = ""
        else:
            piece += character
    return [*pieces, piece.strip()] if piece.strip() else pieces
