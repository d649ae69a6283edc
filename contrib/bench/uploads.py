"""What an upload costs beside bare hashing of the same bytes, from several senders.

    python contrib/bench/uploads.py
    python contrib/bench/uploads.py --vs http://127.0.0.1:9392 --vs-name glance --rounds 7

Every upload is preceded by bare hashing, because how fast a virtual machine
hashes changes by the second with what its neighbours do: costs are compared
within such a pair, and the table shows the medians of all pairs.  Without
``--url`` it starts a glancelite of its own in a temporary directory.
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
import subject

WARM = 256 * bulk.MIB       # see bulk.Source: memory that is really there


def by_sendfile(chunked):
    """From memory, without a copy, as fast as the server takes it."""
    def send(target, image_id, files):
        bulk.upload(target, files.source, image_id, files.size, chunked)

    return send


def by_python(chunked):
    """A file in pieces, as Python's HTTP clients send it: glanceclient chunked, for one."""
    def send(target, image_id, files):
        how = {} if chunked else {'Content-Length': str(files.size)}
        with open(files.path, 'rb', buffering=0) as file, contextlib.closing(
                http.client.HTTPConnection(*target.address)) as connection:
            connection.request(
                'PUT', f'{target.base}/v2/images/{image_id}/file',
                iter(lambda: file.read(bulk.PIECE), b''),
                {'Content-Type': 'application/octet-stream', **target.headers, **how},
                encode_chunked=chunked)
            answer = connection.getresponse()
            if answer.status != 204:
                raise load.Broken(f'{target.url}: the upload answered {answer.status}')

    return send


def by_curl(chunked):
    """A file, by curl."""
    def send(target, image_id, files):
        how = ['-H', 'Transfer-Encoding: chunked'] if chunked else []
        more = [word for name, value in target.headers.items()
                for word in ('-H', f'{name}: {value}')]
        subprocess.run(
            [servers.program('curl'), '-sS', '-f', '-o', os.devnull, '-T', files.path,
             '-H', 'Content-Type: application/octet-stream', *how, *more,
             f'{target.url}/v2/images/{image_id}/file'], check=True)

    return send


SENDERS = {f'{name}, {how}': make(how == 'chunked')
           for name, make in (('curl', by_curl), ('python', by_python), ('sendfile', by_sendfile))
           for how in ('sized', 'chunked')}


@dataclasses.dataclass
class Files:
    """The bytes to send: in memory, and as a file."""

    source: bulk.Source
    path: pathlib.Path
    size: int


@dataclasses.dataclass
class Cell:
    """All rounds of one sender with one server."""

    rates: list = dataclasses.field(default_factory=list)       # MiB/s
    costs: list = dataclasses.field(default_factory=list)       # CPU s/GiB
    hashing: list = dataclasses.field(default_factory=list)     # the same, right before


def measured(one, send, files, cell):
    """One upload, with bare hashing before it."""
    bare = floors.hashing(files.size, files.source.memory())
    image_id = one.fresh()
    bulk.touched(WARM).close()
    with one.meter() as used:
        begin = time.perf_counter()
        send(one.target, image_id, files)
        seconds = time.perf_counter() - begin
    one.check(image_id, files.size)
    one.remove(image_id)
    cell.rates.append(files.size / bulk.MIB / seconds)
    cell.hashing.append(bare.cpu)
    if used.server is not None:
        cell.costs.append(used.server / (files.size / bulk.GIB))


def line(name, server, cell, rival=None):
    rate = statistics.median(cell.rates)
    faster = f'{rate / statistics.median(rival.rates):9.2f}x' if rival else ' ' * 10
    if not cell.costs:
        return f'{name:18} {server:12} {rate:7.0f} {faster}'
    above = [100 * (cost / bare - 1)
             for cost, bare in zip(cell.costs, cell.hashing, strict=True)]
    return (f'{name:18} {server:12} {rate:7.0f} {faster} '
            f'{statistics.median(cell.costs):9.2f} {min(cell.costs):6.2f} '
            f'{statistics.median(cell.hashing):9.2f} {min(cell.hashing):6.2f} '
            f'{statistics.median(above):+8.0f} % {min(above):+5.0f} %')


HEAD = (f'{"sender":18} {"server":12} {"MiB/s":>7} {"faster":>10} {"CPU s/GiB":>9} {"least":>6} '
        f'{"hashing":>9} {"least":>6} {"above":>10} {"least":>7}')


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    add = parser.add_argument
    add('--url', help='the server to measure; without it, one is started')
    add('--vs', metavar='URL', help='a second server')
    add('--vs-name', default='other', help='what to call it in the table')
    add('--senders', type=lambda text: text.split(';'), default=list(SENDERS), metavar='NAMES',
        help='some of: ' + '; '.join(SENDERS))
    add('--size', type=int, default=1024, metavar='MIB', help='MiB of an upload (1024)')
    add('--rounds', type=int, default=5, help='how often everything is done (5)')
    add('--workers', type=int, default=2, help='processes of the server started here')
    add('--set', action='append', default=[], metavar='LINE', dest='more',
        help='line for the end of its configuration file, which is in [layers]; repeatable')
    add('--header', action='append', default=[], metavar='"NAME: VALUE"',
        help='sent with every request, e.g. a token; repeatable')
    add('--dir', type=pathlib.Path, help='where files and the server started here are')
    chosen = parser.parse_args(argv)
    if unknown := [name for name in chosen.senders if name not in SENDERS]:
        parser.error(f'no such sender: {"; ".join(unknown)}')
    chosen.size *= bulk.MIB
    return chosen


def subjects(chosen, source, stack):
    def one(name, url, tree):
        target = load.Target(url, chosen.header)
        return subject.Subject(name, target, chosen, source, tree)

    for name, url in ((None, chosen.url), (chosen.vs_name, chosen.vs)):
        if url:
            parts = urllib.parse.urlsplit(url)
            local = parts.hostname in ('127.0.0.1', 'localhost')
            yield one(name or 'server', url,
                      procs.listening_on(parts.port or 80) if local else None)
        elif name is None:
            own = stack.enter_context(contextlib.closing(servers.glancelite(
                chosen.workers, None, chosen.dir, chosen.more)))
            yield one('glancelite', own.url, own.tree)


def main(argv=None):
    chosen = arguments(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix='bench-', dir=chosen.dir)))
        files = Files(bulk.Source(), directory / 'data', chosen.size)
        files.source.save(files.path, files.size)
        os.sync()
        found = list(subjects(chosen, files.source, stack))
        cells = {(name, one.name): Cell() for name in chosen.senders for one in found}
        hot = []
        try:
            for number in range(chosen.rounds):
                hot.append(floors.hashing(files.size, files.source.memory()[:floors.CHUNK]).cpu)
                for name in chosen.senders:
                    for one in found if number % 2 == 0 else reversed(found):
                        print(f'round {number + 1}: {name}, {one.name}', file=sys.stderr,
                              flush=True)
                        measured(one, SENDERS[name], files, cells[name, one.name])
        finally:    # also what there is when somebody has lost patience
            show(chosen, found, cells, hot)


def show(chosen, found, cells, hot):
    cold = [cost for cell in cells.values() for cost in cell.hashing]
    if not cold:
        return
    print(f'{os.cpu_count()} CPUs, Linux {platform.release()}, Python '
          f'{platform.python_version()}, {chosen.size // bulk.MIB} MiB, {chosen.rounds} rounds')
    print('hashing: md5 and sha512 of as many bytes, in a thread each, and nothing else; '
          f'CPU s/GiB: cold {statistics.median(cold):.2f}, least {min(cold):.2f};'
          f' one MiB again and again {statistics.median(hot):.2f}, least {min(hot):.2f}')
    print(HEAD)
    for name in chosen.senders:
        row = {one.name: cells[name, one.name] for one in found}
        first, *others = row
        for server, cell in row.items():
            rival = row[others[0]] if others and server == first else None
            if cell.rates and (rival is None or rival.rates):
                print(line(name, server, cell, rival), flush=True)


if __name__ == '__main__':
    main()
