"""What operators ask a service that behaves strangely: the report of oslo.reports."""

import signal
import time

import pytest

from tests.cmd.test_logging import MEMORY
from tests.servers import live


def told(where):
    """The reports, when the one that all workers write, or each, is there."""
    end = time.monotonic() + 20
    while not (reports := where()) and time.monotonic() < end:
        time.sleep(0.05)
    return reports


@pytest.fixture
def reports(tmp_path):
    """``reports()``: the texts of the files that were written so far."""
    def read():
        return [file.read_text() for file in tmp_path.glob('glancelite-api_gurumeditation_*')
                if file.stat().st_size]

    return read


def configuration(folder, **more):
    return {**MEMORY, 'oslo_reports': {'log_dir': str(folder), **more},
            'layers': {'auth': 'noauth', 'sync_database': 'true'},
            'database': {'connection': f'sqlite:///{folder}/glance.sqlite'}}


def test_a_signal_makes_a_worker_tell_what_it_does(tmp_path, reports):
    with live.server(configuration(tmp_path)) as server:
        server.process.send_signal(signal.SIGUSR2)

        [report] = told(reports)
        assert server.process.poll() is None

    assert 'Guru Meditation' in report
    assert 'wait_for_and_dispatch_events' in report     # in which a worker is
    assert 'default_backend = memory' in report
    assert 'connection = ***' in report     # it may have a password
    assert 'glance.sqlite' not in report


def test_a_file_that_changes_does_the_same(tmp_path, reports):
    bell = tmp_path / 'bell'
    bell.touch()
    with live.server(configuration(tmp_path, file_event_handler=str(bell),
                                   file_event_handler_interval='1')) as server:
        server.process.send_signal(signal.SIGUSR2)      # is left aside then
        time.sleep(0.2)
        assert reports() == []
        bell.touch()

        assert told(reports)
        assert server.process.poll() is None
