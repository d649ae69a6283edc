"""Runs the programs of the project until they end."""

import dataclasses
import os

from tests.servers import live, ready


class Ended(ready.Ended):
    """How a program ended."""

    @property
    def complaint(self):
        """Its only error line, without the program's name; log messages are ignored."""
        lines = self.err.splitlines()
        errors = [line for line in lines if line.startswith(('glancelite-', 'ERROR: '))]
        assert len(errors) == 1, self.err
        assert errors == lines[-1:], self.err
        assert 'Traceback' not in self.err, self.err
        return errors[0].partition(': ')[2]


def run(program, arguments, home, *, env=None):
    """Run ``api`` or ``manage`` until it ends.

    :param home: directory in which a configuration would be found; it has none.
    """
    ended = ready.run(f'glancelite-{program}', arguments, cwd=home, timeout=30,
                      env={**os.environ, **live.private(home), **(env or {})})
    return Ended(**dataclasses.asdict(ended))
