"""``glancelite-manage``: what it prints, and the exit codes that scripts rely on."""

import socket
import sqlite3

import pytest
import sqlalchemy as sa

from glancelite import assembly, config
from tests.cmd import programs

CONFIGURATION = """
[DEFAULT]
bind_host = 127.0.0.1
enabled_backends = fast:file, cold:file
[glance_store]
default_backend = fast
[fast]
filesystem_store_datadir = {home}/fast
[cold]
filesystem_store_datadir = {cold}
[os_glance_staging_store]
filesystem_store_datadir = {home}/staging
[database]
connection = sqlite:///{home}/glancelite.sqlite
[layers]
auth = noauth
"""


@pytest.fixture
def manage(tmp_path):
    def run(*arguments, more='', cold=tmp_path / 'cold', env=None):
        file = tmp_path / 'glancelite-api.conf'
        file.write_text(CONFIGURATION.format(home=tmp_path, cold=cold) + more)
        return programs.run('manage', ['--config-file', file, *arguments], tmp_path, env=env)
    return run


def test_a_new_database_is_behind_until_it_is_synced(manage):
    before = manage('db', 'check'), manage('db', 'version')

    synced = manage('db', 'sync')

    assert (before[0].code, before[0].out) == (
        3, 'not up to date; run: glancelite-manage db sync\n')
    assert (before[1].code, before[1].out) == (0, 'none yet; run: glancelite-manage db sync\n')
    assert synced.code == 0
    after = manage('db', 'version')
    assert after.code == 0
    assert after.out.strip() in synced.out
    check = manage('db', 'check')
    assert (check.code, check.out) == (0, 'up to date\n')


def test_a_second_sync_changes_nothing(manage, tmp_path):
    manage('db', 'sync')
    before = _schema(tmp_path)

    again = manage('db', 'sync')

    assert again.code == 0
    assert 'already' in again.out
    assert _schema(tmp_path) == before


def _schema(folder):
    connection = sqlite3.connect(folder / 'glancelite.sqlite')
    found = connection.execute('SELECT sql FROM sqlite_master ORDER BY name').fetchall()
    connection.close()
    return found


@pytest.mark.parametrize('step', ['sync', 'version', 'check'])
def test_a_database_that_does_not_answer_is_an_error(manage, step):
    ended = manage('db', step,
                   more='[database]\nconnection = postgresql://glance:secret@127.0.0.1:1/x\n'
                        'max_retries = -1\n')

    assert ended.code == 1
    assert ended.complaint == 'the database does not answer: connection refused'
    assert 'secret' not in ended.err


@pytest.mark.parametrize('step', ['sync', 'version', 'check'])
@pytest.mark.parametrize('backend', ['postgresql', 'mysql'])
def test_a_frozen_database_is_an_error_in_time(manage, step, backend):
    with socket.create_server(('127.0.0.1', 0)) as never_answers:
        ended = manage('db', step, '--timeout', '0.5', more=(
            f'[database]\nconnection = {backend}://glance:secret@127.0.0.1:'
            f'{never_answers.getsockname()[1]}/glance\n'))

    assert ended.code == 1
    assert ended.complaint == 'the database did not answer within 0.5 seconds'
    assert 'secret' not in ended.out + ended.err


@pytest.mark.parametrize(('url', 'why'), [
    ('{user}:wrong@{host}/{name}', 'rejects the user name or the password'),
    ('root@{host}/no_such', 'has no database of this name'),
    ('{user}:secret@{host}/{name}', 'lacks rights')])
def test_the_reason_is_told_why_a_database_cannot_be_used(manage, fresh_mariadb, url, why):
    ours = sa.make_url(fresh_mariadb)
    engine = sa.create_engine(ours)
    user = f'nobody_{ours.database}'
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE USER '{user}'@'%%' IDENTIFIED BY 'secret'")
        connection.exec_driver_sql(f"CREATE USER '{user}'@'localhost' IDENTIFIED BY 'secret'")
    engine.dispose()

    ended = manage('db', 'check', more='[database]\nconnection = mysql://' + url.format(
        user=user, host=f'127.0.0.1:{ours.port}', name=ours.database) + '\n')

    assert ended.code == 1
    assert why in ended.complaint
    assert 'secret' not in ended.out + ended.err


@pytest.mark.parametrize(('url', 'why'), [
    ('postgresql://postgres@{host}/no_such', 'has no database of this name'),
    ('postgresql://no_such@{host}/{name}', 'rejects the user name or the password')])
def test_the_reason_is_told_why_postgresql_cannot_be_used(manage, fresh_postgres, url, why):
    ours = sa.make_url(fresh_postgres)

    ended = manage('db', 'check', more='[database]\nconnection = ' + url.format(
        host=f'127.0.0.1:{ours.port}', name=ours.database) + '\n')

    assert ended.code == 1
    assert why in ended.complaint


@pytest.mark.parametrize('arguments', [[], ['db'], ['db', 'up'], ['layer']])
def test_wrong_usage_exits_with_two(manage, arguments):
    ended = manage(*arguments)

    assert ended.code == 2
    assert 'usage: glancelite-manage' in ended.err


def test_layers_shows_chosen_and_other_plugins(manage):
    manage('db', 'sync')

    ended = manage('layers')

    rows = {tuple(line.split()[:2]): line for line in ended.out.splitlines()}
    assert ended.code == 0
    assert next(iter(rows)) == ('LAYER', 'PLUGIN')
    assert '[fast]' in rows['store', 'fast']
    assert 'fast (driver file)' in rows['store', 'fast']
    assert 'GiB free' in rows['store', 'cold']
    assert 'memory - not chosen' in rows['store', 'memory']
    assert rows['database', 'sql'].count('[database]') == 1
    assert '[oslo_policy]' in rows['policy', 'oslo']
    assert '[cors]' in rows['middleware', 'cors']
    assert 'keystone - not chosen' in rows['auth', 'keystone']


def test_looking_creates_no_directory(manage, tmp_path):
    manage('db', 'sync')
    before = set(tmp_path.iterdir())

    shown, checked = manage('layers'), manage('check')

    assert set(tmp_path.iterdir()) == before
    assert (shown.code, checked.code) == (0, 0)
    for name in ('fast', 'cold', 'staging'):
        assert f'GiB free; the start creates {tmp_path}/{name}\n' in shown.out
        assert f'GiB free; the start creates {tmp_path}/{name}\n' in checked.out


def test_a_directory_that_the_start_cannot_create_fails_the_check(manage, tmp_path):
    (tmp_path / 'file').touch()

    ended = manage('check', cold=tmp_path / 'file/in/cold')

    assert ended.code == 1
    assert (f'FAIL  store cold: {tmp_path}/file/in/cold: it is missing, and cannot be created '
            f'in {tmp_path}/file\n') in ended.out


def test_layers_shows_the_section_of_stores_without_enabled_backends(tmp_path):
    (tmp_path / 'old.conf').write_text(CONFIGURATION.format(home=tmp_path, cold='').replace(
        'enabled_backends', '#').replace(
        'default_backend = fast', f'filesystem_store_datadir = {tmp_path}/images')
        + f'[DEFAULT]\nnode_staging_uri = file://{tmp_path}/staging\n')

    ended = programs.run('manage', ['--config-file', tmp_path / 'old.conf', 'layers'], tmp_path)

    rows = {tuple(line.split()[:2]): line for line in ended.out.splitlines()}
    assert ended.code == 0, ended.err
    assert ' [glance_store] ' in rows['store', 'file']
    assert '[file]' not in ended.out


def test_a_deleted_image_is_restored_once(manage, tmp_path):
    manage('db', 'sync')
    delayed = '[DEFAULT]\ndelayed_delete = true\nscrub_time = 3600\n'
    manage('layers', more=delayed)      # writes the file
    core = assembly.build(config.load(['--config-file', str(tmp_path / 'glancelite-api.conf')]))
    ctx = core.identify({})
    image = core.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))
    core.use_cases.images.delete(ctx, image.id)

    try:
        first, second = (manage('restore', image.id, more=delayed) for _ in range(2))
        data = b''.join(core.use_cases.downloads.open(ctx, image.id).chunks)
    finally:
        core.close()

    assert (first.code, first.out) == (0, f'{image.id} is active again\n')
    assert (second.code, second.err) == (
        1, f'ERROR: There is no deleted image {image.id} whose data is still kept.\n')
    assert data == b'data'


def test_locations_finds_nothing_without_images(manage):
    manage('db', 'sync')

    found = manage('locations', '--write')

    assert (found.code, found.out) == (0, '')


@pytest.mark.parametrize('command', [['tasks', 'list'], ['locations']])
def test_a_database_without_tables_is_named_in_one_line(manage, command):
    ended = manage(*command)

    assert ended.code == 1
    assert ended.complaint == ('the database schema is not up to date; run: glancelite-manage '
                               'db sync')
