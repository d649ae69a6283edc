"""Command line clients as a person would start them."""

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
    """The command did not end as it was meant to; the text is what it said."""


class Command:
    """A command with its first arguments; it knows no configuration of this machine.

    :param environment: variables; no others that begin with ``OS_`` are seen.
    """

    def __init__(self, home, environment, program, *arguments):
        self._program = program
        self._first = arguments
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith('OS_')},
            'HOME': str(home), 'COLUMNS': '200', **environment}

    def __call__(self, *arguments, fails=False):
        """What it prints; where it ``fails``, its complaint.

        :raises Failed: it fails where it should not, or the other way round.
        """
        ended = ready.run(self._program, [*self._first, *arguments], env=self._environment,
                          cwd=os.getcwd())
        _judge(arguments, ended.code, fails, ended.out + ended.err)
        return ended.err if fails else ended.out

    def on_terminal(self, *arguments):
        """What it prints to somebody who is looking: progress, for instance."""
        ours, its = pty.openpty()
        with open(ours, 'rb', buffering=0) as screen:
            process = subprocess.Popen(
                [BIN / self._program, *map(str, [*self._first, *arguments])],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=its, stderr=its)
            os.close(its)
            said = b''
            with contextlib.suppress(OSError):  # how a terminal says that it is closed
                while chunk := screen.read(1 << 16):
                    said += chunk
        _judge(arguments, process.wait(), False, said.decode())
        return said.decode()

    def json(self, *arguments):
        """What it prints in JSON; a progress bar in front is left out."""
        said = self(*arguments, '-f', 'json')
        return json.loads(said[min(at for at in (said.find('{'), said.find('[')) if at >= 0):])


def _judge(arguments, code, fails, said):
    if bool(code) != fails:
        raise Failed(f'{" ".join(map(str, arguments))}: exit code {code}\n{said}')
