"""The samples in etc/ are current, and do not depend on the machine."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest
from oslo_config import cfg

from glancelite import contract, loader

ROOT = pathlib.Path(__file__).parents[2]
CONFIGURATION = ROOT / 'etc/glancelite-api.conf.sample'
POLICY = ROOT / 'etc/policy.yaml.sample'
COMMAND = 'run: make genconfig genpolicy'


def generated(program, *arguments, folder):
    """Return the output of one of oslo's generators."""
    out = folder / 'sample'
    subprocess.run([pathlib.Path(sys.executable).with_name(program), *arguments,
                    '--output-file', out], check=True, capture_output=True, cwd=ROOT)
    return out.read_text()


def ours(text):
    """Return section -> its options of glancelite, without those of libraries."""
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
    assert sorted(present) == sorted(now), COMMAND
    assert [name for name in now if present[name] != now[name]] == [], COMMAND


def others():
    """Return the sections of plugins of other packages in this environment."""
    return {plugin.kind.section(plugin.name) for layer in contract.LAYERS
            for plugin in loader.installed(layer).values()
            if plugin.kind is not None and plugin.package != 'glancelite'}


def test_the_sample_policy_is_current(tmp_path):
    now = generated('oslopolicy-sample-generator', '--namespace', 'glancelite', folder=tmp_path)

    assert POLICY.read_text() == now, COMMAND


@pytest.mark.parametrize('sample', [CONFIGURATION, POLICY], ids=lambda path: path.name)
def test_no_sample_contains_paths_or_names_of_a_machine(sample):
    text = sample.read_text()
    words = set(re.findall(r'[\w./-]+', text))
    paths = {str(ROOT), sys.prefix, sys.base_prefix, os.path.expanduser('~')} - {'/', '/usr'}

    shown = {word for word in words for path in paths
            if word == path or word.startswith(f'{path}/')}

    assert shown == set()
    assert not re.search(rf'^#\w+ = {re.escape(socket.gethostname())}$', text, re.MULTILINE)


def test_every_section_of_glancelite_is_in_the_sample():
    assert {'DEFAULT', 'layers', 'glance_store', 'image_format', 'paste_deploy', 'file'} <= \
        ours(CONFIGURATION.read_text()).keys()


@pytest.mark.parametrize(('section', 'layer', 'plugin'), [
    ('cors', 'middleware', 'cors'), ('healthcheck', 'middleware', 'healthcheck'),
    ('oslo_middleware', 'auth', 'http_basic')])
def test_the_sample_has_the_defaults_that_apply_here_for_options_of_libraries(
        section, layer, plugin):
    conf = cfg.ConfigOpts()
    for register in loader.find(layer, plugin).kind.LIBRARY_OPTS:
        register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    shown = CONFIGURATION.read_text().partition(f'\n[{section}]\n')[2].partition('\n[')[0]

    for name, value in conf[section].items():
        value = ','.join(value) if isinstance(value, list) else value
        if value:
            assert re.search(rf'^#{name} = {re.escape(str(value))}$', shown,
                             re.MULTILINE | re.IGNORECASE), name


def test_the_sample_describes_the_lines_of_the_user_file():
    text = CONFIGURATION.read_text().replace('\n# ', ' ')

    assert 'user:hash:project:role,role' in text
