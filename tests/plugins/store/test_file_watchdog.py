"""Calls into a directory that does not answer are abandoned in time."""

import os
import threading
import time

import pytest

from glancelite.plugins.store.file import watchdog as watchdog_module
from glancelite.plugins.store.file.mounts import Mount
from glancelite.plugins.store.file.watchdog import DirectoryTimeout, Watchdog

TIMEOUT = 0.3      # seconds per call
SLACK = 5          # seconds that a busy machine may add; the calls hang for longer


@pytest.fixture
def make_watchdog(tmp_path):
    watchdogs = []

    def make(**options):
        watchdogs.append(Watchdog(str(tmp_path), **{'timeout': TIMEOUT, **options}))
        watchdogs[-1].set_real_path(str(tmp_path))
        return watchdogs[-1]

    yield make
    for watchdog in watchdogs:
        watchdog.close()


@pytest.fixture
def stuck():
    """An event; ``wait`` hangs until it is set."""
    event = threading.Event()
    yield event
    event.set()


def seconds(act, *arguments):
    """Return the duration of a call that raises ``DirectoryTimeout``."""
    started = time.monotonic()
    with pytest.raises(DirectoryTimeout):
        act(*arguments)
    return time.monotonic() - started


def fails_immediately(act, *arguments):
    """Whether a call raises ``DirectoryTimeout`` without a wait.

    Only the fastest of several calls counts: a busy machine delays some.
    """
    return min(seconds(act, *arguments) for _ in range(5)) < 0.05


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads():
    return {each for each in threading.enumerate() if each.name.startswith('glancelite-file')}


def test_results_and_errors_are_passed_on(make_watchdog):
    watchdog = make_watchdog()

    for method in (watchdog.call, watchdog.transfer, watchdog.call_with_timeout):
        assert method(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            method(divmod, 7, 0)


def test_a_call_is_abandoned_after_the_timeout(make_watchdog, stuck):
    assert TIMEOUT <= seconds(make_watchdog().call, stuck.wait) < TIMEOUT + SLACK


def test_a_slow_call_does_not_affect_others(make_watchdog, stuck):
    watchdog = make_watchdog()

    seconds(watchdog.call, stuck.wait)

    assert watchdog.call(int) == 0


def test_calls_into_a_hung_directory_fail_immediately(make_watchdog, stuck, silence, tmp_path,
                                                      caplog):
    watchdog = make_watchdog()
    silence.begin(tmp_path)

    first = seconds(watchdog.call, stuck.wait)

    assert first < TIMEOUT + SLACK
    assert fails_immediately(watchdog.call, stuck.wait)
    assert fails_immediately(watchdog.transfer, stuck.wait)
    assert fails_immediately(watchdog.call_with_timeout, stuck.wait)
    assert caplog.text.count('does not answer') == 1


def test_waiting_calls_fail_as_soon_as_the_directory_is_known_to_hang(
        make_watchdog, stuck, silence, tmp_path, monkeypatch):
    monkeypatch.setattr(watchdog_module, 'POLL_INTERVAL', 0.05)
    watchdog = make_watchdog(timeout=2)
    silence.begin(tmp_path)
    waits = []
    late = threading.Thread(target=lambda: waits.append(seconds(watchdog.call, stuck.wait)))
    early = threading.Thread(target=lambda: seconds(watchdog.call, stuck.wait))

    early.start()
    time.sleep(1)
    late.start()
    early.join()
    late.join()

    assert waits[0] < 1.5


def test_a_directory_is_probed_until_it_answers_again(make_watchdog, stuck, silence, tmp_path,
                                                      caplog):
    recovered = threading.Event()
    watchdog = make_watchdog(on_recovery=recovered.set)
    silence.begin(tmp_path)
    seconds(watchdog.call, stuck.wait)

    silence.end()

    assert recovered.wait(5)
    assert watchdog.call(int) == 0
    assert 'answers again' in caplog.text


def test_a_new_mount_in_place_of_a_dead_one_is_noticed(make_watchdog, stuck, silence, tmp_path,
                                                       monkeypatch):
    """Calls into the old mount never return, as after ``umount -l``."""
    monkeypatch.setattr(watchdog_module, 'REMOUNT_CHECK_INTERVAL', 0.05)
    watchdog = make_watchdog()
    silence.begin(tmp_path)
    seconds(watchdog.call, stuck.wait)
    time.sleep(0.1)
    hanging = list(silence.waiting)
    seconds(watchdog.call, int)
    assert silence.waiting == hanging     # a mount has one probe only

    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(99, 'nfs4'))
    silence._root = None    # hanging calls continue to hang
    time.sleep(0.1)
    seconds(watchdog.call, int)

    wait_until(lambda: watchdog._hung_since is None)
    assert watchdog.call(int) == 0


def test_the_number_of_hung_threads_is_limited(make_watchdog, stuck):
    """The directory answers, but this kind of call hangs."""
    before = threads()
    watchdog = make_watchdog(threads=3)

    waits = []
    callers = [threading.Thread(target=lambda: waits.append(seconds(watchdog.call, stuck.wait)))
               for _ in range(9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert max(waits) < TIMEOUT + SLACK
    assert fails_immediately(watchdog.call, int)
    assert len(threads() - before) == 3
    stuck.set()
    wait_until(lambda: watchdog._abandoned == 0)
    assert watchdog.call(int) == 0


def test_calls_do_not_queue_behind_hung_ones(make_watchdog, stuck, silence, tmp_path,
                                             monkeypatch):
    monkeypatch.setattr(watchdog_module, 'STALL_TIME', 0.1)
    monkeypatch.setattr(watchdog_module, 'POLL_INTERVAL', 0.1)
    watchdog = make_watchdog(timeout=4, threads=2)
    silence.begin(tmp_path)
    waiting = [threading.Thread(target=watchdog.call, args=(stuck.wait,)) for _ in range(2)]
    for each in waiting:
        each.start()
    time.sleep(0.2)

    assert seconds(watchdog.call, int) < 1
    assert fails_immediately(watchdog.call, int)
    stuck.set()
    silence.end()
    for each in waiting:
        each.join()


def test_the_result_of_an_abandoned_call_is_reported(make_watchdog, stuck):
    watchdog, results = make_watchdog(), []
    running = []

    for act in (lambda: stuck.wait() and 'result', lambda: stuck.wait() and 1 / 0):
        with pytest.raises(DirectoryTimeout) as failure:
            watchdog.call(act, on_late_result=results.append)
        running.append(failure.value.running)
    stuck.set()

    wait_until(lambda: len(results) == 2)
    assert running == [True, True]
    assert set(results) == {'result', None}


def test_background_calls_run_after_the_recovery(make_watchdog, stuck, silence, tmp_path):
    watchdog, done = make_watchdog(), threading.Event()
    silence.begin(tmp_path)
    seconds(watchdog.call, stuck.wait)

    watchdog.call_in_background(done.set)
    assert not done.wait(0.1)
    silence.end()

    assert done.wait(5)


def test_the_timeout_is_extended_while_the_directory_answers(make_watchdog):
    watchdog = make_watchdog()

    def sleep(duration, timeout_factor):
        return watchdog.transfer(time.sleep, duration, timeout_factor=timeout_factor)

    assert sleep(4 * TIMEOUT, 10) is None
    assert seconds(sleep, 10, 2) < 9


def test_the_timeout_is_not_extended_for_a_hung_directory(make_watchdog, stuck, silence, tmp_path):
    watchdog = make_watchdog()
    silence.begin(tmp_path)

    assert seconds(lambda: watchdog.transfer(stuck.wait, timeout_factor=100)) < TIMEOUT + SLACK


def test_busy_threads_are_reported_once(make_watchdog, stuck, caplog):
    watchdog = make_watchdog(threads=4, warn_percent=75, timeout=5)
    callers = [threading.Thread(target=watchdog.call, args=(stuck.wait,)) for _ in range(4)]

    for caller in callers[:2]:
        caller.start()
    wait_until(lambda: watchdog._pending == 2)
    time.sleep(0.1)
    assert 'are pending' not in caplog.text
    for caller in callers[2:]:
        caller.start()
    wait_until(lambda: watchdog._pending == 4)
    stuck.set()
    for caller in callers:
        caller.join()

    assert caplog.text.count('are pending') == 1


def test_idle_threads_end(make_watchdog, monkeypatch):
    monkeypatch.setattr(watchdog_module, 'IDLE_TIMEOUT', 0.05)
    before = threads()
    watchdog = make_watchdog()

    watchdog.call(int)

    wait_until(lambda: threads() <= before)
    assert watchdog.call(int) == 0


def test_close_ends_the_threads(make_watchdog):
    before = threads()
    watchdog = make_watchdog()
    ready = threading.Barrier(3)
    callers = [threading.Thread(target=watchdog.call, args=(ready.wait,)) for _ in range(2)]
    for caller in callers:
        caller.start()
    ready.wait()

    watchdog.close()

    wait_until(lambda: threads() <= before)
    for caller in callers:
        caller.join()


# --- threads on which calls are made

def is_inline(watchdog, method='call'):
    return getattr(watchdog, method)(threading.get_ident) == threading.get_ident()


@pytest.mark.parametrize(('fs_type', 'timeout', 'call', 'transfer', 'call_with_timeout'), [
    ('ext4', None, True, True, False), ('nfs4', None, False, False, False),
    ('ext4', 5, False, False, False), ('nfs4', 0, True, True, False)])
def test_limited_calls_are_made_on_another_thread(make_watchdog, monkeypatch, fs_type, timeout,
                                                  call, transfer, call_with_timeout):
    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(1, fs_type))

    watchdog = make_watchdog(timeout=timeout)

    methods = ['call', 'transfer', 'call_with_timeout']
    assert [is_inline(watchdog, method) for method in methods] == [
        call, transfer, call_with_timeout]


def test_calls_into_an_unknown_directory_are_limited(tmp_path):
    watchdog = Watchdog(str(tmp_path))

    assert not is_inline(watchdog)
    watchdog.close()


def test_a_later_mount_is_noticed(make_watchdog, monkeypatch):
    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(1, 'ext4'))
    watchdog = make_watchdog(timeout=None)
    assert is_inline(watchdog)

    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(2, 'nfs4'))
    monkeypatch.setattr(watchdog_module, 'monotonic', lambda: time.monotonic() + 100)

    assert not is_inline(watchdog)


def test_a_hung_local_disk_blocks_only_a_few_callers(make_watchdog, stuck, silence, tmp_path,
                                                     monkeypatch):
    monkeypatch.setattr(watchdog_module, 'DEFAULT_TIMEOUT', TIMEOUT)
    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(1, 'ext4'))
    watchdog = make_watchdog(timeout=None)
    silence.begin(tmp_path)
    blocked = [threading.Thread(target=watchdog.call, args=(stuck.wait,), daemon=True)
            for _ in range(watchdog_module.MAX_INLINE_CALLS)]
    for each in blocked:
        each.start()
    wait_until(lambda: len(watchdog._inline_calls) == watchdog_module.MAX_INLINE_CALLS)

    assert seconds(watchdog.call, os.stat, tmp_path) < TIMEOUT + SLACK
    assert fails_immediately(watchdog.call, os.stat, tmp_path)
    stuck.set()
    silence.end()
    wait_until(lambda: watchdog._hung_since is None)
    assert is_inline(watchdog)
