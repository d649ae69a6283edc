"""The starters start real servers, and isolate the tests from each other."""

import contextlib
import json
import pathlib
import subprocess
import sys
import types
import urllib.request

import pytest
import sqlalchemy as sa

from tests.servers import live, process, programs


@contextlib.contextmanager
def _engine(url):
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def _fill(url):
    with _engine(url) as engine, engine.begin() as connection:
        connection.execute(sa.text('CREATE TABLE things (name VARCHAR(20))'))
        connection.execute(sa.text("INSERT INTO things VALUES ('one')"))


def _tables(url):
    with _engine(url) as engine:
        return sa.inspect(engine).get_table_names()


@pytest.mark.parametrize('round', ['first', 'second'])
def test_postgres_gives_every_test_an_empty_database(fresh_postgres, round):
    before = _tables(fresh_postgres)

    _fill(fresh_postgres)

    assert before == []
    assert _tables(fresh_postgres) == ['things']


@pytest.mark.parametrize('round', ['first', 'second'])
def test_mariadb_gives_every_test_an_empty_database(fresh_mariadb, round):
    before = _tables(fresh_mariadb)

    _fill(fresh_mariadb)

    assert before == []
    assert _tables(fresh_mariadb) == ['things']


def test_a_mariadb_database_is_dropped_despite_an_open_transaction(mariadb_server):
    url = mariadb_server.create()
    _fill(url)

    with _engine(url) as engine:
        forgotten = engine.connect()
        forgotten.execute(sa.text('SELECT * FROM things'))
        mariadb_server.drop(url)
        forgotten.invalidate()
        forgotten.close()

    with pytest.raises(sa.exc.OperationalError, match='Unknown database'):
        _tables(url)


def test_keystone_returns_user_project_and_roles_of_a_token(keystone):
    token = keystone.token('alpha-member')

    data = _token(keystone, token)

    assert data['project']['id'] == keystone.projects['alpha']
    assert data['user']['id'] == keystone.users['alpha-member']
    assert {'member', 'reader'} == {role['name'] for role in data['roles']}


def test_the_image_service_may_validate_a_token(keystone):
    token = keystone.token('beta-reader')

    data = _token(keystone, token, caller=keystone.token('glance'))

    assert data['project']['id'] == keystone.projects['beta']


def test_the_catalogue_names_the_servers_that_run(keystone):
    keystone.set_image_url('http://127.0.0.1:1')

    catalogue = {service['type']: {entry['url'] for entry in service['endpoints']}
                 for service in _token(keystone, keystone.token('admin'))['catalog']}

    assert catalogue['identity'] == {keystone.url}
    assert catalogue['image'] == {'http://127.0.0.1:1'}


def test_openstack_clients_are_configured_by_the_environment(keystone):
    command = pathlib.Path(sys.executable).with_name('openstack')

    done = subprocess.run([command, 'token', 'issue', '-f', 'value', '-c', 'project_id'],
                          env=keystone.environment('beta-manager'), capture_output=True,
                          text=True, check=True)

    assert done.stdout.strip() == keystone.projects['beta']


def test_swift_keeps_objects_and_can_expire_tokens(swift):
    url, token = swift.token()
    swift.request('PUT', f'{url}/box', token)
    swift.request('PUT', f'{url}/box/thing', token, body=b'12345')

    kept = swift.request('GET', f'{url}/box/thing', token).body
    swift.forget_tokens()
    rejected = swift.request('GET', f'{url}/box/thing', token).status

    url, token = swift.token()
    assert (kept, rejected) == (b'12345', 401)
    assert 'box/thing' in swift.objects(url, token)
    swift.request('DELETE', f'{url}/box/thing', token)
    swift.request('DELETE', f'{url}/box', token)


def test_swift_speaks_s3(swift):
    import boto3
    s3 = boto3.client('s3', endpoint_url=swift.url, region_name='us-east-1',
                      aws_access_key_id='test:tester', aws_secret_access_key='testing')

    s3.create_bucket(Bucket='bucket')
    s3.put_object(Bucket='bucket', Key='thing', Body=b'12345')
    read = s3.get_object(Bucket='bucket', Key='thing')['Body'].read()

    assert read == b'12345'
    s3.delete_object(Bucket='bucket', Key='thing')
    s3.delete_bucket(Bucket='bucket')


def test_swift_accepts_tokens_of_keystone_projects(keystone, swift_keystone):
    own, token = f'/v1/AUTH_{keystone.projects["alpha"]}', keystone.token('alpha-member')

    statuses = [swift_keystone.request('PUT', f'{own}/box', token).status,
                swift_keystone.request('GET', f'{own}/box', keystone.token('beta-member')).status,
                swift_keystone.request('DELETE', f'{own}/box', token).status]

    assert statuses == [201, 403, 204]


def test_barbican_keeps_the_secrets_of_a_project_from_others(keystone, barbican):
    own, other = keystone.token('alpha-member'), keystone.token('beta-member')
    secret = barbican.store(own, b'\0certificate\xff', secret_type='certificate', name='name')

    before = [barbican.has(token, secret) for token in (own, other)]
    barbican.delete(own, secret)

    assert before == [True, False]
    assert not barbican.has(own, secret)


def _token(keystone, token, caller=None):
    request = urllib.request.Request(
        f'{keystone.url}/auth/tokens',
        headers={'X-Auth-Token': caller or token, 'X-Subject-Token': token})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)['token']


def test_ceph_has_its_pools_and_accepts_the_image_service(ceph):
    listed = subprocess.run(
        ['rbd', '-c', ceph.conf, '--id', 'images', '--format', 'json', 'ls', 'images'],
        capture_output=True, text=True, check=True)

    assert isinstance(json.loads(listed.stdout), list)
    assert {'images', 'volumes'} <= set(ceph.command('osd', 'pool', 'ls'))


def test_the_gateway_of_ceph_speaks_s3(ceph_s3):
    with urllib.request.urlopen(ceph_s3.url) as reply:
        assert b'ListAllMyBucketsResult' in reply.read()


def test_a_live_server_keeps_everything_in_its_directory(live_server):
    server = live_server()

    with urllib.request.urlopen(f'{server.url}/v2/images') as reply:
        images = json.load(reply)['images']

    assert images == []
    assert any((server.dir / 'state').iterdir())


def test_the_error_of_a_server_that_cannot_start_has_its_log():
    broken = {'layers': {'database': 'no-such-database'}}

    with pytest.raises(process.DidNotStart, match='no-such-database'), live.server(broken):
        pass


@pytest.fixture
def missing(monkeypatch):
    monkeypatch.delenv('GLANCELITE_TESTS_REQUIRE', raising=False)
    monkeypatch.setitem(programs.DEBIAN, 'no-such-program', 'its-package')
    return 'no-such-program'


def test_a_missing_program_is_counted_under_its_package(missing):
    with pytest.raises(pytest.skip.Exception) as skipped:
        programs.require(missing)

    report = types.SimpleNamespace(longrepr=str(skipped.value))

    assert programs.missing([report, report]) == {('no-such-program', 'its-package'): 2}


def test_a_missing_program_is_a_failure_if_all_are_required(missing, monkeypatch):
    monkeypatch.setenv('GLANCELITE_TESTS_REQUIRE', 'all')

    with pytest.raises(pytest.fail.Exception, match='its-package'):
        programs.require(missing)
