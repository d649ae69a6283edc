"""Floors: the least cost of the parts of an upload on this machine, without a server."""

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
    """Rate and cost of one part of an upload."""

    name: str
    rate: float         # MiB/s
    cpu: float          # CPU seconds per GiB


def _measure(name, size, work, parent_work=None):
    """Measure time and CPU time of ``work()`` in a child process.

    ``parent_work()`` runs in this process, after the fork, so that the child does not
    inherit what it opens.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        begin = time.perf_counter()
        work()
        os.write(writer, f'{time.perf_counter() - begin} {time.process_time()}'.encode())
        os._exit(0)
    os.close(writer)
    if parent_work:
        parent_work()
    with open(reader) as answer:
        seconds, cpu = map(float, answer.read().split())
    os.waitpid(child, 0)
    return Floor(name, size / bulk.MIB / seconds, cpu / (size / bulk.GIB))


def _hash(digest, data, size):
    for offset in range(0, size, CHUNK):
        offset %= len(data)
        digest.update(data[offset:offset + CHUNK])


def _digests():
    return hashlib.md5(usedforsecurity=False), hashlib.sha512(usedforsecurity=False)


def _hash_in_line(data, size):
    for digest in _digests():
        _hash(digest, data, size)


def _hash_in_threads(data, size):
    threads = [threading.Thread(target=_hash, args=(digest, data, size))
               for digest in _digests()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hashing(size, data):
    """Measure md5 and sha512, in one thread each, of ``data``, repeated up to ``size``.

    :param data: ``source.memory()`` is in no CPU cache, like data that has just arrived.
    """
    return _measure('md5 + sha512, two threads', size, lambda: _hash_in_threads(data, size))


def _write(path, size, sync=False):
    chunk = os.urandom(CHUNK)
    with open(path, 'wb', buffering=0) as out:
        for _ in range(size // CHUNK):
            out.write(chunk)
        if sync:
            os.fsync(out.fileno())


def _receive(listener, path=None):
    """Receive one upload as a server does: into memory and, with a path, into a file."""
    sock, _ = listener.accept()
    buffer = memoryview(bytearray(CHUNK))
    with sock, open(path or os.devnull, 'wb', buffering=0) as out:
        while received := sock.recv_into(buffer):
            if path:
                out.write(buffer[:received])


def _measure_receive(name, size, source, path=None):
    """Measure the receiver only; this process sends, without a copy."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def send():
            with socket.create_connection(listener.getsockname()) as sock:
                sock.setblocking(True)
                source.send(sock, size)

        return _measure(name, size, lambda: _receive(listener, path), send)


def measure(size, source, rounds, base=None):
    """Measure all floors on ``size`` bytes; each is the best of some rounds.

    :param base: directory for temporary files.
    """
    with tempfile.TemporaryDirectory(prefix='bench-', dir=base) as directory:
        path = pathlib.Path(directory) / 'file'
        floors = {
            'md5 + sha512, in one thread': lambda name: _measure(
                name, size, lambda: _hash_in_line(source.memory(), size)),
            'md5 + sha512, the same MiB repeatedly': lambda name: _measure(
                name, size, lambda: _hash_in_line(source.memory()[:CHUNK], size)),
            'md5 + sha512, two threads': lambda name: hashing(size, source.memory()),
            'write a file': lambda name: _measure(
                name, size, lambda: _write(path, size)),
            'write a file and fsync': lambda name: _measure(
                name, size, lambda: _write(path, size, sync=True)),
            'receive, discard': lambda name: _measure_receive(name, size, source),
            'receive and write a file': lambda name: _measure_receive(name, size, source, path),
        }

        def once(name):
            bulk.resident_memory(size).close()      # allocate memory for the file: see Source
            floor = floors[name](name)
            path.unlink(missing_ok=True)
            return floor

        return [min((once(name) for _ in range(rounds)), key=lambda floor: floor.cpu)
                for name in floors]
