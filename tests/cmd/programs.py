"""Our programs, run to their end in processes that have everything imported already."""

import dataclasses
import multiprocessing
import os
import sys

from tests.servers import live


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a program ended; ``code`` is its exit code."""

    code: int
    out: str
    err: str

    @property
    def complaint(self):
        """Its one line of complaint, without its name in front; what was logged is no part."""
        lines = self.err.splitlines()
        said = [line for line in lines if line.startswith(('glancelite-', 'ERROR: '))]
        assert len(said) == 1, self.err
        assert said == lines[-1:], self.err
        assert 'Traceback' not in self.err, self.err
        return said[0].partition(': ')[2]


def context():
    """For ``run``: starts a server of processes once per test run, lazily."""
    found = multiprocessing.get_context('forkserver')
    found.set_forkserver_preload(['glancelite.cmd.api', 'glancelite.cmd.manage',
                                  'glancelite.plugins.database.sql.engine'])
    return found


def run(program, arguments, home, *, env=None, timeout=30):
    """Run ``api`` or ``manage`` until it ends.

    :param home: empty directory where a configuration of its own would be.
    """
    out, err = home / '.out', home / '.err'
    process = context().Process(target=_run, args=(
        program, [str(part) for part in arguments], out, err,
        {**live.private(home), **(env or {})}, home))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f'{program} runs and runs:\n{err.read_text()}')
    return Ended(process.exitcode, out.read_text(), err.read_text())


def _run(program, arguments, out, err, env, home):
    os.environ.update(env)
    os.chdir(home)
    for number, path in (1, out), (2, err):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout = os.fdopen(1, 'w', closefd=False)
    sys.stderr = os.fdopen(2, 'w', closefd=False)
    from glancelite.cmd import api, manage
    sys.argv = [f'glancelite-{program}', *arguments]
    sys.exit({'api': api, 'manage': manage}[program].main())
