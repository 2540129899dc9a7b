"""What the operating system reports on the CPU and its memory."""

import datetime
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import torch

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_SIMD = {"avx512f": 64, "avx2": 32, "avx": 32, "asimd": 16, "sse2": 16}


@dataclass(frozen=True)
class Host:
    """Name and nominal figures: clock in Hz, bytes of a vector register, the last cache
    and memory.
    """

    model: str
    threads: int
    clock: int
    simd: int
    cache: int
    memory: int
    torch: str
    date: str

    @property
    def lanes(self) -> int:
        """fp32 numbers in a vector register."""
        return self.simd // 4


def this_host(threads: int) -> Host:
    """Return this machine; figures that the system does not report get usual values."""
    cpuinfo = _read(Path("/proc/cpuinfo"))
    megahertz = re.findall(r"^cpu MHz\s*:\s*([0-9.]+)", cpuinfo, re.MULTILINE)
    clock = round(max(map(float, megahertz), default=2000.0)) * 10**6
    return Host(
        _first_match(r"^model name\s*:\s*(.+)$", cpuinfo) or platform.machine(),
        threads,
        clock,
        _simd(cpuinfo),
        _last_cache(),
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        str(torch.__version__),
        datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    )


def _simd(cpuinfo: str) -> int:
    flags = set(_first_match(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo).split())
    return next((size for flag, size in _SIMD.items() if flag in flags), 16)


def _last_cache() -> int:
    sizes = [_kibibytes(_read(path)) for path in sorted(_CACHES.glob("index*/size"))]
    return 1024 * max(sizes, default=0)


def _kibibytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)K", text.strip())
    return int(match[1]) if match else 0


def _first_match(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
