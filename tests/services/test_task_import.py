"""Tasks that create an image and import its data."""

import pytest

from glancelite import contract
from glancelite.contract import ImageQuery
from glancelite.services.task_import import METHOD
from tests.services.conftest import raising
from tests.services.import_case import DATA, Fetched, run, task_of


class Web(Fetched):

    def check(self, ctx, image, method):
        return {'uri': method['uri']}


@pytest.fixture
def core(core, make_plugin, exchange_importing):
    return exchange_importing(importers={METHOD: make_plugin(Web)})


@pytest.fixture
def create(core, admin):
    """Create a task whose image has these attributes."""
    return lambda **body: core.use_cases.tasks.create(
        admin, {'import_from': 'http://192.0.2.1/image', 'image_properties': body},
        core.schema.create(body))


def images_of(core, ctx):
    return core.use_cases.images.list(ctx, ImageQuery(ctx.viewer)).images


def test_an_image_is_created_and_gets_its_data(core, admin, create):
    task = create(name='imported')
    run(core)

    image, = images_of(core, admin)
    assert (image.name, image.status, image.size) == ('imported', 'active', len(DATA))
    assert task_of(core, task).image_id == image.id


def test_an_image_that_exists_is_left_alone(core, admin, create, reread, advance, monkeypatch):
    image = core.use_cases.images.create(admin, core.schema.create({'name': 'mine'}))
    task = create(id=image.id)
    with monkeypatch.context() as patch:
        patch.setattr(core.layers.database.images, 'is_used',
                      raising(contract.Unavailable('away')))
        run(core)
    assert task_of(core, task).status == 'processing'
    advance(100)
    run(core)

    assert (task_of(core, task).status, reread(image)) == ('failure', image)


def test_while_the_image_cannot_be_created_the_task_pauses(core, create, monkeypatch):
    tries = []
    monkeypatch.setattr(core.use_cases.images, 'create',
                        lambda *args, **named: tries.append(1) or raising(
                            contract.Unavailable('The quota is not known.'))())
    task = create()
    run(core)

    assert (len(tries), task_of(core, task).status) == (1, 'processing')
    assert task_of(core, task).message == 'Another try follows: The quota is not known.'


def test_a_defect_of_a_plugin_ends_the_task(core, create, monkeypatch):
    monkeypatch.setattr(core.use_cases.images, 'create', raising(RuntimeError('defect')))
    task = create()
    run(core)

    assert (task_of(core, task).status, task_of(core, task).message) == (
        'failure', 'The server met an internal error.')


def test_a_task_that_is_cancelled_before_it_runs_creates_no_image(core, admin, create):
    task = create()
    core.use_cases.tasks.cancel(admin, task.id)
    run(core)

    assert (task_of(core, task).status, task_of(core, task).message) == (
        'failure', 'The task was cancelled.')
    assert not images_of(core, admin)
