"""Command line clients, run as a user runs them."""

import contextlib
import json
import os
import pathlib
import pty
import subprocess
import sys

from tests.servers import ready

BIN = pathlib.Path(sys.executable).parent


class Failed(AssertionError):
    """The command ended in an unexpected way; the text is its output."""


class Command:
    """A command with its first arguments; it ignores the configuration of this machine.

    :param environment: variables; no others that begin with ``OS_`` are seen.
    """

    def __init__(self, home, environment, program, *arguments):
        self._program = program
        self._first = arguments
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith('OS_')},
            'HOME': str(home), 'COLUMNS': '200', **environment}

    def __call__(self, *arguments, fails=False, stdin=None):
        """Run it; return its output, or its error output if it ``fails``.

        :param stdin: file with its standard input; None for a terminal.
        :raises Failed: it fails where it should not, or the other way round.
        """
        with terminal() as (_, its):
            ended = ready.run(self._program, [*self._first, *arguments], env=self._environment,
                              cwd=os.getcwd(), stdin=stdin or os.ttyname(its))
        _check_exit(arguments, ended.code, fails, ended.out + ended.err)
        return ended.err if fails else ended.out

    def on_terminal(self, *arguments):
        """Run it on a terminal; return its output, such as progress."""
        ours, its = pty.openpty()
        with open(ours, 'rb', buffering=0) as screen:
            process = subprocess.Popen(
                [BIN / self._program, *map(str, [*self._first, *arguments])],
                env=self._environment, stdin=its, stdout=its, stderr=its)
            os.close(its)
            output = b''
            with contextlib.suppress(OSError):  # raised when the terminal is closed
                while chunk := screen.read(1 << 16):
                    output += chunk
        _check_exit(arguments, process.wait(), False, output.decode())
        return output.decode()

    def json(self, *arguments):
        """Run it; return its JSON output, without a progress bar in front."""
        output = self(*arguments, '-f', 'json')
        start = min(at for at in (output.find('{'), output.find('[')) if at >= 0)
        return json.loads(output[start:])


@contextlib.contextmanager
def terminal():
    """Two file descriptors: of a new terminal, and of the programs on it."""
    ours, its = pty.openpty()
    try:
        yield ours, its
    finally:
        os.close(ours)
        os.close(its)


def _check_exit(arguments, code, fails, output):
    if bool(code) != fails:
        raise Failed(f'{" ".join(map(str, arguments))}: exit code {code}\n{output}')
