"""The command line. This module only prepares the process, so that Ctrl-C works at once."""

import gc
import os
import signal
import sys

from simulator.collector import collect_rarely


def main() -> None:
    """Run the command line; report any failure in one sentence on stderr, with an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    collect_rarely()
    try:
        from simulator.cli import streams, verbs
        from simulator.cli.exits import exit_code

        verbs.app_of(*sys.argv[1:2])  # slow imports
        streams.prepare()
        # Batch systems send SIGTERM at a time limit: handle it like Ctrl-C.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        code = exit_code(sys.argv[1:])
    except KeyboardInterrupt:  # a second one, while the first is reported
        code = 130
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # the interpreter, which is about to end, would look for cycles in all that is left
    sys.exit(code)


def _leave(_number: int, _frame: object) -> None:
    """Exit at once: an import may swallow an exception, or turn it into another one."""
    if "--json" in sys.argv:
        os.write(1, b'{"error": "interrupted"}\n')
    os.write(2, b"trainsoc: interrupted\n")
    os._exit(130)
