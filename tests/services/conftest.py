"""A service in memory, and callers."""

import hashlib
import time

import pytest

from glancelite import contract
from glancelite.plugins.quota.limits import Limits
from glancelite.testing import service
from glancelite.testing.fakes import Recorder

#: what users have put into a store themselves
DATA = b'data of an image ' * 1000
SHA512 = hashlib.sha512(DATA).hexdigest()
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
    return lambda **body: core.use_cases.images.create(ctx, core.schema.create({**RAW, **body}))


@pytest.fixture
def active(core, ctx, queued):
    """Makes images with data and the attributes given."""
    return lambda **body: core.use_cases.uploads.receive(ctx, queued(**body).id, iter([b'data']))


@pytest.fixture
def kept(core):
    """The image as the database has it, whoever may see it."""
    return lambda image: core.layers.database.images.get(image.id, viewer=None)


@pytest.fixture
def settled(kept):
    """The image when nothing goes on in the background any more."""
    def wait(image, until=lambda found: found.os_hash_value or found.status == 'queued'):
        deadline = time.monotonic() + 10
        while not until(found := kept(image)):
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return found
    return wait


@pytest.fixture
def watched(core):
    """The core, and the statuses that are told."""
    recorder = Recorder()
    return service.exchange(core, notifiers=[recorder]), lambda: [
        event.payload['status'] for event in recorder.events if event.type == 'image.update']


@pytest.fixture
def adopting(core, monkeypatch):
    """The store ``fast`` takes users' word for its own URLs."""
    driver = core.layers.stores['fast'].driver

    def adopt(url, *, ctx=None):
        if not driver.owns(url):
            raise contract.Invalid('This location belongs to another store.')
        return url
    for backend in core.layers.stores:
        monkeypatch.setattr(backend.driver, 'CAPABILITIES',
                            backend.driver.CAPABILITIES | {'adopt'}, raising=False)
        monkeypatch.setattr(backend.driver, 'adopt', adopt)
    return core


@pytest.fixture
def there(adopting):
    """The URL of data that is in the store ``fast`` already."""
    return adopting.layers.stores['fast'].driver.write('theirs', iter([DATA])).url


@pytest.fixture
def twice(core, ctx, active, kept):
    image = active()
    location, _ = core.layers.stores.write('cold', image.id, iter([b'data']), size=4, ctx=ctx)
    return core.layers.database.images.update(
        kept(image), {'locations': (*image.locations, location)})


@pytest.fixture
def no_room(make_plugin):
    """Exchanges the quota of a core for one in which projects may have four bytes."""
    def exchange(core):
        limits = make_plugin(Limits, user_storage_quota='4')
        limits.host = core.layers.host
        return service.exchange(core, quota=limits)
    return exchange
