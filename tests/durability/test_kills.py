"""An import ends well, and leaves nothing, whenever the process that runs it is killed."""

import gzip
import hashlib
import random

import pytest

from tests.durability.cluster import MIB, STORES
from tests.durability.kills import Kills
from tests.servers import dropping_web

METHODS = {
    'glance-direct': ('begin', 'fetch', 'step:decompression', 'store', 'end'),
    'web-download': ('begin', 'fetch', 'step:decompression', 'store', 'end'),
    'copy-image': ('begin', 'store', 'end'),
}
DATA = random.Random(12).randbytes(4 * MIB + 12345)


@pytest.fixture(scope='module')
def web():
    with dropping_web.running(gzip.compress(DATA, 1)) as server:
        yield server


class Import:
    """One import by one of the methods."""

    def __init__(self, cluster, method, web, watch):
        self.cluster = cluster
        with cluster.client() as client:
            self.id = client.create()
            request = {'stores': list(STORES)}
            if method == 'glance-direct':
                status, body = client.ask('PUT', f'/v2/images/{self.id}/stage', web.site.data,
                                          'application/octet-stream')
                assert status == 204, body
            elif method == 'copy-image':
                assert client.upload(self.id, DATA) == 204
                request = {'stores': [STORES[1]]}
        named = {'name': method, **({'uri': web.url} if method == 'web-download' else {})}
        self.task_id = cluster.begin(self.id, named, node=1,
                                     watch=watch, **request)

    def check(self):
        """The import has succeeded, and nothing is left of what it needed."""
        task = self.cluster.finished(self.task_id)
        assert task['status'] == 'success', task
        with self.cluster.client() as client:
            image = client.show(self.id)
            assert image['status'] == 'active'
            assert image['os_hash_value'] == hashlib.sha512(DATA).hexdigest()
            assert image['size'] == len(DATA)
            assert sorted(image['stores'].split(',')) == sorted(STORES)
            assert client.sha512(self.id) == image['os_hash_value']
        assert not self.cluster.locks()
        assert self.cluster.clean(), (self.cluster.objects(), self.cluster.expected_objects())


@pytest.fixture(scope='module')
def events(cluster, web):
    """Method -> phase -> number of events of an import that nothing disturbs."""
    found = {}
    for method in METHODS:
        watch = Kills({}, bool)
        Import(cluster, method, web, watch).check()
        found[method] = dict(watch.counted)
    return found


@pytest.mark.parametrize('method', METHODS)
def test_an_import_that_is_killed_in_each_step_succeeds(cluster, web, events, method):
    rng = random.Random(method)
    assert events[method].keys() == set(METHODS[method])
    kills = Kills({phase: rng.randrange(count) for phase, count in events[method].items()},
                  lambda: rng.random() < 0.5)

    Import(cluster, method, web, kills).check()

    assert kills.done == list(METHODS[method])
