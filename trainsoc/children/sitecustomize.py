# mypy: ignore-errors
"""Begins every Python process that a captured script starts: this folder is on its PYTHONPATH.

It must run under any Python and change nothing: it takes itself off the path, hands over to the
sitecustomize that the process would have had, and waits for torch.optim to be imported.
"""

import os
import sys

TRIGGER = "torch.optim.optimizer"


class AfterImport:
    """Finds nothing, but lets a process that imports `TRIGGER` be recorded once it trains."""

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002, D102
        if name != TRIGGER:
            return None
        sys.meta_path.remove(self)
        from importlib.machinery import PathFinder  # noqa: PLC0415 - few processes get here

        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_arm(module):
                execute(module)
                arm()

            spec.loader.exec_module = execute_and_arm
        return spec


def arm():
    """Wait for an optimizer; where trainsoc does not run, the process is left alone."""
    sys.path.append(ROOT)
    try:
        from trainsoc.child import arm as wait_for_optimizer  # noqa: PLC0415

        wait_for_optimizer()
    except Exception:
        return
    finally:
        sys.path.remove(ROOT)


def hand_over():
    """Import the sitecustomize that this one stands in front of, if there is one."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != HERE]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401, PLC0415
    except ImportError as error:
        sys.modules["sitecustomize"] = own
        if error.name != "sitecustomize":
            raise


HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
if __name__ == "sitecustomize":
    if "TRAINSOC_CHILDREN" in os.environ:
        sys.meta_path.insert(0, AfterImport())
    hand_over()
