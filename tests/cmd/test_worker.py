"""``glancelite-worker`` starts, reloads and stops as systemd expects, or says why not."""

import os
import pathlib
import signal
import socket
import sys

import pytest

from tests.cmd import programs
from tests.servers import live, process

CONFIG = {
    'DEFAULT': {'enabled_backends': 'file:file', 'log_file': '{home}/log'},
    'glance_store': {'default_backend': 'file'},
    'file': {'filesystem_store_datadir': '{home}/images'},
    'os_glance_staging_store': {'filesystem_store_datadir': '{home}/staging'},
    'database': {'connection': 'sqlite:///{home}/glancelite.sqlite'},
    'layers': {'auth': 'noauth', 'executor': 'external', 'sync_database': 'true'},
}
PROGRAM = pathlib.Path(sys.executable).with_name('glancelite-worker')


@pytest.fixture
def configure(tmp_path):
    """Writes the configuration with these sections changed; returns the file."""
    def write(**changes):
        file = tmp_path / 'glancelite-api.conf'
        live.write_config(file, {
            section: {name: value.format(home=tmp_path) for name, value in
                      {**CONFIG.get(section, {}), **changes.get(section, {})}.items()}
            for section in CONFIG.keys() | changes.keys()})
        return file
    return write


@pytest.fixture
def manager(tmp_path):
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / 'notify'))
        receiver.settimeout(60)
        yield receiver


@pytest.fixture
def worker(configure, manager, tmp_path):
    """A worker that has reported that it is ready."""
    def ready():
        return manager.recv(100) == b'READY=1'

    with process.running([PROGRAM, '--config-file', configure()], answers=ready,
                         log=tmp_path / 'out', cwd=tmp_path, env={
                             **live.private(tmp_path),
                             'NOTIFY_SOCKET': str(tmp_path / 'notify')}) as running:
        yield running


def test_a_worker_ends_with_success_when_it_is_asked_to(worker, manager, tmp_path):
    worker.send_signal(signal.SIGTERM)

    assert worker.wait(30) == 0
    assert manager.recv(100) == b'STOPPING=1'
    log = (tmp_path / 'log').read_text()
    assert 'ready: tasks are run by the executor external' in log
    assert (tmp_path / 'out').read_text() == ''


def test_a_worker_says_at_its_start_why_imports_fail(configure, manager, tmp_path):
    (tmp_path / 'nothing').mkdir()
    config = configure(layers={'step': 'conversion'})

    with process.running([PROGRAM, '--config-file', config],
                         answers=lambda: manager.recv(100) == b'READY=1', log=tmp_path / 'out',
                         cwd=tmp_path, env={
                             **live.private(tmp_path), 'PATH': str(tmp_path / 'nothing'),
                             'NOTIFY_SOCKET': str(tmp_path / 'notify')}):
        log = (tmp_path / 'log').read_text()

    assert ('imports fail on this node: step conversion: There is no program qemu-img and no '
            'setpriv and no prlimit on this node.\n') in log
    assert log.index('imports fail') < log.index('ready: ')


def test_a_reload_starts_the_program_again_in_the_same_process(worker, manager, configure,
                                                               tmp_path):
    configure(layers={'executor': 'threads'})

    worker.send_signal(signal.SIGHUP)

    assert manager.recv(100).startswith(b'RELOADING=1\nMONOTONIC_USEC=')
    assert manager.recv(100) == b'READY=1'
    assert 'tasks are run by the executor threads' in (tmp_path / 'log').read_text()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_reload_of_an_invalid_configuration_changes_nothing(worker, manager, configure,
                                                              tmp_path):
    configure(layers={'executor': 'extrenal'})

    worker.send_signal(signal.SIGHUP)

    assert manager.recv(100).startswith(b'RELOADING=1')
    assert manager.recv(100) == b'READY=1'
    log = (tmp_path / 'log').read_text()
    assert "the configuration was not reloaded: no executor plugin is called 'extrenal'" in log
    assert log.count('ready: ') == 1


def test_the_log_goes_on_in_a_new_file_after_a_rotation(worker, tmp_path):
    (tmp_path / 'log').rename(tmp_path / 'log.1')

    worker.send_signal(signal.SIGUSR1)

    assert process.until((tmp_path / 'log').exists)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert 'stopping' in (tmp_path / 'log').read_text()
    assert 'stopping' not in (tmp_path / 'log.1').read_text()


def test_signals_at_once_end_the_process(worker):
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM):
        os.kill(worker.pid, number)

    assert worker.wait(60) == 0


def test_many_reloads_at_once_leave_a_worker_that_is_ready(worker, manager):
    for _ in range(3):
        os.kill(worker.pid, signal.SIGHUP)

    while manager.recv(100) != b'READY=1':
        pass
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0


@pytest.mark.parametrize(('changes', 'complaint'), [
    pytest.param({'layers': {'executor': 'inline'}},
                 '[layers] executor = inline runs no tasks in worker processes; set it to '
                 'external, threads or celery', id='executor'),
    pytest.param({'layers': {'database': 'memory'}},
                 'database memory: this process would have its own data; a worker needs those '
                 'that all processes share', id='database'),
    pytest.param({'DEFAULT': {'enabled_backends': 'file:memory'}},
                 'store file: this process would have its own data; a worker needs those that '
                 'all processes share', id='store'),
    pytest.param({'database': {'connection': 'sqlite://'}},
                 'database sql: this process would have its own data; a worker needs those that '
                 'all processes share', id='SQLite in memory'),
    pytest.param({'layers': {'sync_database': 'false'}},
                 'the database schema is not up to date; run: glancelite-manage db sync',
                 id='schema'),
])
def test_a_worker_that_cannot_work_says_why_in_one_line(changes, complaint, configure, tmp_path):
    ended = programs.run('worker', ['--config-file', configure(**changes)], tmp_path)

    assert (ended.code, ended.complaint) == (1, complaint)
