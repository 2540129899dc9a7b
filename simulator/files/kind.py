"""Kinds of files by their first bytes or name, and what to do with one of the wrong kind."""

from dataclasses import dataclass
from pathlib import Path

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
HEAD = 512
"""Bytes that tell a file's kind."""

_MEANT = "is it the file you meant?"
_TAR = (257, b"ustar")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its name, and what to do with it; {file} is the path.

    `is_trace`: it may be a trace of trainsoc.
    """

    title: str
    fix: str
    is_trace: bool = False

    def advice(self, path: Path) -> str:
        """Return what to do with the file at `path`."""
        return self.fix.format(file=path)


TAR = Kind("a tar archive", "unpack it first (tar xf {file}) and give a file in it")
_SIGNATURES = {
    b"PK\x03\x04": Kind("a ZIP archive", "unpack it first (unzip {file}) and give a file in it"),
    b"PK\x05\x06": Kind("an empty ZIP archive", _MEANT),
    b"7z\xbc\xaf\x27\x1c": Kind("a 7-Zip archive", "unpack it first (7z x {file})"),
    b"Rar!\x1a\x07": Kind("a RAR archive", "unpack it first (unrar x {file})"),
    b"\xfd7zXZ\x00": Kind("compressed by xz", "decompress it first (xz -dk {file})"),
    b"\x28\xb5\x2f\xfd": Kind("compressed by Zstandard", "decompress it first (zstd -d {file})"),
    b"BZh": Kind("compressed by bzip2", "decompress it first (bunzip2 -k {file})"),
    b"\x04\x22\x4d\x18": Kind("compressed by lz4", "decompress it first (lz4 -d {file})"),
    b"\x1f\x9d": Kind("compressed by compress", "decompress it first (uncompress {file})"),
    GZIP: Kind("compressed by gzip", "decompress it first (gunzip -k {file})"),
    PARQUET: Kind(
        "a Parquet file, as traces of trainsoc are",
        "see what is in it with trainsoc show {file}",
        is_trace=True,
    ),
    b"\x89PNG": Kind("an image", _MEANT),
    b"\xff\xd8\xff": Kind("an image", _MEANT),
    b"%PDF-": Kind("a PDF document", _MEANT),
    b"\x7fELF": Kind("a program", _MEANT),
    b"SQLite format 3": Kind(
        "an SQLite database, such as Nsight Systems writes",
        "profile with torch.profiler and export_chrome_trace",
    ),
    b"\x89HDF\r\n": Kind("an HDF5 file", _MEANT),
    b"\x93NUMPY": Kind("a NumPy array", _MEANT),
}
_YAML = Kind("a YAML file", "a trace comes from trainsoc capture or trainsoc import")
_SUFFIXES = {
    ".py": Kind("a Python script", "record its training with trainsoc capture {file} -o run.trace"),
    ".ipynb": Kind("a notebook", "save its code as a script and record it with trainsoc capture"),
    ".yaml": _YAML,
    ".yml": _YAML,
    ".onnx": Kind("an ONNX network", "record a run of it in PyTorch with trainsoc capture"),
}


def kind_by_name(path: Path) -> Kind | None:
    """Return what a file is by the ending of its name."""
    return _SUFFIXES.get(path.suffix.lower())


def kind_of(start: bytes) -> Kind | None:
    """Return what a file is that begins with `start`, None where only its text can tell.

    `start` has HEAD bytes, or the whole file.
    """
    place, mark = _TAR
    if start[place:].startswith(mark):
        return TAR
    return next((kind for mark, kind in _SIGNATURES.items() if start.startswith(mark)), None)
