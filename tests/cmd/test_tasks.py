"""``glancelite-manage tasks``: what an operator sees of tasks, and how they are steered."""

import pytest

from glancelite import assembly, config
from glancelite.cmd import manage
from glancelite.cmd.manage import tasks as command
from glancelite.contract import Context, Task
from glancelite.services.imports import ImportRequest

CONFIGURATION = """
[DEFAULT]
enabled_backends = fast:file
[glance_store]
default_backend = fast
[fast]
filesystem_store_datadir = {home}/fast
[os_glance_staging_store]
filesystem_store_datadir = {home}/staging
[database]
connection = sqlite:///{home}/glancelite.sqlite
[layers]
auth = noauth
key_manager = none
sync_database = true
"""
OWNER = Context(user='user', project='owner', roles=frozenset({'member', 'reader'}))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'glancelite-api.conf'
    path.write_text(CONFIGURATION.format(home=tmp_path))
    return str(path)


@pytest.fixture
def core(file):
    core = assembly.build(config.load(['--config-file', file]))
    yield core
    core.close()


@pytest.fixture
def run(file, capsys):
    def call(*arguments):
        code = manage.run(['--config-file', file, 'tasks', *arguments])
        return code, capsys.readouterr().out
    return call


@pytest.fixture
def task(core):
    """The task of an import that waits."""
    image = core.use_cases.images.create(OWNER, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    core.use_cases.stages.receive(OWNER, image.id, iter([b'data']))
    return core.use_cases.imports.begin(OWNER, image.id,
                                        ImportRequest({'name': 'glance-direct'}))


def test_tasks_are_listed(run, task):
    code, out = run('list')
    assert (code, out.split()[:4]) == (0, [task.id, 'pending', 'api_image_import', task.image_id])
    assert run('list', '--status', 'success') == (0, '')
    assert run('list', '--image', task.image_id)[1] == out


def test_a_task_is_shown(run, task, core):
    core.use_cases.work.run()
    code, out = run('show', task.id)
    shown = dict(line.split(None, 1) for line in out.splitlines())

    assert code == 0
    assert (shown['id'], shown['status'], shown['image'], shown['owner']) == (
        task.id, 'success', task.image_id, 'owner')


def test_a_task_is_cancelled_and_retried(run, task, core):
    assert run('retry', task.id)[0] == 1
    assert run('cancel', task.id) == (0, f'{task.id} will end\n')
    core.use_cases.work.run()
    code, out = run('show', '--follow', task.id)
    assert (code, out.splitlines()[0]) == (1, 'failure  The task was cancelled.')
    assert run('retry', task.id) == (0, f'{task.id} is pending\n')
    core.use_cases.work.run()

    assert run('show', '--follow', task.id)[0] == 0


def test_an_unknown_task_is_an_error(run, core):
    assert run('show', '00000000-0000-0000-0000-000000000000')[0] == 1


@pytest.mark.parametrize(('progress', 'text', 'hashes'), [
    ({}, '', 0),
    ({'step': 'fetch', 'bytes': 1536}, 'fetch, 1.5 KiB', 0),
    ({'step': 'store', 'bytes': 512 << 20, 'total': 1 << 30, 'rate': 100 << 20},
     'store, 512.0 MiB of 1.0 GiB, 100.0 MiB/s', 15)])
def test_progress_is_described(progress, text, hashes):
    task = Task('1', 'import', status='processing', progress=progress)

    assert command.describe(task) == text
    assert command.bar(task).count('#') == hashes


def test_check_names_tasks_that_wait(file, task, core, capsys):
    assert manage.run(['--config-file', file, 'check', '--wsgi']) == 0

    assert '1 tasks wait for a process that runs them' in capsys.readouterr().out
