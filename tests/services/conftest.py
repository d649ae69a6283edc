"""A service in memory, and callers."""

import pytest

from glancelite.testing import service
from glancelite.testing.fakes import Recorder

RAW = {'disk_format': 'raw', 'container_format': 'bare'}


@pytest.fixture
def core(tmp_path):
    core = service.build(tmp_path)
    yield core
    core.close()


@pytest.fixture
def ctx(context):
    """A member of the project that owns the images of these tests."""
    return context('owner')


@pytest.fixture
def admin(context):
    return context('admins', roles=['admin', 'member', 'reader'], is_admin=True)


@pytest.fixture
def queued(core, ctx):
    """Makes queued images with the attributes given."""
    return lambda **body: core.images.create(ctx, core.schema.create({**RAW, **body}))


@pytest.fixture
def active(core, ctx, queued):
    """Makes images with data and the attributes given."""
    return lambda **body: core.data.upload(ctx, queued(**body).id, iter([b'data']))


@pytest.fixture
def kept(core):
    """The image as the database has it, whoever may see it."""
    return lambda image: core.layers.database.images.get(image.id, viewer=None)


@pytest.fixture
def watched(core):
    """The core, and the statuses that are told."""
    recorder = Recorder()
    return service.exchange(core, notifiers=[recorder]), lambda: [
        event.payload['status'] for event in recorder.events if event.type == 'image.update']
