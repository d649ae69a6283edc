"""Log lines of a thread are about its request, or about work of the service itself."""

import concurrent.futures
import logging
import threading

import pytest
from oslo_config import cfg
from oslo_context import context
from oslo_log import formatters, log

from glancelite.contract import Context
from glancelite.services.periodic import Periodic
from glancelite.support import log_context
from glancelite.support.background import BackgroundCalls

CALLER = Context(user='ann', project='acme', user_domain='d1', project_domain='d2',
                 token='secret')


@pytest.fixture(autouse=True)
def outside_of_requests():
    log_context.begin('req-before')
    yield
    context._request_store.__dict__.clear()


def line():
    """A line as oslo.log writes it in this thread."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    record = logging.LogRecord('name', logging.INFO, 'file', 1, 'text', (), None)
    return formatters.ContextFormatter(config=conf).format(record)


def test_a_line_names_the_request_and_the_caller():
    log_context.begin('req-one')
    log_context.set_caller(CALLER)

    assert '[None req-one ann acme - - d1 d2] text' in line()
    assert 'secret' not in line()


def test_a_line_of_the_next_request_does_not_name_the_former_caller():
    log_context.begin('req-one')
    log_context.set_caller(CALLER)
    log_context.begin('req-two')

    assert '[None req-two - - - - - -] text' in line()


def test_threads_of_a_request_name_it_and_no_other():
    def serve(name):
        log_context.begin(f'req-{name}')
        log_context.set_caller(Context(user=name))
        lines = []
        calls = BackgroundCalls(lambda _: lines.append(line()), 'test', ahead=3)
        barrier.wait()
        for _ in range(3):
            calls.call(None)
        calls.finish()
        calls.cancel()
        return name, [*lines, line()]

    barrier = threading.Barrier(4)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for name, lines in pool.map(serve, 'abcd'):
            assert len(lines) == 4
            assert all(f'[None req-{name} {name} - ' in each for each in lines)


def test_each_round_of_periodic_work_has_an_id_of_its_own():
    ids, done = [], threading.Event()

    def work():
        ids.append(context.get_current().request_id)
        if len(ids) == 2:
            done.set()

    rounds = Periodic(work, 0.01, 'test')
    rounds.start()
    assert done.wait(10)
    rounds.close()

    assert len(set(ids)) == len(ids)
    assert all(each.startswith('req-') and each != 'req-before' for each in ids)


def test_work_that_is_carried_from_no_request_has_an_id():
    context._request_store.__dict__.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        carried = log_context.carried(lambda: context.get_current().request_id)
        assert pool.submit(carried).result().startswith('req-')
