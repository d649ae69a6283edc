"""Lists of plugins: in full, or as changes of the default."""

import pytest

from glancelite import config, contract
from glancelite.assembly import lists


@pytest.fixture
def conf(tmp_path):
    """``conf(text)`` reads a configuration."""
    def read(text):
        path = tmp_path / 'glancelite-api.conf'
        path.write_text(text)
        return config.load(['--config-file', str(path)])
    return read


@pytest.mark.parametrize(('section', 'name', 'text', 'plugins'), [
    ('layers', 'middleware', '+acme, -cors',
     ['healthcheck', 'proxy_headers', 'request_id', 'acme']),
    ('layers', 'middleware', 'acme, cors', ['acme', 'cors']),
    ('layers', 'middleware', '', []),
    ('layers', 'policy', '+ acme', ['ownership', 'oslo', 'acme']),
    ('layers', 'quota', '-limits', []),
    ('layers', 'notifier', '+log', ['log']),
    ('layers', 'inspector', '-format,+acme', ['signature', 'acme']),
    ('pipeline', 'extra', '+acme', ['acme'])])
def test_a_list_is_complete_or_changes_the_default(conf, section, name, text, plugins):
    assert lists.chosen(conf(f'[{section}]\n{name} = {text}\n'), section, name) == plugins


@pytest.mark.parametrize(('text', 'sentence'), [
    ('acme, +cors', '[layers] middleware = acme, +cors mixes names with changes of the default '
                    'list; write all names, or + or - before each of them'),
    ('-acme', '[layers] middleware: -acme: the default list has no acme; it is: healthcheck, '
              'cors, proxy_headers, request_id'),
    ('-request_id', '[layers] middleware: -request_id: it is always there'),
    ('- request_id, +acme', '[layers] middleware: -request_id: it is always there'),
    ('+cors', '[layers] middleware names cors more than once'),
    ('acme, acme', '[layers] middleware names acme more than once')])
def test_a_list_that_contradicts_itself_is_refused(conf, text, sentence):
    with pytest.raises(contract.Misconfigured) as raised:
        lists.middleware(conf(f'[layers]\nmiddleware = {text}\n'))

    assert str(raised.value) == sentence


@pytest.mark.parametrize(('text', 'plugins'), [
    ('', ['request_id']), ('cors', ['cors', 'request_id']),
    ('+acme', ['healthcheck', 'cors', 'proxy_headers', 'request_id', 'acme']),
    ('request_id, cors', ['request_id', 'cors'])])
def test_no_list_loses_the_request_id(conf, text, plugins):
    assert lists.middleware(conf(f'[layers]\nmiddleware = {text}\n')) == plugins


@pytest.mark.parametrize('name', ['policy', 'quota', 'notifier', 'inspector', 'middleware'])
def test_every_list_of_the_layers_names_a_plugin_once(conf, name):
    with pytest.raises(contract.Misconfigured, match=f'{name} names x more than once'):
        lists.chosen(conf(f'[layers]\n{name} = x, x\n'), 'layers', name)
