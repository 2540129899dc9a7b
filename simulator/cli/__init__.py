"""The command line. Only the process is prepared here, so that Ctrl-C finds it ready at once."""

import os
import signal
import sys


def main() -> None:
    """Run the command line; whatever goes wrong is one sentence on stderr and an exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        from simulator.cli import streams, verbs  # noqa: F401 - their imports take a while
        from simulator.cli.exits import exit_code

        streams.prepare()
        # A queue's time limit sends SIGTERM; it stops long work as the user does.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        code = exit_code(sys.argv[1:])
    except KeyboardInterrupt:  # a second one, while the first one is told
        code = 130
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _leave(_number: int, _frame: object) -> None:
    """End at once: an exception within an import may be lost, or become another one."""
    if "--json" in sys.argv:
        os.write(1, b'{"error": "interrupted"}\n')
    os.write(2, b"trainsoc: interrupted\n")
    os._exit(130)
