"""Use cases of images: permissions, patches, deletion, listing."""

import threading
import uuid

import pytest

from glancelite import contract
from glancelite.contract import ImageQuery, Viewer
from glancelite.domain import patch
from glancelite.services import optimistic
from glancelite.services.chains import PolicyChain
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import raising, read_data


def operations(core, *steps):
    return patch.parse([{'op': op, 'path': f'/{name}', 'value': value}
                        for op, name, value in steps],
                       patch.DRAFT_10, core.schema.validate_attribute)


def test_a_new_image_is_queued_and_belongs_to_the_caller(core, ctx, queued, reread):
    image = queued(name='mine', tags=['b', 'a', 'b'])

    assert (image.status, image.owner, image.visibility) == ('queued', 'owner', 'shared')
    assert image.tags == ('a', 'b')
    assert uuid.UUID(image.id)
    assert reread(image) == image


def test_the_caller_may_choose_an_id_that_was_never_used(core, ctx, queued):
    chosen = str(uuid.uuid4())
    assert queued(id=chosen).id == chosen
    core.use_cases.images.delete(ctx, chosen)

    with pytest.raises(contract.Conflict):
        queued(id=chosen)


def test_only_administrators_create_images_for_other_projects(core, ctx, admin):
    creation = core.schema.create({'owner': 'other'})

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.create(ctx, creation)

    assert core.use_cases.images.create(admin, creation).owner == 'other'


def test_only_administrators_create_public_images(core, ctx, admin):
    creation = core.schema.create({'visibility': 'public'})

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.create(ctx, creation)

    assert core.use_cases.images.create(admin, creation).visibility == 'public'


def test_a_read_only_attribute_is_refused_last(core, ctx):
    with pytest.raises(contract.Forbidden, match='status'):
        core.use_cases.images.create(ctx, core.schema.create({'status': 'active'}))


def test_too_many_tags_are_refused(core, ctx, queued):
    queued(tags=[str(number) for number in range(128)])

    with pytest.raises(contract.QuotaExceeded):
        queued(tags=[str(number) for number in range(129)])


def test_a_private_image_of_another_project_is_not_found(core, context, queued):
    image = queued(visibility='private')

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(context('stranger'), image.id)


def test_a_patch_is_applied_completely_or_not_at_all(core, ctx, queued, reread):
    image = queued(name='old')

    with pytest.raises(contract.Conflict):
        core.use_cases.images.update(ctx, image.id, operations(
            core, ('replace', 'name', 'new'), ('replace', 'missing', 'x')))

    assert reread(image) == image


def test_an_empty_patch_changes_nothing_and_emits_no_event(core, ctx, queued, reread):
    recorder = Recorder()
    image = queued()

    service.exchange(core, notifiers=[recorder]).use_cases.images.update(ctx, image.id, [])

    assert reread(image) == image
    assert recorder.events == []


def test_one_property_too_many_is_refused(core, ctx, queued):
    image = queued(**{f'p{number}': 'x' for number in range(128)})
    core.use_cases.images.update(ctx, image.id, operations(core, ('replace', 'p1', 'y')))

    with pytest.raises(contract.QuotaExceeded):
        core.use_cases.images.update(ctx, image.id, operations(core, ('add', 'more', 'x')))


def test_publishing_an_image_requires_permission(core, ctx, admin, queued):
    image = queued()

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.update(
            ctx, image.id, operations(core, ('replace', 'visibility', 'public')))

    core.use_cases.images.update(
        admin, image.id, operations(core, ('replace', 'visibility', 'public')))
    assert core.use_cases.images.get(ctx, image.id).visibility == 'public'


def test_concurrent_patches_are_all_applied(core, ctx, queued, reread):
    image = queued()
    barrier = threading.Barrier(8)

    def change(number):
        barrier.wait()
        core.use_cases.images.update(ctx, image.id, operations(core, ('add', f'p{number}', 'x')))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(reread(image).properties) == [f'p{number}' for number in range(8)]


def test_a_patch_that_always_conflicts_fails_with_a_conflict(core, ctx, queued, monkeypatch):
    image, records = queued(), core.layers.database.images
    update, tries = records.update, []

    def conflict(image, changes, *, status=None):
        tries.append(1)
        update(image, {'min_ram': image.min_ram + 1})
        return update(image, changes, status=status)

    monkeypatch.setattr(records, 'update', conflict)

    with pytest.raises(contract.Conflict):
        core.use_cases.images.update(ctx, image.id, operations(core, ('add', 'p', 'x')))

    assert len(tries) == optimistic.TRIES


def test_deleting_an_image_deletes_its_data(core, ctx, active):
    image = active()

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)
    with pytest.raises(contract.NotFound):
        core.use_cases.images.delete(ctx, image.id)
    with pytest.raises(contract.NotFound):
        core.layers.stores.store_of(image.locations[0]).driver.size(image.locations[0].url)


def test_a_protected_image_is_not_deleted(core, ctx, active, reread):
    image = active(protected=True)

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.delete(ctx, image.id)

    assert reread(image) == image


def test_an_image_protected_during_its_deletion_is_not_deleted(
        core, ctx, active, reread, monkeypatch):
    image = active()
    records = core.layers.database.images
    delete = records.delete

    def protect_first(image, *, pending):
        if not reread(image).protected:
            core.use_cases.images.update(
                ctx, image.id, operations(core, ('replace', 'protected', True)))
        return delete(image, pending=pending)
    monkeypatch.setattr(records, 'delete', protect_first)

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.delete(ctx, image.id)

    assert reread(image).status == 'active'
    assert read_data(core, ctx, image) == b'data'


def test_an_image_with_missing_data_can_be_deleted(core, ctx, active):
    image = active()
    core.layers.stores.delete(image.locations[0])

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)


@pytest.mark.parametrize('refusal', [contract.InUse, contract.Forbidden, contract.Unavailable])
def test_an_image_is_unchanged_if_the_store_refuses_to_delete(
        core, ctx, active, reread, refusal, monkeypatch):
    image = active(tags=['tag'], color='red')
    store = core.layers.stores.store_of(image.locations[0]).driver
    monkeypatch.setattr(store, 'delete', raising(refusal('a clone uses it')))

    with pytest.raises(refusal):
        core.use_cases.images.delete(ctx, image.id)

    after = reread(image)
    assert (after.status, after.tags, dict(after.properties), after.locations) == (
        'active', ('tag',), {'color': 'red'}, image.locations)
    assert read_data(core, ctx, image) == b'data'


def test_a_failed_deletion_does_not_reactivate_an_image(core, ctx, active, reread, monkeypatch):
    image = active()
    core.use_cases.images.deactivate(ctx, image.id)
    monkeypatch.setattr(core.layers.stores.store_of(image.locations[0]).driver, 'delete',
                        raising(contract.InUse('a clone uses it')))

    with pytest.raises(contract.InUse):
        core.use_cases.images.delete(ctx, image.id)

    assert reread(image).status == 'deactivated'


def test_data_uploaded_just_before_the_deletion_is_deleted(core, ctx, queued, monkeypatch):
    image = queued()
    records = core.layers.database.images
    delete = records.delete
    uploaded = []

    def upload_first(image, *, pending):
        uploaded.append(core.use_cases.uploads.receive(ctx, image.id, iter([b'data'])))
        return delete(image, pending=pending)

    monkeypatch.setattr(records, 'delete', upload_first)

    core.use_cases.images.delete(ctx, image.id)

    location, = uploaded[0].locations
    with pytest.raises(contract.NotFound):
        core.layers.stores.store_of(location).driver.read(location.url)


def test_deactivating_twice_succeeds_and_emits_one_event(core, ctx, active, reread):
    recorder = Recorder()
    observed = service.exchange(core, notifiers=[recorder])
    image = active()

    observed.use_cases.images.deactivate(ctx, image.id)
    observed.use_cases.images.deactivate(ctx, image.id)

    assert reread(image).status == 'deactivated'
    assert recorder.types == ['image.update']


def test_only_images_with_data_can_be_deactivated(core, ctx, queued):
    with pytest.raises(contract.Forbidden):
        core.use_cases.images.deactivate(ctx, queued().id)


def test_a_listing_continues_after_a_page_emptied_by_the_policy(core, ctx, queued):
    class RefusesNameB(contract.PolicyEngine):
        def __init__(self):
            super().__init__(None, None)

        def enforce(self, ctx, action, image=None, *, member=None):
            if image is not None and image.name == 'b':
                raise contract.Forbidden('not this one')

    for name in ('c', 'b', 'a'):
        queued(name=name)
    restricted = service.exchange(core, policy=PolicyChain([RefusesNameB()]))
    query = ImageQuery(Viewer('owner'), limit=1, sort=(('name', 'asc'), ('id', 'asc')))
    pages, marker = [], None
    for _ in range(5):
        page = restricted.use_cases.images.list(ctx, query, marker)
        pages.append([image.name for image in page.images])
        marker = page.next_marker
        if marker is None:
            break

    assert pages == [['a'], [], ['c']]


def test_an_unknown_marker_is_invalid_and_a_hidden_one_forbidden(core, ctx, context, queued):
    hidden = queued(visibility='private')
    query = ImageQuery(Viewer('stranger'))

    with pytest.raises(contract.Invalid):
        core.use_cases.images.list(context('stranger'), query, str(uuid.uuid4()))
    with pytest.raises(contract.Forbidden):
        core.use_cases.images.list(context('stranger'), query, hidden.id)
