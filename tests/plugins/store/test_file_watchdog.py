"""Nobody waits for a directory that does not answer for longer than agreed."""

import os
import threading
import time

import pytest

from glancelite.plugins.store.file import watchdog as guard_module
from glancelite.plugins.store.file.mounts import Mount
from glancelite.plugins.store.file.watchdog import Guard, NoAnswer

SOON = 0.3      # seconds, the deadline of these tests


@pytest.fixture
def make_guard(tmp_path):
    guards = []

    def make(**options):
        guards.append(Guard(str(tmp_path), **{'timeout': SOON, **options}))
        guards[-1].found(str(tmp_path))
        return guards[-1]

    yield make
    for guard in guards:
        guard.close()


@pytest.fixture
def stuck():
    """A call that does not come back before its ``set`` is called."""
    event = threading.Event()
    yield event
    event.set()


def seconds(act, *arguments):
    """How long something took that raised ``NoAnswer``."""
    begun = time.monotonic()
    with pytest.raises(NoAnswer):
        act(*arguments)
    return time.monotonic() - begun


def until(true):
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads():
    return {each for each in threading.enumerate() if each.name.startswith('glancelite-file')}


def test_results_and_errors_come_back(make_guard):
    guard = make_guard()

    for way in (guard.call, guard.move, guard.ask):
        assert way(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            way(divmod, 7, 0)


def test_a_call_takes_no_longer_than_agreed(make_guard, stuck):
    assert SOON <= seconds(make_guard().call, stuck.wait) < SOON + 0.5


def test_a_slow_call_is_no_reason_to_refuse_others(make_guard, stuck):
    guard = make_guard()

    seconds(guard.call, stuck.wait)

    assert guard.call(int) == 0


def test_a_directory_that_answers_no_question_is_left_alone(make_guard, stuck, silence, tmp_path,
                                                            caplog):
    guard = make_guard()
    silence.begin(tmp_path)

    first = seconds(guard.call, stuck.wait)
    others = [seconds(way, stuck.wait) for way in (guard.call, guard.move, guard.ask)]

    assert first < SOON + 0.5
    assert max(others) < 0.05
    assert caplog.text.count('does not answer') == 1


def test_who_waits_already_is_told_as_well(make_guard, stuck, silence, tmp_path, monkeypatch):
    monkeypatch.setattr(guard_module, 'STEP', 0.05)
    guard = make_guard(timeout=2)
    silence.begin(tmp_path)
    waits = []
    late = threading.Thread(target=lambda: waits.append(seconds(guard.call, stuck.wait)))
    early = threading.Thread(target=lambda: seconds(guard.call, stuck.wait))

    early.start()
    time.sleep(1)
    late.start()
    early.join()
    late.join()

    assert waits[0] < 1.5


def test_it_is_asked_until_it_answers_again(make_guard, stuck, silence, tmp_path, caplog):
    returned = threading.Event()
    guard = make_guard(returned=returned.set)
    silence.begin(tmp_path)
    seconds(guard.call, stuck.wait)

    silence.end()

    assert returned.wait(5)
    assert guard.call(int) == 0
    assert 'answers again' in caplog.text


def test_a_mount_that_replaces_a_dead_one_is_noticed(make_guard, stuck, silence, tmp_path,
                                                     monkeypatch):
    """Calls into the old mount never come back, as after ``umount -l``."""
    monkeypatch.setattr(guard_module, 'LOOK_AGAIN', 0.05)
    guard = make_guard()
    silence.begin(tmp_path)
    seconds(guard.call, stuck.wait)
    time.sleep(0.1)
    asked = list(silence.waiting)
    seconds(guard.call, int)
    assert silence.waiting == asked     # the same mount is asked one question only

    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(99, 'nfs4'))
    silence._root = None    # who waits goes on waiting
    time.sleep(0.1)
    seconds(guard.call, int)

    until(lambda: guard._hung is None)
    assert guard.call(int) == 0


def test_no_more_threads_get_stuck_than_agreed(make_guard, stuck):
    """The directory answers, but not to this kind of call."""
    before = threads()
    guard = make_guard(threads=3)

    waits = []
    callers = [threading.Thread(target=lambda: waits.append(seconds(guard.call, stuck.wait)))
               for _ in range(9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert max(waits) < SOON + 0.5
    assert seconds(guard.call, int) < 0.05
    assert len(threads() - before) == 3
    stuck.set()
    until(lambda: guard._stuck == 0)
    assert guard.call(int) == 0


def test_nobody_queues_behind_calls_into_a_silent_directory(make_guard, stuck, silence, tmp_path,
                                                            monkeypatch):
    monkeypatch.setattr(guard_module, 'STALLED', 0.1)
    monkeypatch.setattr(guard_module, 'STEP', 0.1)
    guard = make_guard(timeout=4, threads=2)
    silence.begin(tmp_path)
    waiting = [threading.Thread(target=guard.call, args=(stuck.wait,)) for _ in range(2)]
    for each in waiting:
        each.start()
    time.sleep(0.2)

    assert seconds(guard.call, int) < 1
    assert seconds(guard.call, int) < 0.05
    stuck.set()
    silence.end()
    for each in waiting:
        each.join()


def test_what_an_abandoned_call_brings_is_given_back(make_guard, stuck):
    guard, brought = make_guard(), []
    running = []

    for act in (lambda: stuck.wait() and 'result', lambda: stuck.wait() and 1 / 0):
        with pytest.raises(NoAnswer) as failure:
            guard.call(act, late=brought.append)
        running.append(failure.value.running)
    stuck.set()

    until(lambda: len(brought) == 2)
    assert running == [True, True]
    assert set(brought) == {'result', None}


def test_what_can_wait_is_done_when_the_directory_answers(make_guard, stuck, silence, tmp_path):
    guard, done = make_guard(), threading.Event()
    silence.begin(tmp_path)
    seconds(guard.call, stuck.wait)

    guard.background(done.set)
    assert not done.wait(0.1)
    silence.end()

    assert done.wait(5)


def test_the_disk_is_given_time_while_the_directory_answers(make_guard):
    guard = make_guard()

    assert guard.move(lambda: time.sleep(4 * SOON) or 'done', patience=10) == 'done'
    assert seconds(lambda: guard.move(time.sleep, 4 * SOON, patience=2)) < 3 * SOON


def test_patience_ends_when_the_directory_does_not_answer(make_guard, stuck, silence, tmp_path):
    guard = make_guard()
    silence.begin(tmp_path)

    assert seconds(lambda: guard.move(stuck.wait, patience=100)) < SOON + 0.5


def test_busy_threads_are_worth_one_warning(make_guard, stuck, caplog):
    guard = make_guard(threads=4, busy=75, timeout=5)
    callers = [threading.Thread(target=guard.call, args=(stuck.wait,)) for _ in range(4)]

    for caller in callers[:2]:
        caller.start()
    until(lambda: guard._load == 2)
    time.sleep(0.1)
    assert 'under way' not in caplog.text
    for caller in callers[2:]:
        caller.start()
    until(lambda: guard._load == 4)
    stuck.set()
    for caller in callers:
        caller.join()

    assert caplog.text.count('under way') == 1


def test_its_threads_end_when_they_are_not_used(make_guard, monkeypatch):
    monkeypatch.setattr(guard_module, 'IDLE', 0.05)
    before = threads()
    guard = make_guard()

    guard.call(int)

    until(lambda: threads() <= before)
    assert guard.call(int) == 0


def test_its_threads_end_with_it(make_guard):
    before = threads()
    guard = make_guard()
    ready = threading.Barrier(3)
    callers = [threading.Thread(target=guard.call, args=(ready.wait,)) for _ in range(2)]
    for caller in callers:
        caller.start()
    ready.wait()

    guard.close()

    until(lambda: threads() <= before)
    for caller in callers:
        caller.join()


# --- where calls are made

def here(guard, way='call'):
    return getattr(guard, way)(threading.get_ident) == threading.get_ident()


@pytest.mark.parametrize(('kind', 'timeout', 'call', 'move', 'ask'), [
    ('ext4', None, True, True, False), ('nfs4', None, False, False, False),
    ('ext4', 5, False, False, False), ('nfs4', 0, True, True, False)])
def test_a_call_changes_the_thread_where_it_must(make_guard, monkeypatch, kind, timeout, call,
                                                 move, ask):
    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(1, kind))

    guard = make_guard(timeout=timeout)

    assert [here(guard, way) for way in ('call', 'move', 'ask')] == [call, move, ask]


def test_a_directory_that_was_never_seen_is_not_relied_on(tmp_path):
    guard = Guard(str(tmp_path))

    assert not here(guard)
    guard.close()


def test_what_is_mounted_later_is_noticed(make_guard, monkeypatch):
    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(1, 'ext4'))
    guard = make_guard(timeout=None)
    assert here(guard)

    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(2, 'nfs4'))
    monkeypatch.setattr(guard_module, 'monotonic', lambda: time.monotonic() + 100)

    assert not here(guard)


def test_few_callers_are_lost_to_a_local_disk_that_hangs(make_guard, stuck, silence, tmp_path,
                                                         monkeypatch):
    monkeypatch.setattr(guard_module, 'DEADLINE', SOON)
    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(1, 'ext4'))
    guard = make_guard(timeout=None)
    silence.begin(tmp_path)
    lost = [threading.Thread(target=guard.call, args=(stuck.wait,), daemon=True)
            for _ in range(guard_module.INLINE)]
    for each in lost:
        each.start()
    until(lambda: len(guard._under_way) == guard_module.INLINE)

    assert seconds(guard.call, os.stat, tmp_path) < SOON + 0.5
    assert seconds(guard.call, os.stat, tmp_path) < 0.05
    stuck.set()
    silence.end()
    until(lambda: guard._hung is None)
    assert here(guard)
