"""``glancelite-manage check``: it finds what would stop the start, and ends in time."""

import socket
import time

import pytest

from tests.cmd.test_manage import manage

__all__ = ['manage']
DEAD = '[database]\nconnection = {}://glance:secret@127.0.0.1:{}/glance\n'


def test_a_healthy_service_passes_the_check(manage):
    manage('db', 'sync')

    ended = manage('check')

    assert ended.code == 0
    assert 'FAIL' not in ended.out
    assert 'ok    store cold: ' in ended.out
    assert 'ok    database schema: up to date' in ended.out


def test_the_check_continues_after_a_failure(manage, tmp_path):
    (tmp_path / 'occupied').write_text('a file where a directory should be')

    ended = manage('check', cold=tmp_path / 'occupied', more='[DEFAULT]\nprofiler = x\n')

    assert ended.code == 1
    findings = [line for line in ended.out.splitlines() if line.startswith('FAIL')]
    assert [line.partition(':')[0] for line in findings] == ['FAIL  store cold',
                                                              'FAIL  database schema']
    assert findings[1].endswith('run: glancelite-manage db sync')
    assert 'ok    store fast: ' in ended.out
    assert 'note  not used by glancelite: [DEFAULT] profiler' in ended.out
    assert 'Traceback' not in ended.err     # of a statement about tasks, which are not there


def test_the_check_reports_an_invalid_configuration(manage):
    ended = manage('check', more='[layers]\nquota = limit\n')

    assert ended.code == 1
    assert ended.out == ("FAIL  configuration: no quota plugin is called 'limit'; "
                         'installed: limits\n')


def test_the_check_reports_a_database_that_does_not_answer(manage):
    ended = manage('check',
                   more='[database]\nconnection = mysql://glance:secret@127.0.0.1:1/glance\n'
                        'max_retries = 0\n')

    assert ended.code == 1
    assert 'FAIL  database sql: the database does not answer' in ended.out
    assert 'FAIL  database schema: the database does not answer' in ended.out
    assert 'ok    store fast: ' in ended.out
    assert 'secret' not in ended.out + ended.err


@pytest.mark.parametrize(('more', 'failure'), [
    ('[DEFAULT]\nworkers = 2\nenabled_backends = fast:memory\n',
     'processes: store fast: each process would have its own data; set [DEFAULT] workers = 1'),
    ('[DEFAULT]\nbind_host = 0.0.0.0\n',
     'address: [layers] auth = noauth accepts everyone, so the service must listen on loopback '
     'only: set bind_host = 127.0.0.1, or [layers] allow_insecure_bind = true'),
    ('[DEFAULT]\nbind_host = 192.0.2.1\n[layers]\nallow_insecure_bind = true\n',
     'address: cannot listen on bind_host = 192.0.2.1: Cannot assign requested address'),
    ('[DEFAULT]\ncert_file = /nowhere/cert.pem\n',
     'TLS: cert_file cannot be read: /nowhere/cert.pem: No such file or directory'),
    ('[DEFAULT]\nkey_file = key.pem\n', 'TLS: key_file and ca_file require cert_file')])
def test_what_stops_the_start_fails_the_check(manage, more, failure):
    manage('db', 'sync')

    ended, for_wsgi = manage('check', more=more), manage('check', '--wsgi', more=more)

    assert ended.code == 1
    assert [line for line in ended.out.splitlines() if line.startswith('FAIL')] == [
        f'FAIL  {failure}']
    assert (for_wsgi.code, 'FAIL' in for_wsgi.out) == (0, False)


@pytest.mark.parametrize('scheme', ['postgresql', 'mysql'])
def test_a_database_that_refuses_is_asked_once(manage, scheme):
    began = time.monotonic()

    ended = manage('check', more=DEAD.format(scheme, 1) + 'max_retries = -1\n')

    assert ended.code == 1
    assert 'FAIL  database sql: the database does not answer' in ended.out
    assert 'FAIL  database schema: the database does not answer' in ended.out
    assert time.monotonic() - began < 25


@pytest.mark.parametrize('scheme', ['postgresql', 'mysql'])
@pytest.mark.parametrize('command', ['check', 'layers'])
def test_a_database_that_is_silent_is_asked_within_the_timeout(manage, scheme, command):
    with socket.create_server(('127.0.0.1', 0)) as silent:
        ended = manage(command, '--timeout', '2',
                       more=DEAD.format(scheme, silent.getsockname()[1]))

    lines = [line for line in ended.out.splitlines() if 'database' in line and ' sql' in line]
    assert ended.code == (1 if command == 'check' else 0)
    assert 'the check did not return within 2 seconds' in lines[0]
    assert 'secret' not in ended.out + ended.err


HANGS = """
import threading

from glancelite import contract


class Hangs(contract.Notifier):
    def notify(self, event):
        pass

    def health(self):
        threading.Event().wait()

    close = health
"""


@pytest.fixture
def hanging(tmp_path):
    """The environment with a package of a notifier whose ``health`` and ``close`` hang."""
    info = tmp_path / 'packages/hanging-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: hanging\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text('[glancelite.notifier]\nhangs = hangs:Hangs\n'
                                           '[glancelite.store]\nendless = endless:Store\n')
    (info.parent / 'hangs.py').write_text(HANGS)
    (info.parent / 'endless.py').write_text('import threading\nthreading.Event().wait()\n')
    return {'PYTHONPATH': str(info.parent)}


def test_checking_and_closing_share_the_timeout(manage, hanging):
    manage('db', 'sync')
    began = time.monotonic()
    manage('check', more='[layers]\nnotifier = log\n', env=hanging)
    usual, began = time.monotonic() - began, time.monotonic()

    ended = manage('check', '--timeout', '6', more='[layers]\nnotifier = hangs\n', env=hanging)

    assert [line for line in ended.out.splitlines() if 'FAIL' in line] == [
        'FAIL  notifier hangs: the check did not return within 6 seconds']
    assert 'ok    store fast: ' in ended.out
    assert time.monotonic() - began < 11 + usual


def test_an_import_that_hangs_is_named_within_the_timeout(manage, hanging):
    ended = manage('layers', '--timeout', '1', env=hanging)

    assert ended.code == 0
    assert 'endless - not chosen' in ended.out
    assert 'its import did not return within 1 seconds' in ended.out


def test_a_timeout_that_is_no_number_is_wrong_usage(manage):
    ended = manage('check', '--timeout', 'soon')

    assert ended.code == 2
    assert "argument --timeout: 'soon' is not a number of seconds" in ended.err


def test_the_check_changes_no_schema(manage, tmp_path):
    ended = manage('check', more='[layers]\nsync_database = true\n')

    assert ended.code == 0, ended.out
    assert ('ok    database schema: not up to date; the start upgrades it '
            '([layers] sync_database)') in ended.out
    assert manage('db', 'version').out == 'none yet; run: glancelite-manage db sync\n'


def test_stores_of_deprecated_options_are_a_note(manage):
    manage('db', 'sync')

    ended = manage('check', more='[DEFAULT]\nenabled_backends =\n[glance_store]\n'
                                 'stores = file, cinder\nfilesystem_store_datadir = /tmp\n')

    notes = [line for line in ended.out.splitlines() if line.startswith('note')]
    assert notes[:2] == ["note  [glance_store] stores: no store plugin is called 'cinder'",
                         'note  [DEFAULT] enabled_backends is not set; the stores are file']
    assert notes[2].startswith('note  [DEFAULT] node_staging_uri = file:///tmp/staging/: staged '
                               'data may not survive a restart there')


def test_a_staging_area_that_survives_a_restart_is_no_note(manage, tmp_path):
    ended = manage('check', more='[DEFAULT]\nenabled_backends =\n'
                                 'node_staging_uri = file:///proc/staging\n[glance_store]\n'
                                 f'filesystem_store_datadir = {tmp_path}\n')

    assert 'node_staging_uri' not in ended.out


def test_what_is_missing_here_is_counted_and_is_an_error_if_asked_for(manage):
    manage('db', 'sync')
    more = ('[DEFAULT]\nimage_cache_dir = /var/cache\nprofiler = x\n'
            '[paste_deploy]\nflavor = keystone+cachemanagement\n')

    lenient, strict = manage('check', more=more), manage('check', '--strict', more=more)
    plain = manage('check', '--strict')

    assert (lenient.code, strict.code, plain.code) == (0, 3, 0)
    assert strict.out.splitlines()[-4:] == [
        'note  [DEFAULT] image_cache_dir: images are not cached here',
        'note  [paste_deploy] flavor = keystone+cachemanagement: images are not cached here, and '
        'the requests that manage a cache answer 404',
        'note  not used by glancelite: [DEFAULT] profiler',
        'note  options that ask for what is missing here: 2']


@pytest.mark.parametrize(('executor', 'count'), [('external', 1), ('threads', 0)])
def test_a_method_whose_imports_would_lack_the_token_is_a_note(manage, executor, count):
    manage('db', 'sync')

    ended = manage('check', more=f'[DEFAULT]\nenabled_import_methods = [glance-download]\n'
                                 f'[layers]\nexecutor = {executor}\n')

    assert ended.out.count('note  glance-download is not offered: it needs the token') == count


def test_imports_that_cannot_work_are_a_note(manage, tmp_path):
    manage('db', 'sync')
    (tmp_path / 'file').touch()

    ended = manage('check', more=f"""
[DEFAULT]
enabled_import_methods = ['glance-direct', "web-download"]
node_staging_uri = file:///srv/staging
[layers]
step = decompression, conversion
[task]
work_dir = {tmp_path}/file/work
""")

    assert ended.code == 0
    assert (f'note  imports that stage data are not offered: [task] work_dir = '
            f'{tmp_path}/file/work: {tmp_path}/file is no directory in which files can be '
            'written\n') in ended.out
    assert 'note  [DEFAULT] node_staging_uri is not used, since enabled_backends' in ended.out
    assert [line for line in ended.out.splitlines() if 'importer' in line] == [
        'ok    importer glance-direct: ok', 'ok    importer web-download: ok']
    assert ended.out.count('ok    inspector format: ') == 1     # the step has one of its own


@pytest.fixture
def elsewhere(tmp_path):
    """Configuration of a service whose workers convert images, and a node without programs."""
    (tmp_path / 'nothing').mkdir()
    (tmp_path / 'file').touch()
    return {'more': f'''
[layers]
executor = external
step = conversion
[task]
work_dir = {tmp_path}/file/work
''', 'env': {'PATH': str(tmp_path / 'nothing')}}


def test_a_node_without_workers_needs_no_programs(manage, elsewhere):
    manage('db', 'sync')

    ended = manage('check', **elsewhere)

    assert (ended.code, 'FAIL' in ended.out) == (0, False)
    assert ('note  workers need step conversion, which fails on this node: There is no program '
            'qemu-img and no setpriv and no prlimit on this node.\n') in ended.out
    assert 'work_dir' not in ended.out
    assert 'are not offered' not in ended.out


def test_a_worker_that_cannot_run_imports_fails_its_check(manage, elsewhere, tmp_path):
    manage('db', 'sync')

    ended = manage('check', '--worker', **elsewhere)

    assert ended.code == 1
    assert [line for line in ended.out.splitlines() if line.startswith('FAIL')] == [
        f'FAIL  work_dir: [task] work_dir = {tmp_path}/file/work: {tmp_path}/file is no '
        'directory in which files can be written',
        'FAIL  step conversion: There is no program qemu-img and no setpriv and no prlimit on '
        'this node.']
    assert 'ok    worker: runs tasks with the executor external' in ended.out
    assert 'ok    staging area: ' in ended.out
    assert 'address' not in ended.out


def test_a_service_without_workers_fails_their_check(manage):
    ended = manage('check', '--worker', more='[layers]\nexecutor = inline\n')

    assert ended.code == 1
    assert 'FAIL  worker: [layers] executor = inline runs no tasks in worker processes' in (
        ended.out)
