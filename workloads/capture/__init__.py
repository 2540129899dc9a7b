"""Records what a real training run does, op by op, as a Trace."""

from workloads.capture.script import ScriptFailed, capture_script
from workloads.capture.session import Recording, capture, note
from workloads.capture.treatments import treat

__all__ = ["Recording", "ScriptFailed", "capture", "capture_script", "note", "treat"]
