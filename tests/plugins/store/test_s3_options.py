"""The options and URLs of the store ``s3``, without an endpoint."""

import sys

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.store.s3 import S3Store
from glancelite.plugins.store.s3.location import Bucket

VALID = {'host': 'https://s3.example.com', 'bucket': 'images', 'access_key': 'user',
        'secret_key': 'secret'}


@pytest.fixture
def make(make_plugin):
    def make(**options):
        return make_plugin(S3Store, name='s3', **{
            f's3_store_{key}': value for key, value in {**VALID, **options}.items()})
    return make


@pytest.mark.parametrize(('options', 'message'), [
    ({'host': None}, 's3_store_host'), ({'host': ''}, 's3_store_host'),
    ({'host': 'ftp://x'}, 's3_store_host'), ({'host': 'http://'}, 's3_store_host'),
    ({'host': 'http://me:secret@x'}, 's3_store_host'), ({'bucket': None}, 's3_store_bucket'),
    ({'bucket': 'a/b'}, 's3_store_bucket'), ({'access_key': None}, 's3_store_access_key'),
    ({'secret_key': ''}, 's3_store_secret_key'), ({'bucket_url_format': 'x'}, 'virtual'),
    ({'bucket_url_format': 'virtual', 'bucket': 'Not_DNS'}, 's3_store_bucket_url_format'),
    ({'large_object_chunk_size': 4}, 's3_store_large_object_chunk_size'),
    ({'thread_pools': 0}, 's3_store_thread_pools'), ({'cacert': '/nonexistent'}, 'cacert')])
def test_invalid_options_stop_the_start(make, options, message):
    with pytest.raises(contract.Misconfigured, match=message) as raised:
        make(**options)

    assert '\n' not in str(raised.value)
    assert 'secret@' not in str(raised.value)


def test_the_start_does_not_connect(make):
    store = make(host='192.0.2.1', connect_timeout=1000)

    assert store.properties() == {'s3_store_large_object_size': 100 << 20,
                                  's3_store_large_object_chunk_size': 10 << 20,
                                  's3_store_thread_pools': 10}


@pytest.fixture
def configured(tmp_path):
    """A configuration with a store ``cold``."""
    file = tmp_path / 'conf'
    file.write_text('[backend_defaults]\ns3_store_host = http://s3\ns3_store_bucket = b\n'
                    '[cold]\ns3_store_bucket = c\n')
    conf = cfg.ConfigOpts()
    conf([], project='glancelite', default_config_files=[str(file)], default_config_dirs=[])
    return conf


def test_it_reads_its_section_and_the_common_defaults(host, configured):
    store = loader.load(configured, host, 'store', 's3', instance='cold')

    assert store.owns('s3://s3/c/key')
    assert list(store.exclusive_resources()) == ['s3://s3/c']
    store.close()


def test_a_missing_library_stops_the_start(host, configured, monkeypatch):
    monkeypatch.setitem(sys.modules, 'boto3', None)

    with pytest.raises(contract.Misconfigured, match='boto3'):
        loader.load(configured, host, 'store', 's3', instance='cold')


# --- regions

@pytest.mark.parametrize(('host', 'configured', 'region', 'endpoint'), [
    ('s3.example.com', '', '', 'http://s3.example.com'),
    ('https://s3.example.com:8443/', 'de', 'de', 'https://s3.example.com:8443'),
    ('https://s3-eu-west-1.amazonaws.com', '', 'eu-west-1', None),
    ('https://s3.eu-west-1.amazonaws.com', '', 'eu-west-1', None),
    ('https://s3-eu-west-1.amazonaws.com', 'eu-west-1', 'eu-west-1',
     'https://s3-eu-west-1.amazonaws.com'),
    ('https://s3-cn-north-1.amazonaws.com.cn', None, 'cn-north-1', None),
    ('https://s3.amazonaws.com', None, '', 'https://s3.amazonaws.com')])
def test_the_region_is_configured_or_part_of_the_host(host, configured, region, endpoint):
    bucket = Bucket(host, 'images', configured)

    assert (bucket.region, bucket.endpoint) == (region, endpoint)


@pytest.mark.parametrize(('host', 'url'), [
    ('https://s3-eu-west-1.amazonaws.com', 'https://images.s3.eu-west-1.amazonaws.com/'),
    ('s3.us-east-2.amazonaws.com', 'http://images.s3.us-east-2.amazonaws.com/'),
    ('https://s3.amazonaws.com', 'https://s3.amazonaws.com/images')])
def test_the_endpoint_of_amazon_depends_on_the_region(make, host, url):
    seen = []

    class Stop(Exception):
        pass

    def stop(request, **named):
        seen.append(request.url)
        raise Stop
    store = make(host=host)
    store._client._client(False, False, None).meta.events.register('before-send.s3', stop)

    with pytest.raises(Stop):
        store.write('key', iter([b'1']))

    assert seen[0].startswith(url)


# --- URLs

def test_urls_are_those_of_glance():
    assert Bucket('https://S3.example.com:8080/', 'images').url('key') == (
        's3+https://S3.example.com:8080/images/key')
    assert Bucket('s3.example.com/path/', 'images').url('key') == (
        's3://s3.example.com/path/images/key')


@pytest.mark.parametrize('url', [
    's3+https://s3.example.com/images/key', 's3://s3.example.com/images/key',
    's3+http://S3.EXAMPLE.COM:443/images/key', 's3://user:secret@s3.example.com/images/key',
    's3://user:sec/ret+with@signs:@s3.example.com/images/key'])
def test_all_forms_of_a_url_are_recognized(make, url):
    store = make()

    assert store.owns(url)
    assert store.adopt(url) == 's3+https://s3.example.com/images/key'


@pytest.mark.parametrize('url', [
    '', 's3://s3.example.com/images', 's3://s3.example.com/images/', 's3://images/key',
    's3://s3.example.com/images/a/key', 's3://s3.example.com/imagesx/key',
    's3://s3.example.com/xy/images/key', 's3://evil.example.com/images/key',
    's3://s3.example.com:80/images/key', 's3://s3.example.com@evil.example.com/images/key',
    's3://s3.example.com/images/..', 's3://s3.example.com/images/.hidden',
    's3://s3.example.com/images/key?versionId=1', 's3://s3.example.com/images/key#x',
    's3://s3.example.com/images/%2e%2e', 's3://s3.example.com/images/key\n',
    's3://https://s3.example.com/images/key', 'https://s3.example.com/images/key',
    'S3://s3.example.com/images/key', 's3://s3.example.com/../images/key',
    's3://user:secret@s3.example.com\\@evil/images/key'])
def test_other_urls_are_rejected(make, url):
    store = make()

    assert not store.owns(url)
    for method in store.adopt, store.read, store.size, store.delete:
        with pytest.raises(contract.Invalid):
            method(url)


@pytest.mark.parametrize(('text', 'credentials'), [
    ('user:secret@', ('user', 'secret')), ('test:tester:testing@', ('test:tester', 'testing')),
    ('A/K:a/b+c=@', ('A/K', 'a/b+c=')), ('x:p@ss@', ('x', 'p@ss')), ('', None), ('user@', None),
    (':@', None)])
def test_old_urls_have_credentials(text, credentials):
    bucket = Bucket('s3.example.com', 'images')

    assert bucket.parse(f's3://{text}s3.example.com/images/key').credentials == credentials


def test_former_hosts_and_buckets_are_recognized(make):
    store = make(former_hosts=['http://old.example.com:8080/', 'older.example.com'],
                 former_buckets=['glance'])

    for host in 's3.example.com', 'old.example.com:8080', 'older.example.com':
        assert store.adopt(f's3://{host}/images/key') == 's3+https://s3.example.com/images/key'
        assert store.owns(f's3://{host}/glance/key')
        with pytest.raises(contract.Invalid):
            store.adopt(f's3://{host}/glance/key')
    assert not store.owns('s3://old.example.com/images/key')
    assert not store.owns('s3://s3.example.com/other/key')


def test_two_stores_with_one_bucket_name_one_resource(make):
    one, same, other = make(), make(host='https://S3.example.com:443/'), make(bucket='other')

    assert list(one.exclusive_resources()) == list(same.exclusive_resources())
    assert list(one.exclusive_resources()) != list(other.exclusive_resources())
