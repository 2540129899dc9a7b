"""Identity of this trainsoc: version, and digest of the source that decides results."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from simulator.memo import remember

_ROOM = Path(__file__).resolve().parent
_SHOWS = ("cli", "interactive", "sweeps", "views")  # they show or ask for results, change none
_ROWS = _ROOM / "sweeps" / "job.py"  # decides what a point keeps of its result


@remember("versions of packages", most=8)
def version_of(package: str) -> str:
    """Return the version of an installed package, or "unknown"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@remember("fingerprint of the code", most=1)
def fingerprint() -> str:
    """Return the version with a digest of models and tables: equal ones give equal results."""
    digest = hashlib.sha256()
    files = (path for end in ("*.py", "*.csv") for path in _ROOM.rglob(end))
    for path in sorted(files):
        if path == _ROWS or not set(path.relative_to(_ROOM).parts) & set(_SHOWS):
            digest.update(path.relative_to(_ROOM).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{version_of('trainsoc')} {digest.hexdigest()[:12]}"
