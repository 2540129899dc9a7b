"""The page as one file: style, document and script in it, and nothing that it would ask for."""

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from pathlib import Path

from simulator.files.writing import write_text
from simulator.memo import remember
from simulator.views.page.documents import PageDocument

SCRIPTS = (
    "format", "state", "draw", "chart", "verdict", "causes", "lanes", "timeline", "roofline",
    "layers", "prices", "memory", "space", "parallel", "designs", "methods", "scenario", "trust",
    "start",
)  # fmt: skip
"""The parts of the script, in the order in which they are read."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="trainsoc {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript><p>{verdict}</p><p>The figures of this page need JavaScript.</p></noscript>
<script type="application/json" id="document">{document}</script>
<script>{script}</script>
</body>
</html>
"""


def page_html(page: PageDocument) -> str:
    """Return the page as HTML; equal documents give equal text.

    Its policy allows its own style and script by their digests, and no request at all.
    """
    style, script = _style(), _script()
    return _PAGE.format(
        policy=f"style-src {_digest(style)}; script-src {_digest(script)}",
        version=escape(page["trainsoc"]),
        title=escape(page["title"]),
        style=style,
        verdict=escape(" ".join(page["verdict"])),
        document=_json(page),
        script=script,
    )


def write_page(page: PageDocument, path: Path) -> None:
    """Write the page to `path` in one piece. Raises InputError if it cannot."""
    write_text(path, page_html(page))


def _json(page: PageDocument) -> str:
    """Return JSON that ends no element and begins none, whatever names it has in it."""
    text = json.dumps(page, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@remember("script of the page", most=1)
def _script() -> str:
    parts = "\n".join(_lean(_asset(f"{name}.js")) for name in SCRIPTS)
    return f'"use strict";(()=>{{\n{parts}\n}})();'


@remember("style of the page", most=1)
def _style() -> str:
    return _lean(_asset("page.css"))


def _lean(text: str) -> str:
    """Return a source without indentation, empty lines and lines that are comments."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def _asset(name: str) -> str:
    return files("simulator.views.page").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
