"""The samples in etc/ are what the code would write today, on any machine."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

from glancelite import contract, loader

ROOT = pathlib.Path(__file__).parents[2]
CONFIGURATION = ROOT / 'etc/glancelite-api.conf.sample'
POLICY = ROOT / 'etc/policy.yaml.sample'
CURE = 'run: make genconfig genpolicy'


def generated(program, *arguments, folder):
    """What one of oslo's generators writes."""
    out = folder / 'sample'
    subprocess.run([pathlib.Path(sys.executable).with_name(program), *arguments,
                    '--output-file', out], check=True, capture_output=True, cwd=ROOT)
    return out.read_text()


def ours(text):
    """Section -> the part of it that is not of a library, whose releases are its own."""
    found = {}
    for section in re.split(r'^\[', text, flags=re.MULTILINE)[1:]:
        name, _, content = section.partition(']')
        parts = re.split(r'^#\n# From (\S+)\n#\n', content, flags=re.MULTILINE)
        for origin, part in zip(parts[1::2], parts[2::2], strict=True):
            if origin == 'glancelite':
                found[name] = part.strip()
    return found


def test_the_sample_configuration_is_current(tmp_path):
    present = ours(CONFIGURATION.read_text())

    now = ours(generated('oslo-config-generator', '--config-file',
                         'etc/oslo-config-generator/glancelite-api.conf', folder=tmp_path))

    for section in others() - present.keys():
        now.pop(section, None)
    assert sorted(present) == sorted(now), CURE
    assert [name for name in now if present[name] != now[name]] == [], CURE


def others():
    """Sections of plugins that other packages have brought into this environment."""
    return {plugin.kind.section(plugin.name) for layer in contract.LAYERS
            for plugin in loader.installed(layer).values()
            if plugin.kind is not None and plugin.package != 'glancelite'}


def test_the_sample_policy_is_current(tmp_path):
    now = generated('oslopolicy-sample-generator', '--namespace', 'glancelite', folder=tmp_path)

    assert POLICY.read_text() == now, CURE


@pytest.mark.parametrize('sample', [CONFIGURATION, POLICY], ids=lambda path: path.name)
def test_no_sample_knows_the_machine_that_wrote_it(sample):
    text = sample.read_text()
    words = set(re.findall(r'[\w./-]+', text))
    places = {str(ROOT), sys.prefix, sys.base_prefix, os.path.expanduser('~')} - {'/', '/usr'}

    told = {word for word in words for place in places
            if word == place or word.startswith(f'{place}/')}

    assert told == set()
    assert not re.search(rf'^#\w+ = {re.escape(socket.gethostname())}$', text, re.MULTILINE)


def test_every_section_of_ours_is_in_the_sample():
    assert {'DEFAULT', 'layers', 'glance_store', 'image_format', 'paste_deploy', 'file'} <= \
        ours(CONFIGURATION.read_text()).keys()
