"""Measures an Image API v2 server, alone or side by side with another one.

    make bench
    python contrib/bench/bench.py --vs http://127.0.0.1:9392 --db-pid 4711
    python contrib/bench/bench.py --url http://127.0.0.1:9292 --only get,list --quick

Without ``--url`` it starts a glancelite of its own in a temporary directory.
Servers on this machine also show what they cost: CPU time and memory of the
whole process tree behind the port.  Rounds alternate between the servers, so
that a disturbance hits both.  The set of images is left on the server for the
next run (tag ``bench-set-N``), unless ``--clean`` is given.
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
import subject


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
        epilog='groups: ' + ', '.join(dict.fromkeys(
            [case.group for case in cases.every_case()] + ['start', 'floor'])))
    add = parser.add_argument
    add('--url', help='the server to measure; without it, one is started')
    add('--vs', metavar='URL', help='a second server, for ratios')
    add('--vs-start', metavar='COMMAND',
        help='starts another instance of the second server, for its cold start: "env" runs it, '
             'and {port} in it is the port of 127.0.0.1 to serve on')
    add('--name', default=None, help='what to call the first server in the table')
    add('--vs-name', default='other', help='what to call the second one')
    add('--only', type=lambda text: text.split(','), default=[], metavar='NAMES',
        help='groups or beginnings of names, with commas')
    add('--quick', action='store_true', help='small and short: shows that everything works')
    add('--json', type=pathlib.Path, metavar='FILE', help='also write the figures there')
    add('--images', type=int, help='images in the set (10000)')
    add('--size', type=int, metavar='MIB', help='MiB of a large image (1024)')
    add('--seconds', type=float, help='length of one round of requests (3)')
    add('--rounds', type=int, help='rounds of every measurement (3)')
    add('--db', metavar='SQLALCHEMY_URL', help='empty database for the server started here')
    add('--workers', type=int, default=2, help='processes of the server started here')
    add('--set', action='append', default=[], metavar='LINE', dest='more',
        help='line for the end of its configuration file, which is in [layers]; repeatable')
    add('--db-pid', type=int, help='main process of the database server, for its CPU time')
    add('--header', action='append', default=[], metavar='"NAME: VALUE"',
        help='sent with every request, e.g. a token; repeatable')
    add('--nginx', action='store_true', help='downloads from nginx in a further column')
    add('--dir', type=pathlib.Path, help='where servers started here keep their data')
    add('--clean', action='store_true', help='delete the set of images at the end')
    chosen = parser.parse_args(argv)
    if chosen.vs_start and not chosen.vs:
        parser.error('--vs-start is for the server of --vs, which is missing')
    for name, usual, quick in (('images', 10000, 1000), ('size', 1024, 64),
                               ('seconds', 3.0, 0.5), ('rounds', 3, 1)):
        if getattr(chosen, name) is None:
            setattr(chosen, name, quick if chosen.quick else usual)
    chosen.size *= bulk.MIB
    return chosen


def subjects(chosen, source, stack):
    """The servers to measure: the first, the one to compare with, the file server."""
    database = procs.Tree(chosen.db_pid) if chosen.db_pid else None

    def remote(name, url):
        target = load.Target(url, chosen.header)
        local = target.address[0] in ('127.0.0.1', 'localhost')
        parts = urllib.parse.urlsplit(url)
        tree = procs.listening_on(parts.port or 80) if local else None
        return subject.Subject(name, target, chosen, source, tree, database)

    if set(chosen.only) == {'floor'}:
        return
    if chosen.url:
        yield remote(chosen.name or 'server', chosen.url)
    else:
        own = stack.enter_context(contextlib.closing(servers.glancelite(
            chosen.workers, chosen.db, chosen.dir, chosen.more)))
        yield subject.Subject(chosen.name or 'glancelite', load.Target(own.url, chosen.header),
                              chosen, source, own.tree, database if chosen.db else None)
    if chosen.vs:
        yield remote(chosen.vs_name, chosen.vs)
    if chosen.nginx:
        files = stack.enter_context(contextlib.closing(servers.nginx(chosen.dir)))
        yield subject.FileServer('nginx', load.Target(files.url), files.tree,
                                 files.directory / 'files', source)


def cold_starts(chosen, result, name):
    """Time and CPU from the start of the program until it has listed images."""
    starts = [(name, lambda: servers.glancelite(chosen.workers, None, chosen.dir, chosen.more))]
    if chosen.vs and chosen.vs_start:
        starts.append((chosen.vs_name, lambda: servers.other(chosen.vs_start, chosen.header,
                                                             chosen.dir)))
    for _ in range(chosen.rounds):
        for who, start in starts:
            with contextlib.closing(start()) as server:
                result.add(who, 'start', [
                    cases.Point('cold start', server.seconds * 1e3, 'ms', False),
                    cases.Point('cold start, CPU', server.tree.cpu() * 1e3, 'ms', False)])


def measure(chosen, all_subjects, result):
    for case in cases.every_case():
        if not case.chosen(chosen.only):
            continue
        fit = [one for one in all_subjects if one.has_api or not case.needs_api]
        rounds = 1 if case.group == 'memory' else chosen.rounds
        for number in range(rounds):
            for one in fit if number % 2 == 0 else reversed(fit):
                print(f'{case.name}, round {number + 1}: {one.name}', file=sys.stderr, flush=True)
                result.add(one.name, case.group, case.run(one, chosen))


def main(argv=None):
    chosen = arguments(argv)
    # a SystemExit passes the exit stack, so that no server outlives the benchmark
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    source = bulk.Source()
    with contextlib.ExitStack() as stack:
        found = list(subjects(chosen, source, stack))
        result = report.Report([one.name for one in found])
        result.facts = {
            'machine': f'{os.cpu_count()} CPUs, Linux {platform.release()}, '
                       f'Python {platform.python_version()}, '
                       f'load {os.getloadavg()[0]:.1f} at the start',
            'sizes': f'{chosen.images} images, {chosen.size // bulk.MIB} MiB, '
                     f'{chosen.rounds} rounds of {chosen.seconds:g} s'}
        if not chosen.only or 'floor' in chosen.only:
            result.floors = floors.measure(chosen.size, source, max(3, chosen.rounds),
                                            chosen.dir)
        if found and not chosen.url and (not chosen.only or 'start' in chosen.only):
            cold_starts(chosen, result, found[0].name)
        try:
            measure(chosen, found, result)
        finally:
            for one in found:
                one.close(chosen.clean)
            print(result.text())
            if chosen.json:
                chosen.json.write_text(json.dumps(result.as_json(), indent=1) + '\n')


if __name__ == '__main__':
    main()
