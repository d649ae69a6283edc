"""Compares store drivers with the tools of their backends and with glance_store's drivers.

``python contrib/bench/stores.py [--size MiB] [--rounds N] [case ...]``, in a checkout in which
``make test`` has run once, because it uses the backends of the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import logging
import os
import pathlib
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import boto3.session
from botocore.config import Config

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from glancelite import loader
from glancelite.api import message
from glancelite.services.stores import acceptable
from glancelite.services.stream import Digests, tapped
from glancelite.support import buffers
from glancelite.testing.fakes import FakeHost
from tests.plugins.store.reference import reference
from tests.servers import ceph, keystone, process, programs, swift

MIB = 1 << 20
BIN = pathlib.Path(sys.executable).parent
BUCKET = 'bench'
USER = 'test:tester'


@dataclasses.dataclass
class Case:
    """One backend, with its tool.

    :ivar driver: name of the driver, in glancelite and in glance_store.
    :ivar options: options of both drivers.
    :ivar put: uploads a file under a name, with the tool.
    :ivar get: downloads the name with the tool, without keeping the data.
    :ivar delete: deletes the name.
    :ivar size_known: whether glance_store's driver gets the size.
    :ivar free_space: frees the space of deleted data, if the backend does so later.
    """

    driver: str
    options: dict[str, object]
    put: Callable[[pathlib.Path, str], None]
    get: Callable[[str], None]
    delete: Callable[[str], None]
    size_known: bool = True
    free_space: Callable[[], None] = lambda: None


def run(*command: object, **environment: str) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, env={**os.environ, **environment})


@contextlib.contextmanager
def file_case() -> Iterator[Case]:
    """``cp`` and ``sync``: the driver also returns when the data is durable."""
    with process.directory('bench') as home:
        def put(path: pathlib.Path, name: str) -> None:
            run('cp', path, home / name)
            run('sync', home / name)

        yield Case('file', {'filesystem_store_datadir': str(home / 'images')}, put,
                   lambda name: run('cp', home / name, '/dev/null'),
                   lambda name: (home / name).unlink())


@contextlib.contextmanager
def rbd_case() -> Iterator[Case]:
    """``rbd import`` and ``rbd export``."""
    with ceph.server() as cluster:
        rbd = [programs.require('rbd'), '-c', cluster.conf, '-p', 'images', '--no-progress']
        yield Case('rbd', {'rbd_store_ceph_conf': cluster.conf, 'rbd_store_user': 'images',
                           'rbd_store_pool': 'images'},
                   lambda path, name: run(*rbd, 'import', path, name),
                   lambda name: run(*rbd, 'export', name, '-'),
                   lambda name: run(*rbd, 'rm', name))


class NullFile(io.RawIOBase):
    """Accepts writes at any position, and keeps nothing."""

    def writable(self):
        return True

    def seekable(self):
        return True

    def seek(self, *position):
        return 0

    def write(self, data):
        return len(data)


def _s3(url: str, access: str, secret: str, region: str) -> Case:
    """Return the case for boto3's transfer manager."""
    client = boto3.session.Session(access, secret).client(
        's3', endpoint_url=url, region_name=region, config=Config(
            request_checksum_calculation='when_required',
            response_checksum_validation='when_required'))
    client.create_bucket(Bucket=BUCKET)
    return Case('s3', {'s3_store_host': url, 's3_store_access_key': access,
                       's3_store_secret_key': secret, 's3_store_bucket': BUCKET},
                lambda path, name: client.upload_file(str(path), BUCKET, name),
                lambda name: client.download_fileobj(BUCKET, name, NullFile()),
                lambda name: client.delete_object(Bucket=BUCKET, Key=name))


@contextlib.contextmanager
def ceph_s3_case() -> Iterator[Case]:
    with ceph.server() as cluster, ceph.gateway(cluster) as gateway:
        case = _s3(gateway.url, gateway.access_key, gateway.secret_key, gateway.region)
        case.free_space = lambda: run(programs.require('radosgw-admin'), '-c', cluster.conf, '-n',
                                      'client.gateway', 'gc', 'process', '--include-all')
        yield case


@contextlib.contextmanager
def swift_s3_case() -> Iterator[Case]:
    with swift.server(swift.install(), programs.require('memcached')) as server:
        yield _s3(server.url, USER, swift.USERS[USER], 'us-east-1')


@contextlib.contextmanager
def swift_case() -> Iterator[Case]:
    """``swift upload`` and ``swift download``, with segments of the drivers' size.

    If glance_store's driver knows the size, it announces a full last segment and waits for
    it, so it does not get the size.
    """
    with keystone.server(keystone.install()) as identity, swift.server(
            swift.install(), programs.require('memcached'), identity):
        identity.add_user('images', 'admin')
        login = {'ST_AUTH_VERSION': '3', 'OS_AUTH_URL': identity.url, 'OS_USERNAME': 'images',
                 'OS_PASSWORD': keystone.PASSWORD, 'OS_PROJECT_NAME': 'service',
                 'OS_USER_DOMAIN_ID': 'default', 'OS_PROJECT_DOMAIN_ID': 'default'}
        yield Case('swift', {'swift_store_auth_address': identity.url,
                             'swift_store_user': 'service:images',
                             'swift_store_key': keystone.PASSWORD,
                             'swift_store_container': BUCKET,
                             'swift_store_create_container_on_put': True,
                             'swift_store_large_object_size': 200},
                   lambda path, name: run(BIN / 'swift', 'upload', BUCKET, path, '--object-name',
                                          name, '-S', 204_800_000, '--use-slo', **login),
                   lambda name: run(BIN / 'swift', 'download', BUCKET, name, '-o', '/dev/null',
                                    **login),
                   lambda name: run(BIN / 'swift', 'delete', BUCKET, name, **login),
                   size_known=False)


CASES = {'file': file_case, 'rbd': rbd_case, 's3-ceph': ceph_s3_case, 's3-swift': swift_s3_case,
         'swift': swift_case}


def chunks_of(path: pathlib.Path) -> Iterator[bytes]:
    """Yield the data of a file in chunks, as the API gets them from a fast client."""
    with path.open('rb', buffering=0) as file:
        reader = buffers.Reader(file.readinto)
        while chunk := reader.read(message.LARGE_CHUNK):
            yield chunk


def hashed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``chunks``, and hash them as an upload does."""
    with tapped(chunks, [Digests()]) as stream:
        yield from stream


def measure(case: Case, path: pathlib.Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each operation in each round."""
    size = path.stat().st_size
    host = FakeHost()
    kind = loader.find('store', case.driver).kind
    assert kind is not None
    store = kind(loader.Options.of(kind, **case.options), host, name='bench')
    theirs = reference(case.driver, **case.options)
    seconds: dict[str, list[float]] = {}

    def timed(what: str, work: Callable[..., object], *arguments: object) -> object:
        start = time.perf_counter()
        result = work(*arguments)
        seconds.setdefault(what, []).append(time.perf_counter() - start)
        return result

    def drain(chunks: Iterator[bytes]) -> None:
        for _ in chunks:
            pass

    def write(what: str, source: Iterator[bytes], known: int | None) -> str:
        written = timed(what, lambda: store.write(str(uuid.uuid4()), acceptable(source, store),
                                                  size=known))
        return written.url  # type: ignore[attr-defined]

    def read_theirs(url: str) -> None:
        driver = theirs._driver()
        drain(driver.get(theirs._location(driver, url), context=None)[0])

    def add_theirs(known: int) -> str:
        with path.open('rb') as file:
            return theirs._driver().add(str(uuid.uuid4()), file, known, 'sha512')[0]

    drain(chunks_of(path))      # fills the page cache
    for number in range(rounds):
        print(f'{case.driver}: round {number + 1}', file=sys.stderr, flush=True)
        name = str(uuid.uuid4())
        timed('tool write', case.put, path, name)
        timed('tool read', case.get, name)
        case.delete(name)
        url = write('ours write', chunks_of(path), size)
        # data that was written past the page cache is read from the disk once
        timed('ours first read', lambda url: drain(store.read(url)), url)
        timed('ours read', lambda url: drain(store.read(url)), url)
        store.delete(url)
        store.delete(write('ours write, unknown size', chunks_of(path), None))
        store.delete(write('ours write + hashes', hashed(chunks_of(path)), size))
        url = str(timed('glance_store write', add_theirs, size if case.size_known else 0))
        timed('glance_store read', read_theirs, url)
        theirs.delete(url)
        case.free_space()
    store.close()
    host.close()
    return seconds


def show(name: str, seconds: dict[str, list[float]], size: int) -> None:
    """Print the median rates of a case, and the ratios."""
    rate = {what: size / MIB / statistics.median(times) for what, times in seconds.items()}
    print(f'\n{name}')
    for what, value in rate.items():
        print(f'  {what:28} {value:8.0f} MiB/s   {[round(t, 2) for t in seconds[what]]}')
    for label, one, other in (
            ('write / tool', 'ours write', 'tool write'),
            ('write unknown / tool', 'ours write, unknown size', 'tool write'),
            ('read / tool', 'ours read', 'tool read'),
            ('write + hashes / glance_store', 'ours write + hashes', 'glance_store write'),
            ('read / glance_store', 'ours read', 'glance_store read')):
        print(f'  {label:32} {rate[one] / rate[other]:5.2f}')
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('cases', nargs='*', default=list(CASES), choices=[*CASES, []])
    parser.add_argument('--size', type=int, default=1024, help='MiB of the image (1024)')
    parser.add_argument('--rounds', type=int, default=3, help='number of rounds (3)')
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with process.directory('bench-data') as home:
        path = home / 'image'
        with path.open('wb') as file:
            for _ in range(arguments.size):
                file.write(os.urandom(MIB))
        for name in arguments.cases:
            with CASES[name]() as case:
                show(name, measure(case, path, arguments.rounds), path.stat().st_size)


if __name__ == '__main__':
    main()
