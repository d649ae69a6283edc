"""The Guru Meditation Report of oslo.reports, for debugging a running service."""

import os
import pathlib
import signal
import time

import pytest

from tests.cmd.test_logging import MEMORY
from tests.servers import live, process


@pytest.fixture
def reports(tmp_path):
    """``reports()``: the texts of the reports written so far."""
    def read():
        return [file.read_text() for file in tmp_path.glob('glancelite-api_gurumeditation_*')
                if file.stat().st_size]

    return read


def configuration(folder, **more):
    return {**MEMORY, 'oslo_reports': {'log_dir': str(folder), **more},
            'layers': {'auth': 'noauth', 'sync_database': 'true'},
            'database': {'connection': f'sqlite:///{folder}/glance.sqlite'}}


def test_a_signal_makes_each_worker_write_a_report(tmp_path, reports):
    with live.server(configuration(tmp_path)) as server:
        server.process.send_signal(signal.SIGUSR2)

        [report] = process.until(reports)
        assert server.process.poll() is None

    assert 'Guru Meditation' in report
    assert 'wait_for_and_dispatch_events' in report     # a function on the stack of a worker
    assert 'default_backend = memory' in report
    assert 'connection = ***' in report     # it may contain a password
    assert 'glance.sqlite' not in report


def test_many_signals_at_once_end_no_worker(tmp_path, reports):
    with live.server(configuration(tmp_path)) as server:
        before = children(server.pid)
        for worker in before * 50:
            os.kill(worker, signal.SIGUSR2)
            time.sleep(0.005)
        assert process.until(reports)
        live.answers(server.port)

        assert children(server.pid) == before


def children(pid):
    return [int(text) for text in
            pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def test_a_change_of_the_watched_file_makes_a_worker_write_a_report(tmp_path, reports):
    watched = tmp_path / 'watched'
    watched.touch()
    with live.server(configuration(tmp_path, file_event_handler=str(watched),
                                   file_event_handler_interval='1')) as server:
        server.process.send_signal(signal.SIGUSR2)      # ignored if a file is watched
        time.sleep(0.2)
        assert reports() == []
        watched.touch()

        assert process.until(reports)
        assert server.process.poll() is None
