"""Private server processes: directory, free port, start and stop."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PAUSE = 0.05  # seconds between two checks
PORTS = range(12_000, 32_000)
WORKERS = 16
RANDOM = random.SystemRandom()     # other code may seed the shared generator
_given = set()


class DidNotStart(Exception):
    """The process ended or did not answer in time; the text ends with its log."""


def free_port():
    """A TCP port on loopback that is free now.

    Ephemeral ports of the system are avoided, and each process that runs tests has ports of
    its own, so the port stays free until the server listens.  No port is returned twice,
    because it may be that of a server that does not listen (yet).
    """
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]) % WORKERS
    while True:
        port = PORTS.start + RANDOM.randrange(worker, len(PORTS), WORKERS)
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(('127.0.0.1', port))
            _given.add(port)
            return port


@contextlib.contextmanager
def directory(name):
    """A new directory below /tmp, removed afterwards.

    Not pytest's ``tmp_path``: that is long (UNIX sockets allow about 100
    characters) and closed to other users, PostgreSQL's among them.
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix=f'glancelite-{name}-', dir='/tmp'))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running(command, *, answers, log, cwd, env=None, user=None,
            stop=signal.SIGTERM, timeout=60):
    """Run a server while the block runs.

    :param env: environment variables in addition to the present ones.
    :param user: account to run as; None for the present one.

    The others are those of ``answering``.
    """
    command = [str(part) for part in command]
    name = pathlib.Path(command[0]).name
    if setpriv := shutil.which('setpriv'):  # ends the server if the test run is killed
        command = [setpriv, '--pdeathsig', 'KILL', '--', *command]
    with open(log, 'ab') as output:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **account(user))
    with answering(process, name, answers=answers, log=log, stop=stop, timeout=timeout):
        yield process


@contextlib.contextmanager
def answering(process, name, *, answers, log, stop=signal.SIGTERM, timeout=60):
    """Wait for a server that starts; stop it after the block.

    :param answers: called until it returns true; an OSError means "not yet".
    :param log: file for the output of the process.
    :param stop: signal that stops the server gracefully.
    :param timeout: seconds to wait for the first answer.
    :raises DidNotStart: it ended, or did not answer in time.
    """
    try:
        _wait(process, name, answers, log, timeout)
        yield process
    finally:
        end(process, stop)


def run(command, *, log, cwd, env=None, user=None):
    """Run a command to its end; its output is in the error if it fails."""
    with open(log, 'ab') as output:
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            check=False, **account(user))
    if done.returncode:
        raise DidNotStart(f'{command[0]} ended with {done.returncode}\n{tail(log)}')


def account(user):
    """Arguments for ``subprocess`` to run as this user; none for None."""
    return {'user': user, 'group': user, 'extra_groups': []} if user else {}


def end(process, stop=signal.SIGTERM, timeout=15):
    """Stop the process; kill it after ``timeout`` seconds."""
    if process.poll() is None:
        process.send_signal(stop)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def frozen(process):
    """Stop a server and its children while the block runs: it keeps its connections."""
    children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children')
    stopped = [process.pid]
    os.kill(process.pid, signal.SIGSTOP)    # first, so that it starts no others
    try:
        for child in map(int, children.read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                stopped.append(child)
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def tail(log, size=4000):
    """The last characters of a log file."""
    try:
        return pathlib.Path(log).read_text(errors='replace')[-size:]
    except FileNotFoundError:
        return ''


def until(condition, timeout=20):
    """Wait until the condition is true; returns its last value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return value


def listens(port):
    """Whether something accepts connections on this port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
        return True
    return False


def _wait(process, name, answers, log, timeout):
    deadline = time.monotonic() + timeout
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if answers():
                return
        if time.monotonic() > deadline:
            raise DidNotStart(f'{name} did not answer within {timeout} s\n{tail(log)}')
        time.sleep(PAUSE)
    raise DidNotStart(f'{name} ended with {process.returncode}\n{tail(log)}')
