"""A file that is not what was needed is told by what it is, with what to do."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import pytest

from simulator.errors import InputError
from simulator.replay import as_trace
from simulator.trace.importers import IMPORTERS, import_any
from tests.builders import small_trace
from tests.system.import_samples import refused, sample

TEXT = b'{"schemaVersion": 1, "traceEvents": []}'
# A Zstandard frame of one raw block (RFC 8878, 3.1.1).
ZSTANDARD = (
    b"\x28\xb5\x2f\xfd\x20" + bytes([len(TEXT)]) + (len(TEXT) << 3 | 1).to_bytes(3, "little") + TEXT
)


def tar(mode):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        member = tarfile.TarInfo("profile.json")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return file.getvalue()


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("profile.json", TEXT)
    return file.getvalue()


PACKED = {
    "p.tar": (tar("w"), "tar archive"),
    "p.tar.gz": (tar("w:gz"), "tar archive"),
    "p.tgz": (tar("w:gz"), "tar archive"),
    "p.tar.xz": (tar("w:xz"), "xz"),
    "p.zip": (zipped(), "ZIP archive"),
    "p.json.xz": (lzma.compress(TEXT), "xz"),
    "p.json.bz2": (bz2.compress(TEXT), "bzip2"),
    "p.json.zst": (ZSTANDARD, "Zstandard"),
    "p.json.gz.gz": (gzip.compress(gzip.compress(TEXT)), "gzip"),
    "misnamed.json": (zipped(), "ZIP archive"),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("form", IMPORTERS)
def test_archives_are_named_and_how_to_unpack_them(form, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(PACKED[name][0])
    refused(form, path, PACKED[name][1], "first", str(path))
    with pytest.raises(InputError, match="first") as caught:
        as_trace(path)
    assert PACKED[name][1] in str(caught.value) or "gzip" in str(caught.value)


OTHERS = {
    "train.py": (b"import torch\n", "trainsoc capture {path} -o run.trace"),
    "net.csv": (b"Layer,M,N,K,\na,1,2,3,\n", "trainsoc import scalesim {path} -o run.trace"),
    "soc.yaml": (b"name: x\n", "YAML"),
    "empty.trace": (b"", "not a trainsoc trace"),
    "junk.trace": (bytes(range(256)) * 4, "not a trainsoc trace"),
    "image.trace": (b"\x89PNG\r\n\x1a\n", "an image"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_trace_that_is_another_file_is_told_with_the_right_command(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(OTHERS[name][0])
    with pytest.raises(InputError) as caught:
        as_trace(path)
    assert OTHERS[name][1].format(path=path) in str(caught.value)


def test_a_profile_is_no_trace_until_it_is_imported():
    with pytest.raises(InputError, match=r"is a Chrome trace, not .*: trainsoc import kineto"):
        as_trace(sample("lenet.kineto"))


def test_a_trace_needs_no_import(tmp_path):
    path = small_trace(tmp_path)
    with pytest.raises(InputError, match="trainsoc show"):
        import_any(path)


@pytest.mark.parametrize("read", [as_trace, import_any])
def test_folders_and_pipes_are_no_files(read, tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe or device"):
        read(tmp_path / "pipe")


@pytest.mark.parametrize("read", [as_trace, import_any])
@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"], ids=["long", "NUL"])
def test_names_that_no_file_can_have(read, name, tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert len(str(caught.value)) <= 300
