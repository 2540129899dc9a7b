"""YAML as ruamel.yaml reads it, within bounds; mistakes have their line."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from simulator.errors import shown
from simulator.files.yaml_comments import Comments, comments_of

_DEEPEST = 50  # lists and mappings within each other
_MOST = 200_000  # entries, those of an anchor wherever it is used
_KEYS = 5_000  # of all mappings; ours have some hundred
_TOO_DEEP = "its values are nested too deep"
_PLAIN = (str, int, float, type(None), list, dict)
_INTEGERS = range(-(2**63), 2**63)
_UNREADABLE = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError)


class Unreadable(Exception):
    """A text is no YAML, or beyond the bounds: at which line, and why."""

    def __init__(self, line: int, why: str) -> None:
        """Say where, from 1 on, and why."""
        super().__init__(why)
        self.line = line
        self.why = why


def load(text: str) -> tuple[Any, Comments]:
    """Return what `text` holds, in plain values, and the comments beside them; dates stay text.

    Raises Unreadable.
    """
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Constructor, yaml.Scanner = _Constructor, _Scanner
    try:
        content = yaml.load(text)
        return content, comments_of(yaml.constructor.root, text)
    except DuplicateKeyError as error:
        key = str(error.problem).removeprefix("found ").split(" with value")[0]
        raise Unreadable(_line(error), f"found {key}: keep one of the two") from None
    except MarkedYAMLError as error:
        raise Unreadable(_line(error), f"not YAML: {error.problem}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, f"not YAML: the character {_character(error)}") from None
    except RecursionError:
        raise Unreadable(1, f"not YAML: {_TOO_DEEP}") from None
    except (YAMLError, *_UNREADABLE):
        line = yaml.reader.line + 1
        raise Unreadable(line, "not YAML: a character or value that does not exist") from None


def _character(error: ReaderError) -> str:
    character = error.character
    return shown(chr(character) if isinstance(character, int) else character)


def _line(error: MarkedYAMLError) -> int:
    return int(error.problem_mark.line) + 1 if error.problem_mark else 1


class _Scanner(Scanner):
    """Stops at lists nested too deep and at endless keys, which would take long to read."""

    def __init__(self, loader: Any = None) -> None:
        """Start without keys."""
        super().__init__(loader)
        self._keys = 0

    def fetch_value(self) -> None:
        """Take the colon behind a key."""
        self._keys += 1
        if self._keys > _KEYS:
            why = f"it has more than {_KEYS:,} keys: is it the file you meant?"
            raise ScannerError(None, None, why, self.reader.get_mark())
        super().fetch_value()

    def fetch_flow_collection_start(self, *arguments: Any, **more: Any) -> None:
        """Begin a list or mapping in brackets."""
        if self.flow_level >= _DEEPEST:
            mark = self.reader.get_mark()
            raise ScannerError(None, None, _TOO_DEEP, mark)
        super().fetch_flow_collection_start(*arguments, **more)


class _Constructor(SafeConstructor):
    """Makes plain values only, within the bounds, and keeps the `root` that they come from."""

    root: Node | None = None

    def construct_document(self, node: Node) -> Any:
        """Return the content of a file."""
        _check_size(node)
        self.root = node
        return super().construct_document(node)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Return the value of a node."""
        try:
            value = super().construct_object(node, deep)
        except _UNREADABLE:
            kind = str(node.tag).rpartition(":")[2]
            value = shown(getattr(node, "value", ""))
            raise _problem(node, f"{value} is not of the kind {kind}") from None
        if not isinstance(value, _PLAIN):
            kind = str(node.tag).rpartition(":")[2]
            raise _problem(node, f"a value of the kind {kind} has no use here")
        if isinstance(value, int) and value not in _INTEGERS:
            raise _problem(node, f"{shown(node.value, 30)} does not fit in 64 bits")
        return value


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def _problem(node: Node, why: str) -> ConstructorError:
    return ConstructorError(None, None, why, node.start_mark)


def _check_size(root: Node) -> None:
    """Raise ConstructorError where anchors hold themselves, or multiply what a file holds."""
    sizes: dict[int, int] = {}

    def size(node: Node, within: frozenset[int]) -> int:
        if id(node) in within:
            raise _problem(node, "an anchor holds itself")
        if len(within) > _DEEPEST:
            raise _problem(node, _TOO_DEEP)
        if id(node) not in sizes:
            inner = within | {id(node)}
            sizes[id(node)] = 1 + sum(size(child, inner) for child in _children(node))
            if sizes[id(node)] > _MOST:
                raise _problem(node, f"its anchors make more than {_MOST:,} entries")
        return sizes[id(node)]

    size(root, frozenset())


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []
