"""Fixtures: a cluster, a web server, and what an import does when nothing disturbs it."""

import pytest

from tests.durability import cluster as clusters
from tests.durability import imports, small_imports
from tests.durability.moments import Moments
from tests.servers import dropping_web


@pytest.fixture(scope='package')
def shared_cluster(run_server, postgres_url, ceph_s3):
    with clusters.running(run_server, postgres_url(), ceph_s3) as running:
        yield running


@pytest.fixture
def cluster(shared_cluster):
    """Two API processes and three workers, which run."""
    shared_cluster.start()
    return shared_cluster


@pytest.fixture
def calm_cluster(shared_cluster):
    """The same, with leases that no worker loses on a loaded machine."""
    shared_cluster.start(worker={'lease': 60})
    return shared_cluster


@pytest.fixture(scope='package')
def shared_web():
    with dropping_web.running(imports.COMPRESSED) as server:
        yield server


@pytest.fixture
def web(shared_web):
    """A web server with a compressed image."""
    shared_web.requests.clear()
    return shared_web


@pytest.fixture
def small():
    """A web server with a small image."""
    with dropping_web.running(small_imports.COMPRESSED) as server:
        yield server


@pytest.fixture(scope='package')
def sizes(shared_cluster, shared_web):
    """Method -> phase -> size of the events of an import that nothing disturbs."""
    found = {}
    shared_cluster.start()
    for method, phases in imports.METHODS.items():
        watch = Moments()
        task_id = imports.begin(shared_cluster, method, shared_web, watch)
        shared_cluster.succeeded(task_id, imports.DATA)
        assert tuple(watch.passed) == phases
        found[method] = dict(watch.passed)
    return found
