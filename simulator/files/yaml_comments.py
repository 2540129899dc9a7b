"""Comments of a YAML text, each with the value that it stands beside."""

import re
from collections.abc import Mapping
from typing import TypeAlias

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

Comments: TypeAlias = Mapping[tuple[str, ...], str]
"""By path; entries of lists by their number from 0."""

_BEHIND_VALUE = re.compile(r"[ \t,\]}]*[ \t]#[ \t]*([^\r\n]*)")
_BEHIND_KEY = re.compile(r"[ \t]*:[ \t]+#[ \t]*([^\r\n]*)")


def comments_of(root: Node | None, text: str) -> Comments:
    """Return the comments beside the values that `root`, read from `text`, holds.

    A comment stands at the end of its value's line, or of its key's if lines of their own follow.
    What has none takes that of the list or mapping it is in.
    """
    comments: dict[tuple[str, ...], str] = {}
    beside: dict[int, str] = {}  # each node once, however often an anchor repeats it

    def visit(node: Node, path: tuple[str, ...], inherited: str) -> None:
        for name, key, child in _entries(node):
            if id(child) not in beside:
                beside[id(child)] = _beside(key, child, text)
            comment = beside[id(child)] or inherited
            if comment:
                comments[(*path, name)] = comment
            visit(child, (*path, name), comment)

    if root is not None:
        visit(root, (), "")
    return comments


def _entries(node: Node) -> list[tuple[str, Node | None, Node]]:
    """Return the entries of a list or mapping: name, the node of the key, that of the value."""
    if isinstance(node, MappingNode):
        pairs = [(key, value) for key, value in node.value if isinstance(key, ScalarNode)]
        return [(key.value, key, value) for key, value in pairs]
    if isinstance(node, SequenceNode):
        return [(str(index), None, value) for index, value in enumerate(node.value)]
    return []


def _beside(key: Node | None, value: Node, text: str) -> str:
    """Return the comment at the end of the line of a value, or of its key if it is a block."""
    if _is_line(value):
        comment = _BEHIND_VALUE.match(text, value.end_mark.index)
    else:
        comment = _BEHIND_KEY.match(text, key.end_mark.index) if key else None
    return comment[1].strip() if comment else ""


def _is_line(node: Node) -> bool:
    if isinstance(node, CollectionNode):
        return bool(node.flow_style)
    return getattr(node, "style", None) not in ("|", ">")
