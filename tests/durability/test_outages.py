"""Imports go on after the database, or the stores, were away for a while."""

import contextlib
import time

import pytest

from tests.durability import imports
from tests.durability.moments import Hold, Moments
from tests.servers import process


@contextlib.contextmanager
def frozen_database(cluster, postgres):
    with process.frozen(postgres.process):
        yield


@contextlib.contextmanager
def refusing_database(cluster, postgres):
    cluster.cut_off = True
    yield
    cluster.cut_off = False


@contextlib.contextmanager
def frozen_stores(cluster, postgres):
    """The stores accept requests, and do not answer."""
    cluster.answers.clear()
    yield
    cluster.answers.set()


@contextlib.contextmanager
def refusing_stores(cluster, postgres):
    cluster.away = True
    yield
    cluster.away = False


OUTAGES = frozen_database, refusing_database, frozen_stores, refusing_stores


def test_an_import_goes_on_after_short_outages(cluster, web, sizes, postgres_server):
    plan = dict(zip(imports.METHODS['web-download'][1:], OUTAGES, strict=True))
    check(cluster, web, sizes, postgres_server, plan, 1.5)


@pytest.mark.long
@pytest.mark.parametrize('phase', ['fetch', 'step:decompression', 'store', 'end'])
@pytest.mark.parametrize('outage', OUTAGES)
def test_an_import_goes_on_after_a_long_outage(cluster, web, sizes, postgres_server, outage,
                                               phase):
    check(cluster, web, sizes, postgres_server, {phase: outage}, 30)


def check(cluster, web, sizes, postgres, plan, seconds):
    """An import succeeds although each phase meets an outage."""
    hold = Hold()
    watch = Moments({phase: sizes['web-download'][phase] // 4 for phase in plan}, hold)
    task_id = imports.begin(cluster, 'web-download', web, watch)
    for outage in plan.values():
        hold.wait()
        with outage(cluster, postgres):
            hold.release()
            time.sleep(seconds)

    cluster.succeeded(task_id, imports.DATA)
