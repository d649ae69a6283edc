"""Runs Python programs in forks of a process that has imported them already.

Importing a client takes longer than what the tests do with it, and the service takes five
times as long to start.
"""

import ctypes
import dataclasses
import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

#: program -> the module whose ``main`` it calls
MODULES = {
    'glance': 'glanceclient.shell',
    'glancelite-api': 'glancelite.cmd.api',
    'glancelite-api-watching': 'tests.servers.watching',
    'glancelite-manage': 'glancelite.cmd.manage',
    'glancelite-worker': 'glancelite.cmd.worker',
    'openstack': 'openstackclient.shell',
    'oslo-config-generator': 'oslo_config.generator',
    'server-of-tests': 'tests.server.program',
}
#: what these import when they run: libraries, and the plugins that most of the tests choose
PRELOADED = (
    'alembic.command', 'glancelite.plugins.database.sql',
    'glancelite.plugins.inspector.format', 'glancelite.plugins.inspector.signature',
    'glancelite.plugins.key_manager.castellan', 'glancelite.plugins.middleware.cors',
    'glancelite.plugins.policy.oslo', 'glancelite.plugins.store.file',
)
PR_SET_PDEATHSIG = 1    # of prctl(2)


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a program ended; ``code`` is its exit code."""

    code: int
    out: str
    err: str


def run(program, arguments, *, env, cwd, stdin=os.devnull, timeout=60):
    """Run a program of ``MODULES`` until it ends.

    :param env: its complete environment.
    :param stdin: file with its standard input.
    """
    with tempfile.TemporaryDirectory(prefix='glancelite-', dir='/tmp') as folder:
        out, err = pathlib.Path(folder, 'out'), pathlib.Path(folder, 'err')
        process = _context().Process(target=_run, args=(
            program, [str(part) for part in arguments], stdin, out, err, dict(env), cwd))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f'{program} does not end:\n{err.read_text()}')
        return Ended(process.exitcode, out.read_text(), err.read_text())


class Process:
    """A running program, with the methods of ``subprocess.Popen`` that tests use."""

    def __init__(self, forked):
        self._forked = forked
        self.pid = forked.pid

    @property
    def returncode(self):
        return self._forked.exitcode

    def poll(self):
        return self._forked.exitcode

    def wait(self, timeout=None):
        self._forked.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._forked.name, timeout)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def start(program, arguments, *, env, cwd, log):
    """Start a program of ``MODULES`` in a session of its own; return its ``Process``.

    :param env: its complete environment.
    :param log: file to which its output is appended.
    """
    forked = _context().Process(name=program, target=_serve, args=(
        program, [str(part) for part in arguments], log, dict(env), cwd))
    forked.start()
    return Process(forked)


def _context():
    """The fork server is started once per test run, on first use."""
    found = multiprocessing.get_context('forkserver')
    found.set_forkserver_preload([*MODULES.values(), *PRELOADED])
    return found


def _serve(program, arguments, log, env, cwd):
    os.setsid()
    # The fork server ends with the test run, unless this process has the pipe that tells it.
    os.close(multiprocessing.forkserver._forkserver._forkserver_alive_fd)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _run(program, arguments, os.devnull, log, log, env, cwd)


def _run(program, arguments, stdin, out, err, env, cwd):
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = filter(None, env.get('PYTHONPATH', '').split(os.pathsep))
    os.dup2(os.open(stdin, os.O_RDONLY | os.O_NOCTTY), 0)
    for number, path in (1, out), (2, err):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, 'w', closefd=False)
    sys.stderr = os.fdopen(2, 'w', buffering=1, errors='backslashreplace', closefd=False)
    sys.argv = [program, *arguments]
    sys.exit(importlib.import_module(MODULES[program]).main())
