"""Measures an Image API v2 server, alone or compared with a second one.

    make bench
    python contrib/bench/bench.py --vs http://127.0.0.1:9392 --db-pid 4711
    python contrib/bench/bench.py --url http://127.0.0.1:9292 --only get,list --quick

Without ``--url`` it starts glancelite in a temporary directory.  For servers on
this machine it also reports CPU time and memory of the whole process tree that
listens on the port.  Rounds alternate between the servers, so that a disturbance
affects both.  The set of images stays on the server for the next run (tag
``bench-set-N``), unless ``--clean`` is given.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import sys
import urllib.parse

import bulk
import cases
import floors
import load
import procs
import report
import servers
from subject import FileServer, Subject


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
        epilog='groups: ' + ', '.join(dict.fromkeys(
            [case.group for case in cases.every_case()] + ['start', 'floor'])))
    add = parser.add_argument
    add('--url', help='the server to measure; by default, one is started')
    add('--vs', metavar='URL', help='a second server, to compare with')
    add('--vs-start', metavar='COMMAND',
        help='command that starts a new instance of the second server, to measure its cold '
             'start; it is run by "env", and serves on the port {port} of 127.0.0.1')
    add('--name', default=None, help='name of the first server in the table')
    add('--vs-name', default='other', help='name of the second server')
    add('--only', type=lambda text: text.split(','), default=[], metavar='NAMES',
        help='groups, or beginnings of names of measurements, separated by commas')
    add('--quick', action='store_true', help='small sizes and short rounds, as a test')
    add('--json', type=pathlib.Path, metavar='FILE', help='also write the figures to this file')
    add('--images', type=int, help='images in the set (10000)')
    add('--size', type=int, metavar='MIB', help='MiB of a large image (1024)')
    add('--seconds', type=float, help='length of one round of requests (3)')
    add('--rounds', type=int, help='rounds of each measurement (3)')
    add('--db', metavar='SQLALCHEMY_URL',
        help='empty database for the server that is started; by default, SQLite')
    add('--workers', type=int, default=2, help='worker processes of the server that is started')
    add('--set', action='append', default=[], metavar='LINE', dest='more',
        help='line to append to its configuration file, whose last section is [layers]; '
             'repeatable')
    add('--db-pid', type=int, help='main process of the database server, for its CPU time')
    add('--header', action='append', default=[], metavar='"NAME: VALUE"',
        help='header of every request, such as a token; repeatable')
    add('--nginx', action='store_true', help='also measure downloads from nginx')
    add('--dir', type=pathlib.Path, help='directory for the data of servers that are started')
    add('--clean', action='store_true', help='delete the set of images at the end')
    settings = parser.parse_args(argv)
    if settings.vs_start and not settings.vs:
        parser.error('--vs-start requires --vs')
    for name, default, quick in (('images', 10000, 1000), ('size', 1024, 64),
                               ('seconds', 3.0, 0.5), ('rounds', 3, 1)):
        if getattr(settings, name) is None:
            setattr(settings, name, quick if settings.quick else default)
    settings.size *= bulk.MIB
    return settings


def open_subjects(settings, source, stack):
    """Yield the servers to measure: the first, the second, the file server."""
    database = procs.ProcessTree(settings.db_pid) if settings.db_pid else None

    def remote(name, url):
        target = load.Target(url, settings.header)
        local = target.address[0] in ('127.0.0.1', 'localhost')
        parts = urllib.parse.urlsplit(url)
        tree = procs.listening_on(parts.port or 80) if local else None
        return Subject(name, target, settings, source, tree, database)

    if set(settings.only) == {'floor'}:
        return
    if settings.url:
        yield remote(settings.name or 'server', settings.url)
    else:
        own = stack.enter_context(contextlib.closing(servers.start_glancelite(
            settings.workers, settings.db, settings.dir, settings.more)))
        yield Subject(settings.name or 'glancelite', load.Target(own.url, settings.header),
                      settings, source, own.tree, database if settings.db else None)
    if settings.vs:
        yield remote(settings.vs_name, settings.vs)
    if settings.nginx:
        files = stack.enter_context(contextlib.closing(servers.start_nginx(settings.dir)))
        yield FileServer('nginx', load.Target(files.url), files.tree,
                         files.directory / 'files', source)


def cold_starts(settings, result, name):
    """Measure time and CPU time from the start of the program until it has listed images."""
    starts = [(name, lambda: servers.start_glancelite(
        settings.workers, None, settings.dir, settings.more))]
    if settings.vs and settings.vs_start:
        starts.append((settings.vs_name, lambda: servers.start_command(
            settings.vs_start, settings.header, settings.dir)))
    for _ in range(settings.rounds):
        for server_name, start in starts:
            with contextlib.closing(start()) as server:
                result.add(server_name, 'start', [
                    cases.Point('cold start', server.seconds * 1e3, 'ms', False),
                    cases.Point('cold start, CPU', server.tree.cpu() * 1e3, 'ms', False)])


def measure(settings, subjects, result):
    for case in cases.every_case():
        if not case.selected(settings.only):
            continue
        suitable = [subject for subject in subjects if subject.has_api or not case.needs_api]
        rounds = 1 if case.group == 'memory' else settings.rounds
        for number in range(rounds):
            for subject in suitable if number % 2 == 0 else reversed(suitable):
                print(f'{case.name}, round {number + 1}: {subject.name}', file=sys.stderr,
                      flush=True)
                result.add(subject.name, case.group, case.run(subject, settings))


def main(argv=None):
    settings = parse_arguments(argv)
    # SystemExit unwinds the exit stack, which stops the servers
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    source = bulk.Source()
    with contextlib.ExitStack() as stack:
        subjects = list(open_subjects(settings, source, stack))
        result = report.Report([subject.name for subject in subjects])
        result.facts = {
            'machine': f'{os.cpu_count()} CPUs, Linux {platform.release()}, '
                       f'Python {platform.python_version()}, '
                       f'load {os.getloadavg()[0]:.1f} at the start',
            'sizes': f'{settings.images} images, {settings.size // bulk.MIB} MiB, '
                     f'{settings.rounds} rounds of {settings.seconds:g} s'}
        if not settings.only or 'floor' in settings.only:
            result.floors = floors.measure(settings.size, source, max(3, settings.rounds),
                                            settings.dir)
        if subjects and not settings.url and (not settings.only or 'start' in settings.only):
            cold_starts(settings, result, subjects[0].name)
        try:
            measure(settings, subjects, result)
        finally:
            for subject in subjects:
                subject.close(settings.clean)
            print(result.text())
            if settings.json:
                settings.json.write_text(json.dumps(result.as_json(), indent=1) + '\n')


if __name__ == '__main__':
    main()
