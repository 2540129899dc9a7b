"""Keeps modules of trainsoc apart from those of the captured script in the same process.

Our packages have common names (simulator, workloads). While a script runs they are not in
`sys.modules`, and a finder answers for their names: with the script's own module if its path has
one, else with ours, already loaded. Our modules keep their references to each other and go on
working; one of ours that is loaded late sees only ours meanwhile. Nothing is renamed or loaded
twice, and other imports of the script cost nothing extra.
"""

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import (
    BuiltinImporter,
    FrozenImporter,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
NAMES = frozenset({"simulator", "workloads"})


_active: list["Border"] = []


def ours() -> AbstractContextManager[None]:
    """Return a context in which our code, called while a script runs, imports our modules."""
    return _active[-1].inside() if _active else nullcontext()


class OwnFinder(MetaPathFinder):
    """Finds our packages in their own folder, whatever else the path has under their names."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - part of the interface
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the spec of our package, None for any other name."""
        return PathFinder.find_spec(name, [str(ROOT)], target) if name in NAMES else None


class Border(MetaPathFinder):
    """Answers imports of the names that script and trainsoc may share."""

    def __init__(self) -> None:
        """Start without any module of ours."""
        self._own: dict[str, ModuleType] = {}
        self._lock = threading.RLock()
        self._inside = False

    def stand(self) -> None:
        """Start to answer imports."""
        sys.meta_path.insert(0, self)
        _active.append(self)

    def adopt(self) -> None:
        """Take our modules that the script has loaded as ours."""
        for name in NAMES & sys.modules.keys():
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(ROOT / name):
                self._own |= _named({name})

    @contextmanager
    def apart(self, folder: str) -> Iterator[None]:
        """Run a script from `folder` with its own modules instead of those loaded so far."""
        self._own = _take(NAMES)
        hidden = _take(_shadowed(folder))
        self.stand()
        try:
            yield
        finally:
            _active.remove(self)
            with suppress(ValueError):
                sys.meta_path.remove(self)
            _take({*NAMES, *hidden})
            sys.modules.update(self._own | hidden)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let imports of our names find only ours; this holds for all threads, so keep it short."""
        with self._lock:
            before, outer = _take(NAMES), self._inside
            sys.modules.update(self._own)
            self._inside = True
            try:
                yield
            finally:
                self._inside = outer
                _take(NAMES)
                sys.modules.update(before)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the script's module if there is one, else of ours."""
        top, _, inner = name.partition(".")
        if top not in NAMES or (inner and sys.modules.get(top) is not self._own.get(top)):
            return None
        theirs = None if inner or self._inside else _theirs(name)
        return theirs or self._ours(name, path, target)

    def load(self, loader: SourceFileLoader, module: ModuleType) -> None:
        """Execute a module of ours that is loaded late."""
        self._own[module.__name__] = module
        with self.inside() if self._shared else nullcontext():
            SourceFileLoader.exec_module(loader, module)

    @property
    def _shared(self) -> bool:
        """Whether the script has a module with one of our names."""
        loaded = NAMES & sys.modules.keys()
        return any(sys.modules[name] is not self._own.get(name) for name in loaded)

    def _ours(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        module = self._own.get(name)
        if module is not None:
            return ModuleSpec(name, _Live(module), is_package=hasattr(module, "__path__"))
        spec = PathFinder.find_spec(name, path or [str(ROOT)], target)
        if spec is None or spec.origin is None:
            return spec
        inner = spec.submodule_search_locations
        late = _Late(name, spec.origin, self)
        return spec_from_file_location(
            name, late.path, loader=late, submodule_search_locations=inner
        )


class _Live(Loader):
    """Loads a module by returning the one that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 - of the interface
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Late(SourceFileLoader):
    """Loads a module of ours while the script runs."""

    def __init__(self, name: str, path: str, border: Border) -> None:
        super().__init__(name, path)
        self._border = border

    def exec_module(self, module: ModuleType) -> None:
        self._border.load(self, module)


def _named(names: Iterable[str]) -> dict[str, ModuleType]:
    """Return the loaded modules of these top-level names, with all their submodules."""
    tops = frozenset(names)
    return {n: module for n, module in list(sys.modules.items()) if n.partition(".")[0] in tops}


def _take(names: Iterable[str]) -> dict[str, ModuleType]:
    """Remove these modules and their submodules from `sys.modules`; return them."""
    modules = _named(names)
    for name in modules:
        del sys.modules[name]
    return modules


def _theirs(name: str) -> ModuleSpec | None:
    """Return the spec of a module of this name that is not ours, anywhere on the path."""
    entries = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    for finder in list(sys.meta_path):
        if isinstance(finder, Border | OwnFinder) or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, entries if finder is PathFinder else None)
        if spec is not None and _has_code(spec):
            return spec
    return None


def _has_code(spec: ModuleSpec) -> bool:
    """Return whether a spec is a module, or a folder that contains modules and not only data."""
    if spec.origin is not None:
        return not Path(spec.origin).resolve().is_relative_to(ROOT / spec.name)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return any(next(folder.glob(end), None) for folder in folders for end in ("*.py", "*/*.py"))


def _shadowed(folder: str) -> Iterable[str]:
    """Yield the loaded top-level modules for which the script's folder has another one."""
    for name in [name for name in sys.modules if "." not in name and name not in NAMES]:
        if BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
            continue
        spec = PathFinder.find_spec(name, [folder])
        file = getattr(sys.modules[name], "__file__", None)
        if spec and spec.origin and file and Path(spec.origin).resolve() != Path(file).resolve():
            yield name
