"""Programs of steps run with limits, and end with the work that needs them."""

import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from glancelite import contract
from glancelite.plugins.step import program

GIB = 1 << 30
LIMITS = program.Limits(GIB, 60)
PYTHON = sys.executable


def nothing():
    """Watch nothing."""


def is_running(pid):
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(') ', 1)[1][0] != 'Z'
    except OSError:
        return False


def wait_for_end(pid, seconds=30):
    end = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_running(pid)


def test_both_outputs_and_the_status_are_returned():
    seen = []

    ended = program.run(['sh', '-c', 'echo out; echo err >&2; exit 3'], LIMITS, nothing,
                        seen.append)

    assert ended == program.Ended(3, b'out\n', 'err\n')
    assert b''.join(seen) == b'out\n'


def test_much_output_neither_blocks_nor_fills_the_memory():
    ended = program.run(['sh', '-c', 'head -c 20000000 /dev/zero; head -c 3000000 /dev/zero >&2'],
                        LIMITS, nothing)

    assert ended.status == 0
    assert len(ended.out) == len(ended.err) == program.KEPT


def test_a_program_ends_when_its_work_does():
    pids = []

    def watch():
        if pids:
            raise contract.Gone('The image was deleted.')

    with pytest.raises(contract.Gone):
        program.run(['sh', '-c', 'echo $$; exec sleep 1000'], LIMITS, watch,
                    lambda data: pids.append(int(data)))

    assert not is_running(pids[0])


def test_a_program_that_closes_its_output_is_still_watched():
    calls = []

    def watch():
        calls.append(1)
        if len(calls) > 1:
            raise contract.Gone('The image was deleted.')

    with pytest.raises(contract.Gone):
        program.run(['sh', '-c', 'exec sleep 1000 >&- 2>&-'], LIMITS, watch)


def test_a_program_ends_with_a_service_that_is_killed():
    code = ('from glancelite.plugins.step import program\n'
            'program.run(["sh", "-c", "echo $$; exec sleep 1000"], program.Limits(1 << 30, 60),\n'
            '            lambda: None, lambda data: print(data.decode(), flush=True))\n')
    with subprocess.Popen([PYTHON, '-c', code], stdout=subprocess.PIPE) as service:
        pid = int(service.stdout.readline())
        assert is_running(pid)
        service.kill()

    assert wait_for_end(pid)


@pytest.mark.parametrize(('command', 'limits', 'number'), [
    (['sh', '-c', 'while :; do :; done'], program.Limits(GIB, 1), signal.SIGXCPU),
    (['dd', 'if=/dev/zero', 'of=$file', 'bs=5000', 'count=1'], program.Limits(GIB, 60, 1000),
     signal.SIGXFSZ)], ids=['CPU time', 'size of a file'])
def test_a_limit_ends_a_program(tmp_path, command, limits, number):
    file = tmp_path / 'file'

    ended = program.run([word.replace('$file', str(file)) for word in command], limits, nothing)

    assert ended.signal == number
    assert not file.exists() or file.stat().st_size <= 1000


def test_the_memory_of_a_program_is_limited():
    command = [PYTHON, '-c', 'import mmap; mmap.mmap(-1, 2 << 30)']

    assert 'Cannot allocate memory' in program.run(command, LIMITS, nothing).err
    assert program.run(command, program.Limits(4 * GIB, 60), nothing).err == ''


def test_a_program_gets_no_secrets_and_no_input(monkeypatch):
    monkeypatch.setenv('OS_PASSWORD', 'secret')

    ended = program.run(['sh', '-c', 'cat; env'], LIMITS, nothing)

    assert b'secret' not in ended.out
    assert b'LC_ALL=C' in ended.out


def test_a_missing_program_may_be_on_another_node():
    with pytest.raises(contract.Unavailable, match='no program no-such-program on this node'):
        program.run(['no-such-program'], LIMITS, nothing)


def test_a_program_that_is_not_allowed_to_start_is_no_fault_of_the_data():
    """As where a filter of system calls does not let setpriv and prlimit work."""
    with pytest.raises(contract.Unavailable,
                       match='true cannot be started on this node: prlimit: '):
        program.run(['true'], program.Limits(GIB, 60, 1 << 70), nothing)


def test_programs_run_in_many_threads():
    found = {}

    def run(number):
        found[number] = program.run(['echo', str(number)], LIMITS, nothing).out

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {number: b'%d\n' % number for number in range(8)}
