"""Private Sheepdog clusters; a fake ``dog`` is used if Sheepdog is not installed."""

import contextlib
import os
import pathlib
import py_compile
import signal
import subprocess
import sys

from tests.servers import process, programs

FAKE_DOG = pathlib.Path(__file__).parent / 'stand_ins/dog'
NODES = 3


class Cluster:
    """A running cluster; its daemons listen on ``ports`` of 127.0.0.1."""

    address = '127.0.0.1'

    def __init__(self, ports, dog, env):
        self.ports = ports
        self._dog = dog
        self._env = env

    @property
    def port(self):
        return self.ports[0]

    def run(self, verb, *rest, options=(), data=b''):
        """Run ``dog vdi VERB``; return exit code, output and error output."""
        done = subprocess.run(
            [self._dog, 'vdi', verb, '-a', self.address, '-p', str(self.port), *options, *rest],
            input=data, capture_output=True, env={**os.environ, **self._env}, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    def put(self, name, data):
        """Create an image as other programs do."""
        self.run('create', name, str(len(data)))
        self.run('write', name, '0', str(len(data)), data=data)

    def names(self):
        """Return the names of all images."""
        _, listed, _ = self.run('list', options=('-r',))
        return [line.split(' ')[1] for line in listed.decode().splitlines()]


class RealCluster(Cluster):

    def __init__(self, ports, dog, daemons):
        super().__init__(ports, dog, {})
        self._daemons = daemons

    @contextlib.contextmanager
    def stopped(self):
        for daemon in self._daemons:
            daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for daemon in self._daemons:
                daemon.send_signal(signal.SIGCONT)


class FakeCluster(Cluster):
    """A cluster of the fake program, in ``folder``."""

    def __init__(self, ports, dog, folder, env):
        super().__init__(ports, dog, env)
        self.folder = folder

    def names(self):
        return os.listdir(self.folder / 'vdi')

    @contextlib.contextmanager
    def state(self, name, text=''):
        """Set a state that the fake program explains while the block runs."""
        (self.folder / name).write_text(text)
        try:
            yield
        finally:
            (self.folder / name).unlink()

    def stopped(self):
        return self.state('stopped')


class ClusterFactory:
    """Starts clusters.

    ``path`` is the folder with ``dog``, ``env`` the environment it needs, and
    ``description`` the kind of program.
    """

    def __init__(self, home, running, real=None):
        self._home = home
        self._running = running
        self._real = real
        self._dog = real[0] if real else _install(home)
        self.path = os.path.dirname(self._dog)
        self.env = {} if real else {'DOG_STAND_IN': str(home)}
        self.description = (f'{" and ".join(real)}' if real else
                            'fake dog, because dog and sheep are not installed')

    def cluster(self):
        ports = [process.free_port() for _ in range(NODES)]
        if not self._real:
            folder = self._home / f'127.0.0.1:{ports[0]}'
            for part in 'vdi', 'attribute':
                (folder / part).mkdir(parents=True)
            for port in ports[1:]:
                (self._home / f'127.0.0.1:{port}').symlink_to(folder)
            return FakeCluster(ports, self._dog, folder, self.env)
        dog, sheep = self._real
        home, daemons = self._home / str(ports[0]), []
        home.mkdir()
        for zone, port in enumerate(ports):
            folder = home / str(port)
            folder.mkdir()
            daemons.append(self._running.enter_context(process.running(
                [sheep, '-f', '-n', '-b', '127.0.0.1', '-p', port, '-z', zone,
                 '-c', f'local:{home}/cluster', '-l', f'level=err,dir={folder}', folder],
                answers=lambda port=port: process.listens(port), log=home / 'log', cwd=home)))
        process.run([dog, 'cluster', 'format', '-c', '2', '-a', '127.0.0.1', '-p', ports[0]],
                    log=home / 'log', cwd=home)
        return RealCluster(ports, dog, daemons)


def _install(home):
    """Install the fake ``dog``, compiled and with an interpreter that starts fast."""
    target, compiled = home / 'dog', home / 'dog.pyc'
    py_compile.compile(str(FAKE_DOG), str(compiled), doraise=True)
    target.write_text(f'#!/bin/sh\nexec {os.path.realpath(sys.executable)} -IS {compiled} "$@"\n')
    target.chmod(0o755)
    return str(target)


@contextlib.contextmanager
def factory(*, fake=False):
    """Yield a factory of clusters that run as long as the block.

    :param fake: use the fake program even if the real one is installed.
    """
    found = [programs.find(program) for program in ('dog', 'sheep')]
    real = found if all(found) and not fake else None
    with process.directory('sheepdog') as home, contextlib.ExitStack() as running:
        yield ClusterFactory(home, running, real)
