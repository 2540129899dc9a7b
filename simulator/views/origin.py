"""How a trace came about, in sentences: what recorded it, and what in it is not as it ran."""

from collections.abc import Mapping

_RECORDED = ("tool", "torch", "mode", "schema")  # what made the trace, in one sentence
_SENTENCES = {
    "inferred": "Inferred on import",
    "unknown_products": "Matrix products whose sizes are not in the file; their FLOP are missing",
    "unknown_ops": "Ops of unknown cost, counted by the bytes that are known",
    "approximated_steps": "Steps counted as the most similar one that was recorded in full",
    "looked_at": "Watched op by op; the rest called the same modules on the same shapes",
    "unmodelled": "Matrix products whose sizes no argument tells; their FLOP are missing",
    "lost_ops": "Ops that could not be recorded and are missing",
    "faults": "Times that the recorder failed to follow the program; layers may be missing",
    "compiled": "torch.compile",
    "part": "Part of the run",
    "stand_ins": "Fake capture",
    "ran_for_real": "Fake capture",
    "branches": "Fake capture",
    "workspaces": "Fake capture, without the workspaces of",
    "random_numbers": "Fake capture",
    "not_saved": "Fake capture, not written",
}


def provenance(origin: Mapping[str, str]) -> str:
    """Return what recorded the trace, in a sentence; "" if nobody knows."""
    if "tool" not in origin:
        return ""
    torch = f" with torch {origin['torch']}" if "torch" in origin else ""
    schema = f", schema {origin['schema']}" if "schema" in origin else ""
    shapes = ", by shapes alone" if origin.get("mode") == "shapes only" else ""
    return f"Made by {origin['tool']}{torch}{schema}{shapes}."


def notes(origin: Mapping[str, str]) -> list[str]:
    """Return a sentence for each thing that is not as the program ran, or was guessed."""
    return [
        f"{_SENTENCES.get(key, key.replace('_', ' '))}: {value}."
        for key, value in origin.items()
        if key not in _RECORDED
    ]
