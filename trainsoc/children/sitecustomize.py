# mypy: ignore-errors
"""Starts every Python process of a captured script: this folder is on its PYTHONPATH.

It must run under any Python and change nothing. It removes itself from the path, hands over to the
sitecustomize that the process would have had, and waits for an import of torch.optim.
"""

import os
import sys

TRIGGER = "torch.optim.optimizer"


class AfterImport:
    """Finds no module; once a process imports `TRIGGER`, it is recorded if it trains."""

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002, D102
        if name != TRIGGER:
            return None
        sys.meta_path.remove(self)
        from importlib.machinery import PathFinder  # noqa: PLC0415 - few processes need it

        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_arm(module):
                execute(module)
                arm()

            spec.loader.exec_module = execute_and_arm
        return spec


def arm():
    """Wait for an optimizer; leave a process alone if trainsoc cannot run in it."""
    sys.path.append(ROOT)
    try:
        from trainsoc.child import arm as wait_for_optimizer  # noqa: PLC0415

        wait_for_optimizer()
    except Exception:
        return
    finally:
        sys.path.remove(ROOT)


def hand_over():
    """Import the sitecustomize that this one hides, if there is one."""
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
