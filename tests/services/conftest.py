"""A service in memory, and callers."""

import datetime
import hashlib
import time

import pytest

from glancelite import contract
from glancelite.plugins.quota.limits import Limits
from glancelite.services.import_options import ImportOptions
from glancelite.services.use_cases import Options
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.import_case import CONTENT, Copy, Direct, Fetched, Waiting

#: data that users have put into a store themselves
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
    """Create a queued image with these attributes."""
    return lambda **body: core.use_cases.images.create(ctx, core.schema.create({**RAW, **body}))


@pytest.fixture
def active(core, ctx, queued):
    """Create an active image with these attributes."""
    return lambda **body: core.use_cases.uploads.receive(ctx, queued(**body).id, iter([b'data']))


@pytest.fixture
def reread(core):
    """Read an image again, without a visibility check."""
    return lambda image: core.layers.database.images.get(image.id, viewer=None)


@pytest.fixture
def wait_for(reread):
    """Wait for a change of an image, such as a hash, and return the image."""
    def wait(image, until=lambda present: present.os_hash_value or present.status == 'queued'):
        deadline = time.monotonic() + 10
        while not until(present := reread(image)):
            assert time.monotonic() < deadline, present
            time.sleep(0.01)
        return present
    return wait


@pytest.fixture
def advance(core, monkeypatch):
    """Move the clock of the service forward."""
    def move(seconds):
        now = core.layers.host.now() + datetime.timedelta(seconds=seconds)
        monkeypatch.setattr(core.layers.host, 'now', lambda: now)
    return move


@pytest.fixture
def expire(core, reread):
    """Let the lease of an image expire."""
    return lambda image: core.layers.database.images.update(
        reread(image), {'lease_until': core.layers.host.now()})


@pytest.fixture
def observed(core):
    """The core with a notifier, and a function that returns the statuses it has reported."""
    recorder = Recorder()
    return service.exchange(core, notifiers=[recorder]), lambda: [
        event.payload['status'] for event in recorder.events if event.type == 'image.update']


@pytest.fixture
def adopting_core(core, monkeypatch):
    """The core, whose store ``fast`` adopts its own URLs."""
    driver = core.layers.stores['fast'].driver

    def adopt(url, *, ctx=None):
        if not driver.owns(url):
            raise contract.Invalid('This location belongs to another store.')
        return url
    for store in core.layers.stores:
        monkeypatch.setattr(store.driver, 'CAPABILITIES',
                            store.driver.CAPABILITIES | {'adopt'}, raising=False)
        monkeypatch.setattr(store.driver, 'adopt', adopt)
    return core


@pytest.fixture
def existing_url(adopting_core):
    """The URL of ``DATA``, which is in the store ``fast`` already."""
    return adopting_core.layers.stores['fast'].driver.write('theirs', iter([DATA])).url


@pytest.fixture
def without_length(core, existing_url, monkeypatch):
    """The URL of ``DATA``, as on a web server that does not say how long it is."""
    driver = core.layers.stores['fast'].driver
    monkeypatch.setattr(driver, 'size', lambda url, *, ctx=None: 0)
    monkeypatch.setattr(type(driver), 'PUBLIC_SCHEMES', driver.SCHEMES)
    return existing_url


@pytest.fixture
def replicated(core, ctx, active, reread):
    """An active image with a location in ``fast`` and one in ``cold``."""
    image = active()
    location, _ = core.layers.stores.write('cold', image.id, iter([b'data']), size=4, ctx=ctx)
    return core.layers.database.images.update(
        reread(image), {'locations': (*image.locations, location)})


@pytest.fixture
def small_quota(make_plugin):
    """Return the same service with a quota of four bytes for each project."""
    def exchange(core):
        limits = make_plugin(Limits, user_storage_quota='4')
        limits.host = core.layers.host
        return service.exchange(core, quota=limits)
    return exchange


@pytest.fixture
def exchange_importing(core, make_plugin):
    """Return the core with the importers of ``import_case`` and tasks that the test runs."""
    def make(**blocks):
        importers = {'fetched': make_plugin(Fetched), 'glance-direct': make_plugin(Direct),
                     'copy-image': make_plugin(Copy)}
        return service.exchange(core, **{
            'importers': importers, 'executor': make_plugin(Waiting), 'steps': (),
            'options': Options(imports=ImportOptions(retries=3)), **blocks})
    core.layers.staging.part_size = 10
    return make


@pytest.fixture
def importing(exchange_importing):
    """A service whose imports the test runs."""
    return exchange_importing()


@pytest.fixture
def staged(importing, ctx, queued):
    """An image whose data is staged."""
    return importing.use_cases.stages.receive(ctx, queued().id, iter(CONTENT))


class Watchable:
    """The body of a client that may be silent: ``chunks(look)`` calls ``look`` meanwhile."""

    def __init__(self, chunks):
        self._chunks = chunks
        self._flow = None

    def watch(self, look):
        self._flow = self._chunks(look)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._flow)


def read_data(core, ctx, image, **options):
    """Download an image; ``options`` are those of ``Downloads.open``."""
    return b''.join(core.use_cases.downloads.open(ctx, image.id, **options).chunks)


def raising(error):
    """Return a function that raises ``error``, whatever its arguments."""
    def function(*args, **named):
        raise error
    return function
