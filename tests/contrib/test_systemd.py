"""systemd accepts the examples of units, and finds them well confined."""

import pathlib
import re
import subprocess
import sys

import pytest

from tests.contrib import examples
from tests.servers import programs

UNITS = 'systemd/glancelite-api.service', 'systemd/glancelite-worker.service'
#: of 100; systemd calls 20 and less "safe"
EXPOSURE = 20


@pytest.fixture(params=UNITS)
def unit(request, tmp_path):
    path = tmp_path / pathlib.Path(request.param).name
    path.write_text(examples.adapted(request.param, {
        '/opt/glancelite/bin/glancelite': pathlib.Path(sys.executable).with_name('glancelite')}))
    return path


def analyze(*arguments):
    return subprocess.run([programs.require('systemd-analyze'), *arguments],
                          capture_output=True, text=True, check=False)


def test_systemd_has_no_objection(unit):
    done = analyze('verify', '--man=no', unit)

    assert (done.returncode, done.stderr) == (0, '')


def test_the_service_is_confined(unit):
    done = analyze('security', '--offline=true', f'--threshold={EXPOSURE}', unit)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize('name', UNITS)
@pytest.mark.parametrize('line', [
    'Type=notify', 'LogsDirectory=glance', 'RuntimeDirectory=glance', 'UMask=0027',
    'SystemCallFilter=@system-service', 'CapabilityBoundingSet='])
def test_the_unit_sets(name, line):
    assert line in (examples.CONTRIB / name).read_text().splitlines()


@pytest.mark.parametrize('name', UNITS)
def test_a_database_that_is_starting_does_not_end_the_attempts(name):
    """Tools ask it once: the fifth failure within ten seconds would be the last."""
    unit = (examples.CONTRIB / name).read_text()

    assert 'ExecStartPre' not in unit
    assert 5 * int(re.search(r'^RestartSec=(\d+)$', unit, re.MULTILINE)[1]) > 10


@pytest.mark.parametrize('name', UNITS)
def test_programs_of_steps_may_set_their_limits(name):
    """``setpriv`` calls capset, which is privileged, and ``prlimit`` prlimit64."""
    allowed = set()
    for line in re.findall(r'^SystemCallFilter=(.*)$', (examples.CONTRIB / name).read_text(),
                           re.MULTILINE):
        calls = set().union(*map(system_calls, line.removeprefix('~').split()))
        allowed = allowed - calls if line.startswith('~') else allowed | calls

    assert allowed >= {'capset', 'prctl', 'prlimit64', 'setsid', 'clone3', 'vfork', 'kill'}
    assert not allowed & {'chroot', 'mount', 'reboot', 'setuid'}


def system_calls(group):
    """The calls in a group such as ``@process``, and in the groups that are in it."""
    if not group.startswith('@'):
        return {group}
    lines = analyze('syscall-filter', group).stdout.splitlines()[1:]
    return set().union(*(system_calls(line.strip()) for line in lines
                         if not line.strip().startswith('#')))
