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


@pytest.mark.parametrize(('text', 'plugins'), [
    ('', []),
    ('[image_import_opts]\nimage_import_plugins = []\n', []),
    ('[image_import_opts]\nimage_import_plugins = [no_op]\n', []),
    ('[image_import_opts]\nimage_import_plugins = image_conversion\n', ['conversion']),
    ('[image_import_opts]\nimage_import_plugins = [image_decompression, no_op, '
     'image_conversion,inject_image_metadata]\n',
     ['decompression', 'conversion', 'inject_metadata']),
    ("[image_import_opts]\nimage_import_plugins = ['inject_image_metadata', 'image_conversion']\n",
     ['inject_metadata', 'conversion']),
    ('[layers]\nstep = acme, conversion\n', ['acme', 'conversion']),
    ('[layers]\nstep = +decompression\n', ['decompression']),
    ('[layers]\nstep = acme\n[image_import_opts]\nimage_import_plugins = [image_conversion]\n',
     ['acme']),
    ('[layers]\nstep =\n[image_import_opts]\nimage_import_plugins = [image_conversion]\n', [])])
def test_steps_are_those_of_glance_unless_the_layer_has_a_list(conf, text, plugins):
    assert lists.steps(conf(text)) == plugins


@pytest.mark.parametrize(('text', 'sentence'), [
    ('[image_import_opts]\nimage_import_plugins = [image_conversion, acme]\n',
     '[image_import_opts] image_import_plugins: acme: there are: image_conversion, '
     'image_decompression, inject_image_metadata, no_op; name steps of other packages in '
     '[layers] step'),
    ('[image_import_opts]\nimage_import_plugins = [image_conversion, image_conversion]\n',
     '[image_import_opts] image_import_plugins = image_conversion, image_conversion names a step '
     'more than once'),
    ('[layers]\nstep = -acme\n', '[layers] step: -acme: the default list has no acme; it is: '
                                 'empty')])
def test_steps_that_are_unknown_or_named_twice_are_refused(conf, text, sentence):
    with pytest.raises(contract.Misconfigured) as raised:
        lists.steps(conf(text))

    assert str(raised.value) == sentence
