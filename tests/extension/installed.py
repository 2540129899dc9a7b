"""A distribution as `pip install` leaves it: a folder on the path with a list of entry points."""

from pathlib import Path


def distribution(folder: Path, name: str, *lines: str) -> Path:
    """Write the metadata of distribution `name` under `folder`, with entry points as in INI."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
