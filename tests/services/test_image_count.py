"""A quota of the number of images is exact, however many are created at once."""

import concurrent.futures
import dataclasses
import threading

import pytest

from glancelite import contract
from glancelite.contract import QuotaRequest
from glancelite.domain import patch
from glancelite.services.chains import QuotaChain
from glancelite.testing import service
from tests.services.conftest import RAW

LIMIT = 5
ID = '11111111-2222-4333-8444-555555555555'


class FiveImages(contract.QuotaEnforcer):
    """Each project may have five images, and two public ones."""

    def __init__(self, core):
        super().__init__(None, core.layers.host)
        self._images = core.layers.database.images
        self.requests = []

    def check(self, ctx, request):
        self.requests.append(request)
        if request.images and self.host.usage(request.project).images > LIMIT:
            raise contract.QuotaExceeded('There are five images already.')
        if request.image is not None and request.image.visibility == 'public':
            public = self._images.list(contract.ImageQuery(
                ctx.viewer, where=(), visibility='public', limit=None)).items
            if sum(image.owner == request.project for image in public) > 2:
                raise contract.QuotaExceeded('There are two public images already.')


@pytest.fixture
def quota(core):
    return FiveImages(core)


@pytest.fixture
def limited(core, quota):
    return service.exchange(core, quota=QuotaChain([quota]))


@pytest.fixture
def create(limited, ctx):
    return lambda ctx=ctx, **body: limited.use_cases.images.create(
        ctx, limited.schema.create({**RAW, **body}))


@pytest.mark.parametrize('database', ['memory', 'sqlite', 'postgresql'])
def test_as_many_images_are_created_at_once_as_the_quota_permits(
        tmp_path, ctx, request, database):
    text = service.MEMORY
    if database != 'memory':
        url = (f'sqlite:///{tmp_path}/records' if database == 'sqlite'
               else request.getfixturevalue('fresh_postgres'))
        text = text.replace('database = memory', 'database = sql\nsync_database = true') + (
            f'[database]\nconnection = {url}\n')
    core = service.build(tmp_path, text)
    limited = service.exchange(core, quota=QuotaChain([FiveImages(core)]))
    together = threading.Barrier(32)

    def create(number):
        together.wait()
        try:
            return limited.use_cases.images.create(ctx, core.schema.create(RAW))
        except contract.QuotaExceeded:
            return None

    try:
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            created = [image for image in pool.map(create, range(32)) if image is not None]
        assert len(created) == LIMIT
        assert core.layers.database.images.usage('owner').images == LIMIT
    finally:
        core.close()


def test_a_refused_image_leaves_nothing_and_its_id_may_be_used(core, create):
    images = [create() for _ in range(LIMIT)]
    with pytest.raises(contract.QuotaExceeded):
        create(id=ID, tags=['a'])
    with pytest.raises(contract.NotFound):
        core.layers.database.images.get(ID, viewer=None)

    core.layers.database.images.delete(images[0], pending=False)

    assert create(id=ID).id == ID


def test_an_image_with_very_many_properties_is_refused_before_it_is_recorded(
        core, ctx, monkeypatch):
    monkeypatch.setattr(core.layers.database.images, 'add', lambda image: 1 / 0)
    many = {f'p{number}': 'x' for number in range(1000)}

    with pytest.raises(contract.QuotaExceeded):
        core.use_cases.images.create(ctx, core.schema.create({**RAW, **many}))


def test_an_image_of_no_project_may_be_refused_too(core, admin, monkeypatch, create, quota):
    monkeypatch.setattr(quota, 'check', lambda ctx, request: 1 / 0)

    with pytest.raises(Exception, match='division'):
        create(admin, id=ID, owner=None)

    with pytest.raises(contract.NotFound):
        core.layers.database.images.get(ID, viewer=None)


def test_a_quota_sees_the_image_that_is_asked_for(create, quota):
    image = create(visibility='private', os_distro='x', tags=['a', 'b'])

    assert quota.requests == [QuotaRequest(
        'add_image', 'owner', images=1, tags=2, properties=1, image=image)]


def test_a_quota_may_limit_public_images(core, admin, create, limited, reread):
    for _ in range(2):
        create(admin, owner='owner', visibility='public')
    with pytest.raises(contract.QuotaExceeded):
        create(admin, owner='owner', visibility='public')
    private = create(admin, owner='owner', visibility='private')
    operations = patch.parse([{'op': 'replace', 'path': '/visibility', 'value': 'public'}],
                             patch.DRAFT_10, core.schema.validate_attribute)

    with pytest.raises(contract.QuotaExceeded):
        limited.use_cases.images.update(admin, private.id, operations)

    assert reread(private).visibility == 'private'


@pytest.mark.parametrize(('name', 'value'), [
    ('visibility', 'private'), ('os_hidden', True), ('disk_format', 'qcow2'),
    ('owner', 'another')])
def test_a_quota_is_asked_after_a_change_of_what_it_may_count(
        core, admin, create, quota, limited, name, value):
    image = create(admin, owner='owner')
    quota.requests.clear()

    written = limited.use_cases.images.update(admin, image.id, patch.parse(
        [{'op': 'replace', 'path': f'/{name}', 'value': value}], patch.DRAFT_10,
        core.schema.validate_attribute))

    asked, = quota.requests
    assert (asked.action, asked.project) == ('modify_image', written.owner)
    assert asked.image == dataclasses.replace(written, membership=asked.image.membership)
    assert getattr(asked.image, name) == value
