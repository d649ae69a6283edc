"""systemd accepts the example of a unit, and finds it well confined."""

import pathlib
import re
import subprocess
import sys

import pytest

from tests.contrib import examples
from tests.servers import programs

UNIT = 'systemd/glancelite-api.service'
#: of 100; systemd calls 20 and less "safe"
EXPOSURE = 20


@pytest.fixture
def unit(tmp_path):
    path = tmp_path / 'glancelite-api.service'
    path.write_text(examples.adapted(UNIT, {
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


@pytest.mark.parametrize('line', [
    'Type=notify', 'LogsDirectory=glance', 'RuntimeDirectory=glance', 'UMask=0027',
    'SystemCallFilter=@system-service', 'CapabilityBoundingSet='])
def test_the_unit_sets(line):
    assert line in (examples.CONTRIB / UNIT).read_text().splitlines()


def test_a_database_that_is_starting_does_not_end_the_attempts():
    """Tools ask it once: the fifth failure within ten seconds would be the last."""
    unit = (examples.CONTRIB / UNIT).read_text()

    assert 'ExecStartPre' not in unit
    assert 5 * int(re.search(r'^RestartSec=(\d+)$', unit, re.MULTILINE)[1]) > 10
