"""Reading YAML, one sentence for a mistake, and its text."""

import io
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import InputError, shown
from simulator.files.cache import FileParser, recall
from simulator.files.text import read_text
from simulator.memo import remember

if TYPE_CHECKING:
    from simulator.files.yaml_comments import Comments


_FILES = 32  # a guess: descriptions and presets that the points of a sweep read again and again
_LARGEST = 1 << 20  # bytes; a sweep of 10,000 designs is half of that
_PARSER = FileParser(
    "yaml",
    "ruamel.yaml",
    [Path(__file__).with_name(name) for name in ("bounded_yaml.py", "yaml_comments.py")],
)


@dataclass(frozen=True, eq=False)
class Document:
    """The mapping in a YAML file, and the comments beside its values."""

    content: dict[str, Any]
    comments: "Comments"


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """Return the mapping in a YAML file that should look like `example`.

    Raises InputError naming file, line and fix.
    """
    content: dict[str, Any] = deepcopy(read_document(path, example).content)
    return content


def read_value(label: str, text: str) -> Any:
    """Return the value that a piece of YAML holds. Raises InputError that begins with `label`."""
    from simulator.files.bounded_yaml import Unreadable, load  # noqa: PLC0415 - 0.05 s, rarely needed

    try:
        return load(text)[0]
    except Unreadable as error:
        raise InputError(f"{label}={shown(text)}: {error.why}") from None


def read_document(path: Path, example: str) -> Document:
    """Return the mapping in a YAML file, shared and not to be changed, with its comments.

    Equal text is read once and is then the same object. Raises InputError as `read_yaml` does.
    """
    return _document(str(path), read_text(path, _LARGEST), example)


@remember("YAML documents", most=_FILES)
def _document(path: str, text: str, example: str) -> Document:
    content, comments = recall(_PARSER, text.encode(), partial(_parsed, path, text))
    if content is None:
        raise InputError(f"{path}: the file is empty: start from a copy of {example}")
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys as {example} has them, found {shown(content, 40)}")
    return Document(content, {tuple(at): comment for at, comment in comments})


def _parsed(path: str, text: str) -> list[Any]:
    """Return the value in `text`, and the comments beside its parts with their paths."""
    from simulator.files.bounded_yaml import Unreadable, load  # noqa: PLC0415 - 0.05 s, rarely needed

    try:
        content, comments = load(text)
    except Unreadable as error:
        raise InputError(f"{path}: line {error.line}: {error.why}") from None
    return [content, [[list(at), comment] for at, comment in comments.items()]]


def yaml_text(content: Mapping[str, Any]) -> str:
    """Return `content` as the text of a YAML file, its keys in their order."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - 0.05 s that many verbs need not spend

    writer: Any = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 100
    writer.sort_base_mapping_type_on_output = False
    text = io.StringIO()
    writer.dump(dict(content), text)
    return text.getvalue()
