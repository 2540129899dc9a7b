"""A script, module or archive, and the surroundings in which Python would run it."""

import atexit
import builtins
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from simulator.errors import InputError

_STREAMS = ("stdin", "stdout", "stderr")


class NoModule(InputError):
    """There is no module of that name."""


@dataclass(frozen=True)
class PythonProgram:
    """What `python TARGET *argv` runs, or with `module` `python -m TARGET *argv`."""

    target: str
    argv: tuple[str, ...] = ()
    module: bool = False

    def __post_init__(self) -> None:
        """Raise InputError if there is no such script."""
        if not self.module and not (Path(self.target).is_file() or self.is_container):
            raise InputError(f"no script at {self.target}: check the path")

    @property
    def name(self) -> str:
        """The name of its trace."""
        return self.target if self.module else Path(self.target).stem

    @property
    def folder(self) -> str:
        """Where Python looks for modules first."""
        if self.module:
            return str(Path.cwd())
        path = Path(self.target)
        return str(path.absolute() if self.is_container else path.resolve().parent)

    def run(self) -> None:
        """Run it as `__main__`, inside `as_main`."""
        main = sys.modules["__main__"].__dict__
        code = self._load(main)
        if self.module:
            sys.argv[0] = main["__file__"]
        exec(code, main)

    def hint(self, error: BaseException) -> str:
        """Return how to run a script inside a package, if it failed because it was run
        as a file.
        """
        if self.module or not isinstance(error, ImportError):
            return ""
        path = Path(self.target).resolve()
        packages = list(takewhile(lambda folder: (folder / "__init__.py").is_file(), path.parents))
        outermost = packages[-1] if packages else path.parent
        if "relative import" not in str(error) and error.name != outermost.name:
            return ""
        above = outermost.parent
        name = ".".join(path.relative_to(above).with_suffix("").parts)
        where = "" if above == Path.cwd() else f"in {above} "
        return f"; it is part of a package, so run it as a module: {where}capture -m {name}"

    @property
    def is_container(self) -> bool:
        """Whether it is a folder or an archive with a `__main__`."""
        return self._container_main is not None

    @property
    def _container_main(self) -> ModuleSpec | None:
        finder: Any = pkgutil.get_importer(self.target)  # None if the file is no archive
        spec: ModuleSpec | None = finder and finder.find_spec("__main__")
        return spec

    def _load(self, main: dict[str, Any]) -> CodeType:
        if self.module:
            return _load_module(_runnable(self.target), main)
        inner = self._container_main
        return _load_module(inner, main) if inner else self._load_script(main)

    def _load_script(self, main: dict[str, Any]) -> CodeType:
        path = str(Path(self.target).absolute())
        main.update(__file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))
        with open(path, "rb") as file:
            code: CodeType | None = pkgutil.read_code(file)  # None for source
            if code is None:
                file.seek(0)
                code = compile(file.read(), path, "exec", dont_inherit=True)
        return code


def _runnable(name: str) -> ModuleSpec:
    """Return the spec of a module, or of a package's `__main__`; raises NoModule without one."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        spec = None
    if spec is None:
        raise NoModule(f"no module named {name}: check the name, and the folder you are in")
    if spec.submodule_search_locations is not None:
        return _runnable(f"{name}.__main__")
    return spec


def _load_module(spec: ModuleSpec, main: dict[str, Any]) -> CodeType:
    loader: Any = spec.loader
    main.update(
        __file__=spec.origin, __cached__=spec.cached, __loader__=loader, __spec__=spec,
        __package__=spec.parent,
    )  # fmt: skip
    code: CodeType | None = loader.get_code(spec.name)
    if code is None:
        raise ImportError(f"No code object available for {spec.name}")
    return code


@contextmanager
def as_main(program: PythonProgram) -> Iterator[None]:
    """Set up the surroundings in which Python would run `program`; restore them afterwards."""
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    with ExitStack() as stack:
        stack.callback(_reopen)
        stack.enter_context(_keeping(sys, "argv", "orig_argv", "excepthook", *_STREAMS))
        stack.enter_context(_keeping(builtins, "print"))
        stack.enter_context(_path())
        stack.enter_context(_folder())
        stack.callback(sys.modules.__setitem__, "__main__", sys.modules["__main__"])
        sys.modules["__main__"] = main
        sys.excepthook = sys.__excepthook__
        sys.argv = [program.target, *program.argv]
        flag = ("-m",) if program.module else ()
        sys.orig_argv = [sys.executable, *flag, *sys.argv]
        if program.is_container or not sys.flags.safe_path:
            sys.path[0] = program.folder
        yield


@contextmanager
def _keeping(module: ModuleType, *names: str) -> Iterator[None]:
    before = {name: getattr(module, name) for name in names}
    try:
        yield
    finally:
        for name in _STREAMS:
            with suppress(Exception):
                getattr(sys, name).flush()
        for name, value in before.items():
            setattr(module, name, value)


def _reopen() -> None:
    """Open output streams that the program closed."""
    for name in _STREAMS[1:]:
        if getattr(getattr(sys, name), "closed", False):
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - stays open


@contextmanager
def _path() -> Iterator[None]:
    path, entries = sys.path, list(sys.path)
    try:
        yield
    finally:
        path[:] = entries
        sys.path = path


@contextmanager
def _folder() -> Iterator[None]:
    before = os.getcwd()
    try:
        yield
    finally:
        with suppress(OSError):
            os.chdir(before)


class Exits:
    """The atexit handlers of a script, which run before its recording ends."""

    def __init__(self) -> None:
        """Start without any."""
        self._handlers: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Replace atexit inside a block."""
        with _keeping(atexit, "register", "unregister"):
            self._unregister = atexit.unregister
            vars(atexit).update(register=self.register, unregister=self.unregister)
            yield

    def register(self, handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Act as atexit.register."""
        self._handlers.append((handler, args, kwargs))
        return handler

    def unregister(self, handler: Callable[..., Any]) -> None:
        """Act as atexit.unregister."""
        self._handlers = [each for each in self._handlers if each[0] != handler]
        self._unregister(handler)

    def run(self) -> None:
        """Run the handlers, last one first; report those that fail and go on."""
        while self._handlers:
            handler, args, kwargs = self._handlers.pop()
            try:
                handler(*args, **kwargs)
            except BaseException:
                print(f"Exception ignored in atexit callback: {handler!r}", file=sys.stderr)
                traceback.print_exc()
