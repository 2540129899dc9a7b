"""Where a program uses a number, and whether it decides when a `while` loop ends.

Read from the source: the names that a statement's value reaches by assignment or through an `if`,
within one function and through its return value. Containers and attributes of other objects are not
followed.
"""

import ast
import linecache
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

import torch

from simulator.memo import remember

CAPTURE, TORCH = str(Path(__file__).parent), str(Path(torch.__file__).parent)
_PYTHON = sysconfig.get_path("stdlib")
_SITE = sysconfig.get_path("purelib")  # inside the standard library's folder
_DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Position = tuple[int, int]


class Use(NamedTuple):
    """How a function uses a number that one of its statements reads: whether it decides when a
    `while` loop ends, the lines of branches that depend on it, and whether it is returned.
    """

    ends_loop: bool = False
    branches: tuple[int, ...] = ()
    returned: bool = False


def caller() -> FrameType | None:
    """Return the innermost frame outside the capture."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith((CAPTURE, "<")):
        frame = frame.f_back
    return frame


def program(frame: FrameType | None) -> FrameType | None:
    """Return the first frame from `frame` outwards that is neither PyTorch's nor Python's."""
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def in_network(frame: FrameType | None) -> bool:
    """Return whether a frame runs inside a call of a network."""
    while frame is not None:
        if frame.f_code is torch.nn.Module._call_impl.__code__:
            return True
        frame = frame.f_back
    return False


def uses(frame: FrameType | None) -> Iterator[tuple[FrameType, Use]]:
    """Yield the use of what `frame` reads now, in its function and in callers that get
    it returned.
    """
    while frame is not None and frame.f_lasti >= 0:
        use = _use(frame.f_code, frame.f_lasti)
        yield frame, use
        frame = program(frame.f_back) if use.returned else None


def _is_library(name: str) -> bool:
    inside = name.startswith((CAPTURE, TORCH, "<"))
    return inside or (name.startswith(_PYTHON) and not name.startswith(_SITE))


@remember("uses of a call's result", most=4096)
def _use(code: CodeType, instruction: int) -> Use:
    if code.co_name == "<lambda>":
        return Use(returned=True)
    line, _, column, _ = list(code.co_positions())[instruction // 2]
    tree = _parsed(code.co_filename)
    if tree is None or line is None or column is None:
        return Use()
    around = [node for node in ast.walk(tree) if _contains(node, (line, column))]
    inner = next((i for i, node in enumerate(around[::-1]) if isinstance(node, _DEFINES)), None)
    start = 0 if inner is None else len(around) - inner
    body = getattr(around[start - 1], "body", []) if start else tree.body
    return _followed(list(_statements(body, None)), around[start:]) if around[start:] else Use()


@remember("parsed sources", most=64)
def _parsed(name: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(name)))
    except SyntaxError:
        return None


def _contains(node: ast.AST, position: _Position) -> bool:
    if not isinstance(node, ast.stmt):
        return False
    end = node.end_lineno or node.lineno, node.end_col_offset or 0
    return (node.lineno, node.col_offset) <= position < end


class _Statement(NamedTuple):
    node: ast.stmt
    loop: ast.stmt | None  # the innermost loop around it


def _statements(body: list[ast.stmt], loop: ast.stmt | None) -> Iterator[_Statement]:
    for node in body:
        yield _Statement(node, loop)
        if not isinstance(node, _DEFINES):
            inner = node if isinstance(node, ast.For | ast.While) else loop
            for part in ast.iter_child_nodes(node):
                nested = [part] if isinstance(part, ast.stmt) else getattr(part, "body", [])
                yield from _statements(nested if isinstance(nested, list) else [], inner)


def _followed(function: list[_Statement], around: list[ast.AST]) -> Use:
    """Return how a function uses what the innermost statement of `around` reads."""
    source = around[-1]
    loops = [node for node in around if isinstance(node, ast.While)]
    names: set[str] = set()
    reached = [s for s in function if s.node is source]
    while True:
        before = len(names)
        names.update(name for s in reached for name in _assigned(s.node))
        reached = [s for s in function if s.node is source or names & _read(s.node)]
        if len(names) == before:
            break
    ends = any(s.node in loops or _leaves(s, loops) for s in reached)
    branches = [s.node.lineno for s in reached if _branches(s.node)]
    return Use(ends, tuple(branches), any(_returns(s.node) for s in reached))


def _branches(node: ast.stmt) -> bool:
    inline = any(isinstance(part, ast.IfExp) for part in _expressions(node))
    return inline or isinstance(node, ast.If | ast.While)


def _returns(node: ast.stmt) -> bool:
    # Of several returned values, the caller may use any.
    return isinstance(node, ast.Return) and not isinstance(node.value, ast.Tuple | ast.Dict)


def _leaves(statement: _Statement, loops: list[ast.While]) -> bool:
    """Return whether an `if` leaves one of the loops."""
    node = statement.node
    if not loops or not isinstance(node, ast.If):
        return False
    inside = list(_statements([node], statement.loop))
    return any(
        isinstance(s.node, ast.Return | ast.Raise)
        or (isinstance(s.node, ast.Break) and s.loop in loops)
        for s in inside
    )


def _expressions(node: ast.stmt) -> Iterator[ast.AST]:
    """Yield the expressions of a statement, without those of statements inside it."""
    if isinstance(node, _DEFINES):
        return
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from ast.walk(part)


def _read(node: ast.stmt) -> set[str]:
    augmented = isinstance(node, ast.AugAssign)
    names = set()
    for part in _expressions(node):
        if not augmented and not isinstance(getattr(part, "ctx", None), ast.Load):
            continue
        if isinstance(part, ast.Name | ast.Attribute):
            names.add(ast.unparse(part))
        if isinstance(part, ast.Attribute | ast.Subscript):
            names.add(_inside(part.value))
    return names


def _assigned(node: ast.stmt) -> set[str]:
    """Return the names that a statement, or one inside it that depends on it, assigns."""
    inside = ast.walk(node) if isinstance(node, ast.If | ast.While) else _expressions(node)
    names = set()
    for part in inside:
        stored = isinstance(getattr(part, "ctx", None), ast.Store)
        if stored and isinstance(part, ast.Name | ast.Attribute):
            names.add(ast.unparse(part))
        elif stored and isinstance(part, ast.Subscript):
            names.add(_inside(part.value))
        elif isinstance(part, ast.Expr | ast.Call) and _changed(part):
            names.add(_changed(part))
    return names


def _changed(node: ast.AST) -> str:
    """Return the object that a method call such as `losses.append(loss)` changes, or ""."""
    called = node.func if isinstance(node, ast.Call) else None
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return ""
    return "" if called.value.id in ("self", "cls") else _inside(called.value)


def _inside(container: ast.expr) -> str:
    """Return a name for the contents of a container, as opposed to its length."""
    return ast.unparse(container) + "[]"
