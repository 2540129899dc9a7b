"""Runs the command line in copies of one process that has imported torch and trainsoc.

Not in copies of the process of the tests: polars hangs in a copy of a process that has its threads.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

from tests.command_line import Answer

IMPORTED = (  # what takes a command line most of its time; an optimizer imports the first
    "torch._dynamo", "simulator.cli.script", "simulator.cli.verbs", "simulator.trace.storage",
    "workloads.capture.program", "workloads.capture.script", "rich.table",
)  # fmt: skip
OUTPUT = ("command.stdout", "command.stderr")  # files, in the folder of a command


class Server:
    """The process that is copied."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.system.forked"]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def start(self, folder, *arguments):
        """Start `trainsoc *arguments` in `folder`."""
        for name in OUTPUT:
            (folder / name).write_text("")
        print(json.dumps([str(folder), *map(str, arguments)]), file=self._process.stdin, flush=True)
        return Command(self._process.stdout, folder)

    def run(self, folder, *arguments):
        """Run `trainsoc *arguments` in `folder` to its end; return its answer."""
        command = self.start(folder, *arguments)
        return Answer(command.wait(), command.out, command.err)


class Command:
    """A command under way; `folder` is where it runs and where its output goes."""

    def __init__(self, answers, folder):
        self._answers, self._folder = answers, folder
        self.pid = int(answers.readline())

    @property
    def out(self):
        return (self._folder / OUTPUT[0]).read_text()

    @property
    def err(self):
        return (self._folder / OUTPUT[1]).read_text()

    def wait(self):
        """Return its exit status, negative for the signal that ended it."""
        return int(self._answers.readline())


def _serve():
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(_run(*json.loads(line)))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(folder, *arguments):
    from simulator.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # nohup ignores the latter
        signal.signal(number, signal.SIG_DFL)
    os.chdir(folder)
    for name, number in zip(OUTPUT, (1, 2), strict=True):
        os.dup2(os.open(name, os.O_WRONLY), number)
    sys.argv = ["trainsoc", *arguments]
    status = 99
    try:
        main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):
            stream.flush()
    return status


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    sys.modules["simulator.cli.verbs"].app_of()  # imports what all verbs need first
    assert "polars" not in sys.modules
    _serve()
