"""Reading YAML, every mistake told in one sentence, and writing it."""

import io
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from simulator.errors import InputError

_FILES = 32  # a guess: descriptions and presets that the points of a sweep read again and again


def read_yaml(path: Path, example: str) -> dict[str, Any]:
    """Return the mapping in a YAML file that should look like `example`.

    Raises InputError naming file, line and fix.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as YAML: {told}") from None
    return deepcopy(_mapping(str(path), text, example))


@lru_cache(maxsize=_FILES)
def _mapping(path: str, text: str, example: str) -> dict[str, Any]:
    """Return the mapping in `text`, which stands in the file at `path`; equal text is read once."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - 0.05 s that many verbs need not spend
    from ruamel.yaml.constructor import DuplicateKeyError  # noqa: PLC0415
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        content = YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1
        problem = str(error.problem).split(" with value")[0]
        raise InputError(f"{path}: line {line}: {problem}: keep one of the two") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}: line {line}: not YAML: {error.problem}") from None
    except YAMLError as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as YAML: {told}") from None
    if content is None:
        raise InputError(f"{path}: the file is empty: start from a copy of {example}")
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys as {example} has them, found {content!r:.40}")
    return content


def yaml_text(content: Mapping[str, Any]) -> str:
    """Return `content` as the text of a YAML file, its keys in their order."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - as above

    writer: Any = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 100
    writer.sort_base_mapping_type_on_output = False
    text = io.StringIO()
    writer.dump(dict(content), text)
    return text.getvalue()
