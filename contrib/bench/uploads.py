"""Measures the CPU time of uploads from several senders, compared with hashing alone.

    python contrib/bench/uploads.py
    python contrib/bench/uploads.py --vs http://127.0.0.1:9392 --vs-name glance --rounds 7

Before every upload it hashes as many bytes without a server, because the speed
of a virtual machine changes from one second to the next.  Costs are compared
within such a pair, and the table shows the medians of all pairs.  Without
``--url`` it starts glancelite in a temporary directory.
"""

import argparse
import contextlib
import dataclasses
import http.client
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

import bulk
import floors
import load
import procs
import servers
from subject import Subject

MEMORY = 256 * bulk.MIB     # allocated before each upload: see bulk.Source


def by_sendfile(chunked):
    """Send memory, without a copy."""
    def send(target, image_id, files):
        bulk.upload(target, files.source, image_id, files.size, chunked)

    return send


def by_python(chunked):
    """Send a file in small chunks, as Python's HTTP clients do."""
    def send(target, image_id, files):
        length = {} if chunked else {'Content-Length': str(files.size)}
        with open(files.path, 'rb', buffering=0) as file, contextlib.closing(
                http.client.HTTPConnection(*target.address)) as connection:
            connection.request(
                'PUT', f'{target.base}/v2/images/{image_id}/file',
                iter(lambda: file.read(bulk.CHUNK_SIZE), b''),
                {'Content-Type': 'application/octet-stream', **target.headers, **length},
                encode_chunked=chunked)
            answer = connection.getresponse()
            if answer.status != 204:
                raise load.UnexpectedAnswer(f'{target.url}: the upload answered {answer.status}')

    return send


def by_curl(chunked):
    """Send a file with curl."""
    def send(target, image_id, files):
        encoding = ['-H', 'Transfer-Encoding: chunked'] if chunked else []
        headers = [argument for name, value in target.headers.items()
                   for argument in ('-H', f'{name}: {value}')]
        subprocess.run(
            [servers.program('curl'), '-sS', '-f', '-o', os.devnull, '-T', files.path,
             '-H', 'Content-Type: application/octet-stream', *encoding, *headers,
             f'{target.url}/v2/images/{image_id}/file'], check=True)

    return send


SENDERS = {f'{name}, {encoding}': make(encoding == 'chunked')
           for name, make in (('curl', by_curl), ('python', by_python), ('sendfile', by_sendfile))
           for encoding in ('sized', 'chunked')}


@dataclasses.dataclass
class Files:
    """The data to upload, in memory and in a file."""

    source: bulk.Source
    path: pathlib.Path
    size: int


@dataclasses.dataclass
class Cell:
    """All rounds of one sender with one server."""

    rates: list = dataclasses.field(default_factory=list)       # MiB/s
    costs: list = dataclasses.field(default_factory=list)       # CPU s/GiB
    hashing: list = dataclasses.field(default_factory=list)     # the same, of hashing alone


def measure(subject, send, files, cell):
    """Measure hashing alone, then one upload."""
    hashing = floors.hashing(files.size, files.source.memory())
    image_id = subject.create_image()
    bulk.resident_memory(MEMORY).close()
    with subject.measure_cpu() as usage:
        begin = time.perf_counter()
        send(subject.target, image_id, files)
        seconds = time.perf_counter() - begin
    subject.check(image_id, files.size)
    subject.delete(image_id)
    cell.rates.append(files.size / bulk.MIB / seconds)
    cell.hashing.append(hashing.cpu)
    if usage.server is not None:
        cell.costs.append(usage.server / (files.size / bulk.GIB))


def format_row(name, server, cell, other=None):
    rate = statistics.median(cell.rates)
    faster = f'{rate / statistics.median(other.rates):9.2f}x' if other else ' ' * 10
    if not cell.costs:
        return f'{name:18} {server:12} {rate:7.0f} {faster}'
    above = [100 * (cost / hashing - 1)
             for cost, hashing in zip(cell.costs, cell.hashing, strict=True)]
    return (f'{name:18} {server:12} {rate:7.0f} {faster} '
            f'{statistics.median(cell.costs):9.2f} {min(cell.costs):6.2f} '
            f'{statistics.median(cell.hashing):9.2f} {min(cell.hashing):6.2f} '
            f'{statistics.median(above):+8.0f} % {min(above):+5.0f} %')


HEAD = (f'{"sender":18} {"server":12} {"MiB/s":>7} {"faster":>10} {"CPU s/GiB":>9} {"least":>6} '
        f'{"hashing":>9} {"least":>6} {"above":>10} {"least":>7}')


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    add = parser.add_argument
    add('--url', help='the server to measure; by default, one is started')
    add('--vs', metavar='URL', help='a second server, to compare with')
    add('--vs-name', default='other', help='name of the second server')
    add('--senders', type=lambda text: text.split(';'), default=list(SENDERS), metavar='NAMES',
        help='one or more of: ' + '; '.join(SENDERS))
    add('--size', type=int, default=1024, metavar='MIB', help='MiB of an upload (1024)')
    add('--rounds', type=int, default=5, help='number of rounds (5)')
    add('--workers', type=int, default=2, help='worker processes of the server that is started')
    add('--set', action='append', default=[], metavar='LINE', dest='more',
        help='line to append to its configuration file, whose last section is [layers]; '
             'repeatable')
    add('--header', action='append', default=[], metavar='"NAME: VALUE"',
        help='header of every request, such as a token; repeatable')
    add('--dir', type=pathlib.Path,
        help='directory for files, and for the data of the server that is started')
    settings = parser.parse_args(argv)
    if unknown := [name for name in settings.senders if name not in SENDERS]:
        parser.error(f'unknown senders: {"; ".join(unknown)}')
    settings.size *= bulk.MIB
    return settings


def open_subjects(settings, source, stack):
    """Yield the servers to measure."""

    def create(name, url, tree):
        target = load.Target(url, settings.header)
        return Subject(name, target, settings, source, tree)

    for name, url in ((None, settings.url), (settings.vs_name, settings.vs)):
        if url:
            parts = urllib.parse.urlsplit(url)
            local = parts.hostname in ('127.0.0.1', 'localhost')
            yield create(name or 'server', url,
                         procs.listening_on(parts.port or 80) if local else None)
        elif name is None:
            own = stack.enter_context(contextlib.closing(servers.start_glancelite(
                settings.workers, None, settings.dir, settings.more)))
            yield create('glancelite', own.url, own.tree)


def main(argv=None):
    settings = parse_arguments(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix='bench-', dir=settings.dir)))
        files = Files(bulk.Source(), directory / 'data', settings.size)
        files.source.save(files.path, files.size)
        os.sync()
        subjects = list(open_subjects(settings, files.source, stack))
        cells = {(name, subject.name): Cell()
                 for name in settings.senders for subject in subjects}
        warm = []       # CPU s/GiB of hashing data that is in the caches
        try:
            for number in range(settings.rounds):
                warm.append(floors.hashing(files.size, files.source.memory()[:floors.CHUNK]).cpu)
                for name in settings.senders:
                    for subject in subjects if number % 2 == 0 else reversed(subjects):
                        print(f'round {number + 1}: {name}, {subject.name}', file=sys.stderr,
                              flush=True)
                        measure(subject, SENDERS[name], files, cells[name, subject.name])
        finally:    # if the benchmark is interrupted, print the results so far
            show(settings, subjects, cells, warm)


def show(settings, subjects, cells, warm):
    cold = [cost for cell in cells.values() for cost in cell.hashing]
    if not cold:
        return
    print(f'{os.cpu_count()} CPUs, Linux {platform.release()}, Python '
          f'{platform.python_version()}, {settings.size // bulk.MIB} MiB, '
          f'{settings.rounds} rounds')
    print('hashing alone: md5 and sha512 of as many bytes, in one thread each; CPU s/GiB: '
          f'data in no cache {statistics.median(cold):.2f}, least {min(cold):.2f}; '
          f'the same MiB repeatedly {statistics.median(warm):.2f}, least {min(warm):.2f}')
    print(HEAD)
    for name in settings.senders:
        row = {subject.name: cells[name, subject.name] for subject in subjects}
        first, *others = row
        for server, cell in row.items():
            other = row[others[0]] if others and server == first else None
            if cell.rates and (other is None or other.rates):
                print(format_row(name, server, cell, other), flush=True)


if __name__ == '__main__':
    main()
