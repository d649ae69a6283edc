"""Fixtures: importers that may connect to loopback, jobs, and a web server with one file."""

import contextlib

import pytest
from oslo_config import cfg

from glancelite.support import outbound
from glancelite.testing.fakes import FakeJob
from tests.servers import dropping_web


@pytest.fixture
def make_importer(make_plugin):
    """Build an importer; without ``rules`` it may connect to loopback."""
    def make(kind, rules=None, **options):
        conf = cfg.ConfigOpts()
        outbound.register(conf)
        defaults = {'allowed_hosts': ['127.0.0.1', 'localhost'], 'allowed_ports': []}
        for name, value in (defaults if rules is None else rules).items():
            conf.set_override(name, value, group=outbound.SECTION)
        return make_plugin(kind, conf=conf, **options)
    return make


@pytest.fixture
def make_job(tmp_path):
    """Build a job; ``first`` is the job of another process that it continues."""
    def make(arguments, *, first=None, **named):
        if first is not None:
            named |= {'parts': first.parts, 'memory': first.memory}
        return FakeJob(tmp_path, arguments=arguments, **{'part_size': 1 << 20, **named})
    return make


@pytest.fixture
def serve():
    """Start web servers; see tests/servers/dropping_web.py."""
    with contextlib.ExitStack() as running:
        yield lambda *args, **named: running.enter_context(dropping_web.running(*args, **named))
