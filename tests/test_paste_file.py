"""Paste files of an existing Glance: accepted if all their filters have counterparts."""

import pytest

from glancelite import config, contract
from glancelite.assembly import auth_name

FILTERS = {
    'healthcheck': 'oslo_middleware:Healthcheck.factory',
    'versionnegotiation': 'glance.api.middleware.version_negotiation:'
                          'VersionNegotiationFilter.factory',
    'cache': 'glance.api.middleware.cache:CacheFilter.factory',
    'cachemanage': 'glance.api.middleware.cache_manage:CacheManageFilter.factory',
    'context': 'glance.api.middleware.context:ContextMiddleware.factory',
    'anonymous': 'glance.api.middleware.context:UnauthenticatedContextMiddleware.factory',
    'authtoken': 'keystonemiddleware.auth_token:filter_factory',
    'gzip': 'glance.api.middleware.gzip:GzipMiddleware.factory',
    'osprofiler': 'osprofiler.web:WsgiMiddleware.factory',
    'cors': 'oslo_middleware.cors:filter_factory',
    'proxy': 'oslo_middleware:HTTPProxyToWSGI.factory',
    'basic': 'oslo_middleware:BasicAuthMiddleware.factory',
    'acme': 'acme.billing:factory',
}
APPS = """
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
"""
#: as the file that Glance 33 brings
STOCK = {
    'glance-api': 'cors healthcheck proxy versionnegotiation osprofiler anonymous rootapp',
    'glance-api-caching': 'cors healthcheck proxy versionnegotiation osprofiler anonymous cache '
                          'rootapp',
    'glance-api-keystone': 'cors healthcheck proxy versionnegotiation osprofiler authtoken '
                           'context  rootapp',
    'glance-api-keystone+cachemanagement': 'cors healthcheck proxy versionnegotiation osprofiler '
                                           'authtoken context cache cachemanage rootapp',
}


@pytest.fixture
def load(tmp_path):
    """``load(pipelines, flavor)`` reads a configuration with a paste file."""
    def read(pipelines, flavor=None, *, name='acme.ini', given=True, more=''):
        paste = tmp_path / name
        paste.write_text('\n'.join([
            *(f'[pipeline:{each}]\npipeline = {filters}' for each, filters in pipelines.items()),
            *(f'[filter:{each}]\npaste.filter_factory = {factory}'
              for each, factory in FILTERS.items()), APPS]))
        file = tmp_path / 'glance-api.conf'
        file.write_text('[paste_deploy]\n'
                        + (f'config_file = {paste}\n' if given else '')
                        + (f'flavor = {flavor}\n' if flavor else '') + more)
        return config.load(['--config-file', str(file)])
    return read


@pytest.mark.parametrize('flavor', [None, 'caching', 'keystone', 'keystone+cachemanagement'])
def test_the_stock_file_is_accepted_with_one_line(load, tmp_path, flavor):
    assert config.notices(load(STOCK, flavor)) == [
        f'{tmp_path}/acme.ini is not read any more: all its filters have a counterpart here']


def test_the_order_of_the_filters_does_not_matter(load):
    assert config.notices(load({'glance-api-keystone': 'context authtoken cors rootapp'},
                               'keystone'))


@pytest.mark.parametrize(('name', 'given'), [('acme.ini', True), ('glance-api-paste.ini', False)])
@pytest.mark.parametrize('filter_', ['acme', 'gzip', 'nowhere'])
def test_a_filter_without_a_counterpart_stops_the_start_by_its_name(
        load, tmp_path, filter_, name, given):
    with pytest.raises(contract.Misconfigured) as raised:
        load({'glance-api-keystone': f'cors {filter_} authtoken rootapp'}, 'keystone', name=name,
             given=given)

    factory = FILTERS.get(filter_, 'without a factory')
    assert str(raised.value).startswith(
        f'{tmp_path}/{name}: the filter {filter_} ({factory}) has no counterpart here; ')


def test_a_filter_of_another_flavor_does_not_matter(load):
    assert config.notices(load({**STOCK, 'glance-api-caching': 'acme rootapp'}, 'keystone'))


def test_every_pipeline_counts_if_none_has_the_name_of_the_flavor(load):
    with pytest.raises(contract.Misconfigured, match='the filter acme '):
        load({'ours': 'cors acme rootapp'}, 'keystone')


def test_a_filter_behind_a_composite_is_found(load):
    with pytest.raises(contract.Misconfigured, match='the filter acme '):
        load({'glance-api': 'cors rootapp', 'apiv2app': 'acme apiversions'})


@pytest.mark.parametrize(('flavor', 'filter_', 'auth'), [
    ('caching', 'authtoken', 'keystone'), (None, 'basic', 'http_basic')])
def test_authentication_of_a_pipeline_is_not_lost(load, flavor, filter_, auth):
    name = f'glance-api-{flavor}' if flavor else 'glance-api'
    pipelines = {name: f'cors {filter_} context rootapp'}

    with pytest.raises(contract.Misconfigured,
                       match=rf'authenticates callers; set \[layers\] auth = {auth}$'):
        load(pipelines, flavor)

    assert config.notices(load(pipelines, flavor, more=f'[layers]\nauth = {auth}\n'))


@pytest.mark.parametrize(('filters', 'auth'), [
    ('cors authtoken context rootapp', 'keystone'), ('cors basic context rootapp', 'http_basic'),
    ('cors anonymous rootapp', 'noauth')])
def test_a_flavor_of_ones_own_is_resolved_from_the_file(load, filters, auth):
    conf = load({**STOCK, 'glance-api-ours': filters}, 'ours')

    assert auth_name(conf) == auth
    assert config.notices(conf)


def test_a_flavor_with_two_ways_of_authentication_needs_a_choice(load):
    with pytest.raises(contract.Misconfigured, match=r'auth = http_basic or keystone$'):
        load({**STOCK, 'glance-api-ours': 'authtoken basic context rootapp'}, 'ours')


def test_a_flavor_of_ones_own_with_an_unknown_filter_is_refused_by_its_name(load):
    with pytest.raises(contract.Misconfigured, match='the filter acme '):
        load({**STOCK, 'glance-api-ours': 'cors acme authtoken rootapp'}, 'ours')


def test_a_flavor_that_is_not_in_the_file_is_refused_by_its_name(load, tmp_path):
    with pytest.raises(contract.Misconfigured) as raised:
        load(STOCK, 'keystone+cache')

    assert str(raised.value) == (
        '[paste_deploy] flavor = keystone+cache is unknown: it is none of keystone, caching, '
        'cachemanagement, keystone+caching, keystone+cachemanagement, and '
        f'{tmp_path}/acme.ini has no pipeline glance-api-keystone+cache')


@pytest.mark.parametrize(('text', 'reason'), [
    ('password = secret\n', 'line 1 is not in a section'),
    ('[filter:cors]\nsecret\n', 'line 2 is not "name = value"')])
def test_a_file_that_cannot_be_parsed_is_named_and_not_quoted(tmp_path, load, text, reason):
    load(STOCK)
    (tmp_path / 'glance-api-paste.ini').write_text(text)
    (tmp_path / 'glance-api.conf').write_text('')

    with pytest.raises(contract.Misconfigured) as raised:
        config.load(['--config-file', str(tmp_path / 'glance-api.conf')])

    assert str(raised.value) == f'{tmp_path}/glance-api-paste.ini cannot be read: {reason}'


def test_options_that_only_the_file_sets_are_named(load, tmp_path):
    load(STOCK)
    file = tmp_path / 'glance-api.conf'
    file.write_text(f'[paste_deploy]\nconfig_file = {tmp_path}/acme.ini\nflavor = keystone\n')
    text = (tmp_path / 'acme.ini').read_text()
    for name, options in {
            'healthcheck': 'backends = disable_by_file\ndisable_by_file_path = /srv/off\n',
            'cors': 'oslo_config_project = glance\nallowed_origin = https://a\n',
            'authtoken': 'delay_auth_decision = True\npassword = secret\n'}.items():
        text = text.replace(f'[filter:{name}]\n', f'[filter:{name}]\n{options}')
    (tmp_path / 'acme.ini').write_text(f'[DEFAULT]\nanything = 1\n{text}')

    assert config.notices(config.load(['--config-file', str(file)])) == [
        f'{tmp_path}/acme.ini is not read any more: all its filters have a counterpart here; set '
        'their options in the configuration: [filter:cors] allowed_origin, [filter:healthcheck] '
        'disable_by_file_path, [filter:authtoken] password']


def test_filters_may_be_named_by_their_package(load, tmp_path):
    load(STOCK)
    paste = tmp_path / 'glance-api-paste.ini'
    paste.write_text('[pipeline:glance-api]\npipeline = cors auth rootapp\n'
                     '[filter:cors]\nuse = egg:oslo.middleware#cors\n'
                     '[filter:auth]\nuse = egg:keystonemiddleware#auth_token\n' + APPS)
    (tmp_path / 'glance-api.conf').write_text('')

    assert config.notices(config.load(['--config-file', str(tmp_path / 'glance-api.conf')]))


def test_a_filter_around_an_application_is_found(load, tmp_path):
    load(STOCK)
    paste = tmp_path / 'glance-api-paste.ini'
    paste.write_text(f'{(tmp_path / "acme.ini").read_text()}filter-with = acme\n')
    (tmp_path / 'glance-api.conf').write_text('')

    with pytest.raises(contract.Misconfigured, match='the filter acme '):
        config.load(['--config-file', str(tmp_path / 'glance-api.conf')])


def test_without_a_paste_file_there_is_nothing_to_say(tmp_path):
    file = tmp_path / 'glance-api.conf'
    file.write_text('')

    assert config.notices(config.load(['--config-file', str(file)])) == []
