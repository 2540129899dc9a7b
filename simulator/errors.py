"""How a request fails: bad input, a machine that cannot do it, a user who stops it.

Messages are one line, of a length that a terminal shows at once, without control characters.
"""

import errno
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 290
"""Characters of a message, 300 with the program's name before it; longer ones are cut in the
middle, as the fix stands at their end."""

_VALUE = 60  # characters of a value that is shown
_DEEPEST = 3  # lists within lists that are shown
_REASONS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "a part of the path is no folder",
    errno.EISDIR: "is a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the disk is read-only",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grows beyond the limit for files",
    errno.ELOOP: "links in a circle",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.EBADF: "it is closed",
    errno.EIO: "the disk fails",
}


class InputError(Exception):
    """Something the user gave is wrong; the message is one sentence naming file, value and fix."""

    def __init__(self, message: str, mistakes: Sequence[str] = ()) -> None:
        """Keep the message, on one line and no longer than LONGEST.

        `mistakes` are the sentences in it where it has several, the most important first.
        """
        super().__init__(sentence(message))
        self.mistakes = tuple(map(sentence, mistakes)) if len(mistakes) > 1 else ()


class Stopped(KeyboardInterrupt):
    """The user stopped long work; the message says what remains of it."""


@dataclass
class Infeasible(Exception):
    """The machine cannot run the work: `constraint` needs `demand` but has `bound` (same unit)."""

    constraint: str
    demand: int
    bound: int
    reason: str

    def __str__(self) -> str:
        """Return the reason as one sentence."""
        return self.reason


def sentence(text: str) -> str:
    """Return `text` on one line, its control characters escaped, its middle cut if it is long."""
    return _cut(escaped(text), LONGEST)


def escaped(text: str) -> str:
    """Return `text` on one line; characters that a terminal would obey stand as \\x1b and such."""
    line = " ".join(text.splitlines())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def shown(value: Any, longest: int = _VALUE) -> str:
    """Return a value as a message shows it, quoted if it is text, in `longest` characters.

    Takes no longer for values that are large, or hold themselves many times.
    """
    return _cut(escaped(_brief(value, longest)), longest)


def several(sentences: Iterable[str], count: int) -> str:
    """Return the first of `count` sentences that fit in a message, and how many more there are."""
    joined = ""
    for number, long in enumerate(sentences):
        each = long if count == 1 else _cut(long, LONGEST // 2)
        if number and len(joined) + len(each) > LONGEST - len("; and 1,000,000 more mistakes"):
            more = count - number
            return f"{joined}; and {more:,} more mistake{'s' if more > 1 else ''}"
        joined += f"; {each}" if number else each
    return joined


def a_or_an(noun: str) -> str:
    """Return a noun with its article."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def join_names(names: Iterable[str]) -> str:
    """Return names with commas between: the first that fit, and how many more there are."""
    words = list(names)
    fitting = len(words)
    while fitting > 1 and len(", ".join(words[:fitting])) > LONGEST // 2:
        fitting -= 1
    more = f" and {len(words) - fitting} more" if fitting < len(words) else ""
    return ", ".join(words[:fitting]) + more


def nearest(word: str, names: Iterable[str], otherwise: str = "known: {}") -> str:
    """Return a hint for a name that there is not: the closest one, or `otherwise` with all."""
    import difflib  # noqa: PLC0415 - for a mistake alone

    words = list(names)
    close = difflib.get_close_matches(word, words, 1)
    return f"did you mean {close[0]}?" if close else otherwise.format(join_names(words))


def reason(error: OSError | ValueError) -> str:
    """Return why the system refused a file, in plain words."""
    if not isinstance(error, OSError):
        return "the name has a character that no file's name can have"
    number = error.errno or 0
    return _REASONS.get(number) or (os.strerror(number).lower() if number else "it is damaged")


def _brief(value: Any, longest: int, depth: int = 0) -> str:
    """Return the beginning of a value as YAML and Python write it."""
    if value is None or isinstance(value, bool) or _is_special(value):
        return json.dumps(value)
    if isinstance(value, str | bytes):
        return repr(value[: longest + 1])
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length():,} bits"
    if isinstance(value, dict | list | tuple | set | frozenset) and value:
        if depth == _DEEPEST:
            return "..."
        items = value.items() if isinstance(value, dict) else value
        return _brief_items(items, longest, depth, mapping=isinstance(value, dict))
    return repr(value)


def _is_special(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _brief_items(items: Iterable[Any], longest: int, depth: int, *, mapping: bool) -> str:
    text = "{" if mapping else "["
    for item in items:
        if len(text) > longest:
            break
        parts = item if mapping else (item,)
        text += ": ".join(_brief(part, longest, depth + 1) for part in parts) + ", "
    return text.removesuffix(", ") + ("}" if mapping else "]")


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 5]} ... {text[-end:]}"
