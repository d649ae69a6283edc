"""Measures imports, beside Glance 33 in the same run.

    python contrib/bench/imports.py
    python contrib/bench/imports.py --size 64 --rounds 1 --only staged,answer

It starts MariaDB, glancelite, Glance and nginx in temporary directories, in a checkout in which
``make test`` has run once, because it uses the backends of the tests.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
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
import load
import report
import servers
import sqlalchemy as sa
from cases import Point
from subject import Subject

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import glance33

from tests.servers import mariadb, programs

STORES = ('fast', 'cold')
MEMORY = 256 * bulk.MIB     # allocated before each measurement: see bulk.Source
SMALL = 1024                # bytes of an image whose import is only asked for
PATCH = 'application/openstack-images-v2.1-json-patch'
TIMEOUT = 1800.0
PAUSE = 0.005               # between two questions to the database
TASK = sa.text('SELECT status FROM tasks WHERE image_id = :image')


@dataclasses.dataclass
class Files:
    """The data of the imports, in files that nginx serves."""

    url: str
    raw: pathlib.Path
    qcow2: pathlib.Path
    small: pathlib.Path

    def url_of(self, path):
        return f'{self.url}/{path.name}'


class Service:
    """A server that imports, and its database."""

    def __init__(self, name, server, connection, source, headers=()):
        self.name = name
        self.subject = Subject(name, load.Target(server.url, headers), None, source, server.tree)
        self.target = self.subject.target
        self._engine = sa.create_engine(connection, isolation_level='AUTOCOMMIT')

    def create(self, disk_format='raw'):
        return self.target.json('POST', '/v2/images', {
            'name': 'bench-import', 'disk_format': disk_format, 'container_format': 'bare',
            'bench_note': ''})['id']

    def stage(self, image_id, path):
        """Send a file to the staging area, without a copy."""
        with open(path, 'rb') as file, self.target.connect() as sock:
            sock.settimeout(TIMEOUT)
            sock.sendall(self.target.head(
                'PUT', f'/v2/images/{image_id}/stage', 'Content-Type: application/octet-stream',
                f'Content-Length: {path.stat().st_size}'))
            sock.sendfile(file)
            status, _, body = load.read_answer(sock)
        if status != 204:
            raise load.UnexpectedAnswer(f'{self.name}: staging answered {status}: {body!r}')

    def ask(self, image_id, method, stores=STORES[:1]):
        """Ask for an import, which goes on after the answer."""
        status, _, body = self.target.call('POST', f'/v2/images/{image_id}/import', {
            'method': method, 'stores': list(stores), 'all_stores_must_succeed': True})
        if status != 202:
            raise load.UnexpectedAnswer(f'{self.name}: the import answered {status}: {body!r}')

    def wait(self, image_id):
        """Wait until the import has succeeded.

        The database is asked, because each question to the service would cost it CPU time.
        """
        until = time.monotonic() + TIMEOUT
        with self._engine.connect() as connection:
            while time.monotonic() < until:
                status = connection.execute(TASK, {'image': image_id}).scalar()
                if status == 'success':
                    return
                if status == 'failure':
                    break
                time.sleep(PAUSE)
        image = self.target.json('GET', f'/v2/images/{image_id}')
        raise load.UnexpectedAnswer(f'{self.name}: the import has not succeeded: {image}')

    def close(self):
        self._engine.dispose()


class Timer:
    """Times parts of the work of a service, with its CPU time and its memory."""

    def __init__(self, service):
        self._service = service
        self._tree = service.subject.tree

    def run(self, row, size, work):
        """Do some work; return a point with its rate, and points with the memory."""
        bulk.resident_memory(MEMORY).close()
        os.sync()           # what was written before does not compete with it for the disk
        before = self._tree.restart_peak()
        with self._service.subject.measure_cpu() as usage:
            begin = time.perf_counter()
            work()
            seconds = time.perf_counter() - begin
        peak = self._tree.peak()
        return [
            Point(row, size / bulk.MIB / seconds, 'MiB/s', work=size / bulk.GIB, per='GiB',
                  cpu=usage.server, clients=usage.clients),
            Point('  memory at most', peak / bulk.MIB, 'MiB', False),
            Point('  grown by', (peak - before) / bulk.MIB, 'MiB', False)], seconds


def named(points):
    """Give the memory rows the name of their measurement; return the points."""
    first, *others = points
    for point in others:
        point.row = f'  {first.row}: {point.row.strip()}'
    return points


def imported(service, image_id, method, stores=STORES[:1]):
    service.ask(image_id, method, stores)
    service.wait(image_id)


def staged(service, files, settings):
    """Measure staging, the import into one store, and that into two stores."""
    stage, move, (staging, single) = staged_into(service, files, settings.size, 1)
    _, move_two, (_, double) = staged_into(service, files, settings.size, 2)
    return [*named(stage), *named(move),
            both('stage and import', settings.size, staging + single, stage[0], move[0]),
            *named(move_two),
            Point('  2 stores: time, by that of 1', double / single, 'x', False)]


def staged_into(service, files, size, count):
    """Stage data, and import it into some stores.

    :returns: points of staging, points of the import, the seconds of both.
    """
    image_id, timer = service.create(), Timer(service)
    stage, staging = timer.run('stage', size, lambda: service.stage(image_id, files.raw))
    move, moving = timer.run(
        f'import into {count} store' + 's' * (count > 1), size,
        lambda: imported(service, image_id, {'name': 'glance-direct'}, STORES[:count]))
    service.subject.check(image_id, size)
    service.subject.delete(image_id)
    return stage, move, (staging, moving)


def both(row, size, seconds, *points):
    """Return one point for several parts."""
    return Point(row, size / bulk.MIB / seconds, 'MiB/s', work=size / bulk.GIB, per='GiB',
                 cpu=sum(point.cpu for point in points),
                 clients=sum(point.clients for point in points))


def web(service, files, settings):
    """Measure a download from nginx."""
    image_id = service.create()
    method = {'name': 'web-download', 'uri': files.url_of(files.raw)}
    points, _ = Timer(service).run('web-download', settings.size,
                                   lambda: imported(service, image_id, method))
    service.subject.check(image_id, settings.size)
    service.subject.delete(image_id)
    return named(points)


def answers(service, files, settings):
    """Measure how soon an import is accepted, and how soon a PATCH is answered.

    One follows the other, when the import before has ended.
    """
    posts, patches = [], []
    for number in range(settings.requests):
        image_id = service.create()
        change = [{'op': 'replace', 'path': '/bench_note', 'value': str(number)}]
        with lasting(patches):
            status, _, body = service.target.call(
                'PATCH', f'/v2/images/{image_id}', change, PATCH)
        if status != 200:
            raise load.UnexpectedAnswer(f'{service.name}: PATCH answered {status}: {body!r}')
        service.stage(image_id, files.small)
        with lasting(posts):
            service.ask(image_id, {'name': 'glance-direct'})
        service.wait(image_id)
        service.subject.delete(image_id)
    post, patch = statistics.median(posts), statistics.median(patches)
    return [Point('POST import', post * 1e3, 'ms', False, latencies=posts),
            Point('PATCH', patch * 1e3, 'ms', False, latencies=patches),
            Point('  POST import, by PATCH', post / patch, 'x', False)]


@contextlib.contextmanager
def lasting(seconds):
    begin = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - begin)


def conversion(service, files, settings, home):
    """Measure an import that converts, and qemu-img with hashing alone.

    :returns: points of the service, points of the tool.
    """
    tool, alone = converted_by_tool(files, settings.size, home)
    image_id = service.create('qcow2')
    service.stage(image_id, files.qcow2)
    points, seconds = Timer(service).run('qcow2 to raw', settings.size, lambda: imported(
        service, image_id, {'name': 'glance-direct'}))
    service.subject.check(image_id, settings.size)
    service.subject.delete(image_id)
    return [*named(points), Point('  time, by that of qemu-img and hashing', seconds / alone, 'x',
                                  False)], tool


def converted_by_tool(files, size, home):
    """Convert with qemu-img, and hash the result.

    :returns: a point, and the seconds.
    """
    target = home / 'converted'
    bulk.resident_memory(MEMORY).close()
    os.sync()
    with contextlib.ExitStack() as stack:
        stack.callback(target.unlink, missing_ok=True)
        times, begin = os.times(), time.perf_counter()
        subprocess.run([servers.program('qemu-img'), 'convert', '-f', 'qcow2', '-O', 'raw',
                        files.qcow2, target], check=True)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(functools.partial(hash_file, target), ('md5', 'sha512')))
        seconds, spent = time.perf_counter() - begin, os.times()
    cpu = sum(spent[:4]) - sum(times[:4])
    return [Point('qcow2 to raw', size / bulk.MIB / seconds, 'MiB/s', work=size / bulk.GIB,
                  per='GiB', cpu=cpu)], seconds


def hash_file(path, name):
    with open(path, 'rb') as file:
        hashlib.file_digest(file, lambda: hashlib.new(name, usedforsecurity=False))


#: group -> measurement on both services
GROUPS = {'staged': staged, 'web': web, 'answer': answers}
CONVERSION = 'conversion'


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    add = parser.add_argument
    names = (*GROUPS, CONVERSION)
    add('--only', type=lambda text: text.split(','), default=list(names), metavar='GROUPS',
        help=f'some of {", ".join(names)}; by default, all')
    add('--size', type=int, default=1024, metavar='MIB', help='MiB of an image (1024)')
    add('--rounds', type=int, default=3, help='number of rounds (3)')
    add('--requests', type=int, default=30, help='imports of the group answer per round (30)')
    add('--workers', type=int, default=2, help='processes of each service (2)')
    add('--alone', action='store_true', help='measure without Glance')
    add('--set', action='append', default=[], metavar='LINE', dest='more',
        help='line to append to the configuration file of glancelite, whose last section is '
             '[layers]; repeatable')
    add('--dir', type=pathlib.Path, help='directory for all data; by default, that of tempfile')
    add('--json', type=pathlib.Path, metavar='FILE', help='also write the figures to this file')
    settings = parser.parse_args(argv)
    if unknown := [name for name in settings.only if name not in names]:
        parser.error(f'unknown groups: {", ".join(unknown)}')
    settings.size *= bulk.MIB
    return settings


def make_files(nginx, source, size):
    """Write the data of the imports where nginx serves it."""
    folder = nginx.directory / 'files'
    files = Files(nginx.url, folder / 'raw', folder / 'qcow2', folder / 'small')
    source.save(files.raw, size)
    source.save(files.small, SMALL)
    subprocess.run([servers.program('qemu-img'), 'convert', '-f', 'raw', '-O', 'qcow2',
                    files.raw, files.qcow2], check=True)
    return files


def open_services(settings, databases, nginx, home, source, stack):
    """Start the services; yield ``(name of its kind, service)``.

    The last kind is glancelite that converts imports.
    """
    port = urllib.parse.urlsplit(nginx.url).port

    def entered(kind, name, server, connection, headers=()):
        stack.enter_context(contextlib.closing(server))
        service = Service(name, server, connection, source, headers)
        stack.enter_context(contextlib.closing(service))
        return kind, service

    def own(kind, *lines):
        connection, data = databases.create(), home / kind
        return entered(kind, 'glancelite', servers.start_glancelite(
            settings.workers, connection, settings.dir, (
                *settings.more,
                '[DEFAULT]', f'enabled_backends = {", ".join(f"{name}:file" for name in STORES)}',
                *(f'[{name}]\nfilesystem_store_datadir = {data}/{name}' for name in STORES),
                '[import_filtering_opts]', 'allowed_hosts = 127.0.0.1',
                f'allowed_ports = {port}', *lines)), connection)

    if set(settings.only) & set(GROUPS):
        yield own('glancelite')
        if not settings.alone:
            connection = databases.create()
            yield entered('glance', 'glance 33', glance33.start(
                settings.workers, connection, STORES, port, settings.dir), connection,
                glance33.HEADERS)
    if CONVERSION in settings.only:
        yield own(CONVERSION, '[image_import_opts]', 'image_import_plugins = image_conversion',
                  '[image_conversion]', 'output_format = raw',
                  '[task]', f'work_dir = {home}/work')


def measure(settings, services, files, home, result):
    """Run all rounds; the services take turns."""
    converting = services.pop(CONVERSION, None)
    compared = list(services.values())
    for number in range(settings.rounds):
        for group in settings.only:
            say = functools.partial(print, f'round {number + 1}: {group}', file=sys.stderr,
                                    flush=True)
            if group == CONVERSION:
                say()
                points, tool = conversion(converting, files, settings, home)
                result.add(converting.name, group, points)
                result.add('qemu-img + hash', group, tool)
                continue
            for service in compared if number % 2 == 0 else reversed(compared):
                say(service.name)
                result.add(service.name, group, GROUPS[group](service, files, settings))


def main(argv=None):
    settings = parse_arguments(argv)
    # SystemExit unwinds the exit stack, which stops the servers
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    columns = ['glancelite', *([] if settings.alone else ['glance 33']),
               *(['qemu-img + hash'] if CONVERSION in settings.only else [])]
    result = report.Report(columns)
    result.facts = {
        'machine': f'{os.cpu_count()} CPUs, Linux {platform.release()}, '
                   f'Python {platform.python_version()}, '
                   f'load {os.getloadavg()[0]:.1f} at the start',
        'sizes': f'{settings.size // bulk.MIB} MiB, {settings.rounds} rounds'}
    source = bulk.Source()
    with contextlib.ExitStack() as stack:
        home = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix='bench-imports-', dir=settings.dir)))
        databases = stack.enter_context(mariadb.server(
            programs.require('mariadbd'), programs.require('mariadb-install-db')))
        nginx = stack.enter_context(contextlib.closing(servers.start_nginx(settings.dir)))
        files = make_files(nginx, source, settings.size)
        services = dict(open_services(settings, databases, nginx, home, source, stack))
        try:
            measure(settings, services, files, home, result)
        finally:    # if the benchmark is interrupted, print the results so far
            print(result.text())
            if settings.json:
                settings.json.write_text(json.dumps(result.as_json(), indent=1) + '\n')


if __name__ == '__main__':
    main()
