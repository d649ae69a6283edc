"""Images as such: who may do what to them, and what becomes of them."""

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


def operations(core, *steps):
    return patch.parse([{'op': op, 'path': f'/{name}', 'value': value}
                        for op, name, value in steps],
                       patch.DRAFT_10, core.schema.validate_attribute)


def test_a_new_image_is_queued_and_belongs_to_the_caller(core, ctx, queued, kept):
    image = queued(name='mine', tags=['b', 'a', 'b'])

    assert (image.status, image.owner, image.visibility) == ('queued', 'owner', 'shared')
    assert image.tags == ('a', 'b')
    assert uuid.UUID(image.id)
    assert kept(image) == image


def test_the_caller_may_choose_an_id_that_was_never_used(core, ctx, queued):
    chosen = str(uuid.uuid4())
    assert queued(id=chosen).id == chosen
    core.use_cases.images.delete(ctx, chosen)

    with pytest.raises(contract.Conflict):
        queued(id=chosen)


def test_an_image_for_somebody_else_is_made_by_an_administrator_only(core, ctx, admin):
    creation = core.schema.create({'owner': 'other'})

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.create(ctx, creation)

    assert core.use_cases.images.create(admin, creation).owner == 'other'


def test_a_public_image_is_made_by_an_administrator_only(core, ctx, admin):
    creation = core.schema.create({'visibility': 'public'})

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.create(ctx, creation)

    assert core.use_cases.images.create(admin, creation).visibility == 'public'


def test_a_read_only_attribute_is_refused_after_everything_else(core, ctx):
    with pytest.raises(contract.Forbidden, match='status'):
        core.use_cases.images.create(ctx, core.schema.create({'status': 'active'}))


def test_too_many_tags_are_refused(core, ctx, queued):
    queued(tags=[str(number) for number in range(128)])

    with pytest.raises(contract.QuotaExceeded):
        queued(tags=[str(number) for number in range(129)])


def test_an_image_of_others_is_hidden(core, context, queued):
    image = queued(visibility='private')

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(context('stranger'), image.id)


def test_a_patch_changes_everything_or_nothing(core, ctx, queued, kept):
    image = queued(name='old')

    with pytest.raises(contract.Conflict):
        core.use_cases.images.update(ctx, image.id, operations(
            core, ('replace', 'name', 'new'), ('replace', 'missing', 'x')))

    assert kept(image) == image


def test_an_empty_patch_changes_and_tells_nothing(core, ctx, queued, kept):
    recorder = Recorder()
    image = queued()

    service.exchange(core, notifiers=[recorder]).use_cases.images.update(ctx, image.id, [])

    assert kept(image) == image
    assert recorder.events == []


def test_a_property_that_is_one_too_many_is_refused(core, ctx, queued):
    image = queued(**{f'p{number}': 'x' for number in range(128)})
    core.use_cases.images.update(ctx, image.id, operations(core, ('replace', 'p1', 'y')))

    with pytest.raises(contract.QuotaExceeded):
        core.use_cases.images.update(ctx, image.id, operations(core, ('add', 'more', 'x')))


def test_a_change_of_visibility_needs_the_right_to_it(core, ctx, admin, queued):
    image = queued()

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.update(
            ctx, image.id, operations(core, ('replace', 'visibility', 'public'))
        )

    core.use_cases.images.update(
        admin, image.id, operations(core, ('replace', 'visibility', 'public'))
    )
    assert core.use_cases.images.get(ctx, image.id).visibility == 'public'


def test_patches_that_race_are_all_applied(core, ctx, queued, kept):
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

    assert sorted(kept(image).properties) == [f'p{number}' for number in range(8)]


def test_a_patch_that_always_loses_says_so(core, ctx, queued, monkeypatch):
    image, records = queued(), core.layers.database.images
    update, tries = records.update, []

    def too_late(image, changes, *, status=None):
        tries.append(1)
        update(image, {'min_ram': image.min_ram + 1})
        return update(image, changes, status=status)

    monkeypatch.setattr(records, 'update', too_late)

    with pytest.raises(contract.Conflict):
        core.use_cases.images.update(ctx, image.id, operations(core, ('add', 'p', 'x')))

    assert len(tries) == optimistic.TRIES


def test_a_deleted_image_takes_its_bytes_with_it(core, ctx, active):
    image = active()

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)
    with pytest.raises(contract.NotFound):
        core.use_cases.images.delete(ctx, image.id)
    with pytest.raises(contract.NotFound):
        core.layers.stores.store_of(image.locations[0]).driver.size(image.locations[0].url)


def test_a_protected_image_is_not_deleted(core, ctx, active, kept):
    image = active(protected=True)

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.delete(ctx, image.id)

    assert kept(image) == image


def test_an_image_that_is_protected_in_the_last_moment_is_not_deleted(core, ctx, active, kept,
                                                                      monkeypatch):
    image = active()
    records = core.layers.database.images
    delete = records.delete

    def late(image, *, pending):
        if not kept(image).protected:
            core.use_cases.images.update(
                ctx, image.id, operations(core, ('replace', 'protected', True))
            )
        return delete(image, pending=pending)
    monkeypatch.setattr(records, 'delete', late)

    with pytest.raises(contract.Forbidden):
        core.use_cases.images.delete(ctx, image.id)

    assert kept(image).status == 'active'
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == b'data'


def test_bytes_that_are_missing_do_not_keep_an_image(core, ctx, active):
    image = active()
    core.layers.stores.delete(image.locations[0])

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)


@pytest.mark.parametrize('refusal', [contract.InUse, contract.Forbidden, contract.Unavailable])
def test_an_image_whose_store_refuses_stays_as_it_was(core, ctx, active, kept, refusal,
                                                      monkeypatch):
    image = active(tags=['kept'], color='red')
    store = core.layers.stores.store_of(image.locations[0]).driver

    def refuse(url, *, ctx=None):
        raise refusal('a clone builds on it')

    monkeypatch.setattr(store, 'delete', refuse)

    with pytest.raises(refusal):
        core.use_cases.images.delete(ctx, image.id)

    after = kept(image)
    assert (after.status, after.tags, dict(after.properties), after.locations) == (
        'active', ('kept',), {'color': 'red'}, image.locations)
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == b'data'


def test_a_deletion_that_fails_reactivates_nothing(core, ctx, active, kept, monkeypatch):
    image = active()
    core.use_cases.images.deactivate(ctx, image.id)

    def refuse(url, *, ctx=None):
        raise contract.InUse('a clone builds on it')

    monkeypatch.setattr(core.layers.stores.store_of(image.locations[0]).driver, 'delete', refuse)
    with pytest.raises(contract.InUse):
        core.use_cases.images.delete(ctx, image.id)

    assert kept(image).status == 'deactivated'


def test_bytes_that_arrive_just_before_the_removal_go_with_it(core, ctx, queued, monkeypatch):
    image = queued()
    records = core.layers.database.images
    delete = records.delete
    uploaded = []

    def late(image, *, pending):
        uploaded.append(core.use_cases.uploads.receive(ctx, image.id, iter([b'data'])))
        return delete(image, pending=pending)

    monkeypatch.setattr(records, 'delete', late)

    core.use_cases.images.delete(ctx, image.id)

    location, = uploaded[0].locations
    with pytest.raises(contract.NotFound):
        core.layers.stores.store_of(location).driver.read(location.url)


def test_deactivating_twice_is_fine_and_told_once(core, ctx, active, kept):
    recorder = Recorder()
    watched = service.exchange(core, notifiers=[recorder])
    image = active()

    watched.use_cases.images.deactivate(ctx, image.id)
    watched.use_cases.images.deactivate(ctx, image.id)

    assert kept(image).status == 'deactivated'
    assert recorder.types == ['image.update']


def test_only_images_with_data_can_be_deactivated(core, ctx, queued):
    with pytest.raises(contract.Forbidden):
        core.use_cases.images.deactivate(ctx, queued().id)


def test_a_listing_goes_on_behind_a_page_that_the_policy_emptied(core, ctx, queued):
    class NotB(contract.PolicyEngine):
        def __init__(self):
            super().__init__(None, None)

        def enforce(self, ctx, action, image=None, *, member=None):
            if image is not None and image.name == 'b':
                raise contract.Forbidden('not this one')

    for name in ('c', 'b', 'a'):
        queued(name=name)
    choosy = service.exchange(core, policy=PolicyChain([NotB()]))
    query = ImageQuery(Viewer('owner'), limit=1, sort=(('name', 'asc'), ('id', 'asc')))
    seen, marker = [], None
    for _ in range(5):
        page = choosy.use_cases.images.list(ctx, query, marker)
        seen.append([image.name for image in page.images])
        marker = page.next_marker
        if marker is None:
            break

    assert seen == [['a'], [], ['c']]


def test_a_marker_that_is_unknown_is_invalid_and_a_hidden_one_forbidden(core, ctx, context,
                                                                        queued):
    hidden = queued(visibility='private')
    query = ImageQuery(Viewer('stranger'))

    with pytest.raises(contract.Invalid):
        core.use_cases.images.list(context('stranger'), query, str(uuid.uuid4()))
    with pytest.raises(contract.Forbidden):
        core.use_cases.images.list(context('stranger'), query, hidden.id)
