"""Fixtures: a cluster, and web servers."""

import pytest

from tests.durability import cluster as clusters


@pytest.fixture(scope='module')
def cluster(run_server, postgres_url, ceph_s3):
    """Two API processes and two workers."""
    with clusters.running(run_server, postgres_url, ceph_s3) as running:
        yield running
