"""Our programs, run to their end."""

import dataclasses
import os

from tests.servers import live, ready


class Ended(ready.Ended):
    """How one of our programs ended."""

    @property
    def complaint(self):
        """Its one line of complaint, without its name in front; what was logged is no part."""
        lines = self.err.splitlines()
        said = [line for line in lines if line.startswith(('glancelite-', 'ERROR: '))]
        assert len(said) == 1, self.err
        assert said == lines[-1:], self.err
        assert 'Traceback' not in self.err, self.err
        return said[0].partition(': ')[2]


def run(program, arguments, home, *, env=None):
    """Run ``api`` or ``manage`` until it ends.

    :param home: empty directory where a configuration of its own would be.
    """
    ended = ready.run(f'glancelite-{program}', arguments, cwd=home, timeout=30,
                      env={**os.environ, **live.private(home), **(env or {})})
    return Ended(**dataclasses.asdict(ended))
