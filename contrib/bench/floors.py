"""What this machine can do at best: the figures below which no server can get."""

import dataclasses
import hashlib
import os
import pathlib
import socket
import tempfile
import threading
import time

import bulk

CHUNK = 1 << 20


@dataclasses.dataclass
class Floor:
    name: str
    rate: float         # MiB/s
    cpu: float          # CPU seconds per GiB


def _measure(name, size, work, meanwhile=None):
    """Take the time and the CPU time of a piece of work in a child.

    ``meanwhile`` runs here, after the fork: the child must not hold what it opens.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        begin = time.perf_counter()
        work()
        os.write(writer, f'{time.perf_counter() - begin} {time.process_time()}'.encode())
        os._exit(0)
    os.close(writer)
    if meanwhile:
        meanwhile()
    with open(reader) as answer:
        seconds, cpu = map(float, answer.read().split())
    os.waitpid(child, 0)
    return Floor(name, size / bulk.MIB / seconds, cpu / (size / bulk.GIB))


def _hash_in_line(size):
    chunk = os.urandom(CHUNK)
    digests = [hashlib.md5(usedforsecurity=False), hashlib.sha512()]
    for _ in range(size // CHUNK):
        for digest in digests:
            digest.update(chunk)


def _hash_in_threads(size):
    chunk = os.urandom(CHUNK)

    def run(digest):
        for _ in range(size // CHUNK):
            digest.update(chunk)

    threads = [threading.Thread(target=run, args=(digest,))
               for digest in (hashlib.md5(usedforsecurity=False), hashlib.sha512())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _write(path, size, sync=False):
    chunk = os.urandom(CHUNK)
    with open(path, 'wb', buffering=0) as out:
        for _ in range(size // CHUNK):
            out.write(chunk)
        if sync:
            os.fsync(out.fileno())


def _receive(listener, path=None):
    """Take one upload as a server must: into memory and, with a path, into a file."""
    sock, _ = listener.accept()
    room = memoryview(bytearray(CHUNK))
    with sock, open(path or os.devnull, 'wb', buffering=0) as out:
        while got := sock.recv_into(room):
            if path:
                out.write(room[:got])


def _received(name, size, source, path=None):
    """The receiving side only; this process sends, without a copy."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def send():
            with socket.create_connection(listener.getsockname()) as sock:
                sock.setblocking(True)
                source.send(sock, size)

        return _measure(name, size, lambda: _receive(listener, path), send)


def measure(size, source, rounds, base=None):
    """All floors, each the best of some rounds on ``size`` bytes.

    :param base: the directory below which files are written.
    """
    with tempfile.TemporaryDirectory(prefix='bench-', dir=base) as directory:
        path = pathlib.Path(directory) / 'file'
        floors = {
            'md5 + sha512, in line': lambda name: _measure(
                name, size, lambda: _hash_in_line(size)),
            'md5 + sha512, two threads': lambda name: _measure(
                name, size, lambda: _hash_in_threads(size)),
            'write a file': lambda name: _measure(
                name, size, lambda: _write(path, size)),
            'write a file and fsync': lambda name: _measure(
                name, size, lambda: _write(path, size, sync=True)),
            'receive to nowhere': lambda name: _received(name, size, source),
            'receive into a file': lambda name: _received(name, size, source, path),
        }

        def once(name):
            bulk.touched(size).close()      # see Source: the file shall find warm memory
            floor = floors[name](name)
            path.unlink(missing_ok=True)
            return floor

        return [min((once(name) for _ in range(rounds)), key=lambda floor: floor.cpu)
                for name in floors]
