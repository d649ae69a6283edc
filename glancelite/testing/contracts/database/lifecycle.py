"""Claims about deletes, leases, usage, members and what is written with a task."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from glancelite import contract
from glancelite.contract import Location, Viewer
from glancelite.testing.contracts.database.tasks import full, new
from glancelite.testing.contracts.database.values import SECOND, content, large, race, rich


class LifecycleContract:
    """Part of ``DatabaseContract``."""

    @pytest.mark.parametrize(('pending', 'status'), [(True, 'pending_delete'),
                                                     (False, 'deleted')])
    def test_a_deleted_image_is_gone(self, database, host, pending, status):
        images = database.images
        kept = images.add(rich(visibility='shared'))
        database.members.add(kept.id, 'm')
        host.advance(seconds=5)

        removed = images.delete(kept, pending=pending)

        assert removed == dataclasses.replace(
            kept, status=status, deleted_at=host.now(), updated_at=host.now(),
            revision=removed.revision, locations=tuple(
                dataclasses.replace(location, status=status) for location in kept.locations))
        assert list(database.members.list(kept.id)) == []
        for viewer in (None, Viewer('p'), Viewer('m'), Viewer('x', True)):
            with pytest.raises(contract.NotFound):
                images.get(kept.id, viewer=viewer)

    def test_a_delete_ignores_later_writes(self, images):
        stale = images.add(rich())
        images.update(stale, {'name': 'newer', 'tags': ('new',),
                              'locations': (Location('file:///new'),)})

        removed = images.delete(stale, pending=False)

        assert (removed.name, removed.tags) == ('newer', ('new',))
        assert [location.url for location in removed.locations] == ['file:///new']

    def test_a_delete_respects_later_protection(self, images):
        stale = images.add(rich(protected=False))
        kept = images.update(stale, {'protected': True})

        with pytest.raises(contract.Conflict):
            images.delete(stale, pending=True)

        assert images.get(kept.id, viewer=None) == kept
        assert images.delete(kept, pending=True).deleted_at

    def test_one_of_many_deletes_wins(self, images):
        kept = images.add(rich())

        won = race(8, lambda n: images.delete(kept, pending=True))

        assert len(won) == 1

    def test_a_pending_delete_can_be_undone(self, database, host):
        images, members = database.images, database.members
        kept = images.add(rich())
        for name in ('m', 'n', 'm'):      # at the same time
            members.add(kept.id, name, status='accepted')
            members.remove(kept.id, name)
        members.add(kept.id, 'm', status='rejected')
        kept = images.update(kept, {'tags': ('b', 'c'), 'properties': {'k': 'v'},
                                    'locations': kept.locations[:1]})
        before = list(members.list(kept.id))
        removed = images.delete(kept, pending=True)
        host.advance(seconds=5)

        back = images.undelete(removed)

        assert back == dataclasses.replace(
            kept, updated_at=host.now(), revision=back.revision)
        assert back.revision > removed.revision
        assert images.get(kept.id, viewer=None) == back
        assert list(members.list(kept.id)) == before
        assert images.update(back, {'tags': ()}).tags == ()

    @pytest.mark.parametrize('status', ['active', 'deactivated', 'queued', 'killed', 'uploading'])
    def test_an_undeleted_image_has_its_former_status(self, images, status):
        kept = images.add(rich(status=status))

        back = images.undelete(images.delete(kept, pending=True))

        assert back.status == status
        assert images.get(kept.id, viewer=None) == back
        assert {location.status for location in back.locations} == {'active'}

    def test_the_status_before_a_deletion_is_that_of_the_last_one(self, images):
        image = images.add(rich(status='saving'))
        for status in ('deactivated', 'active', 'killed'):
            image = images.update(image, {'status': status})
            image = images.undelete(images.delete(image, pending=True))
            assert image.status == status

        undeleted = images.undelete(images.delete(image, pending=True), status='active')

        assert undeleted.status == images.get(image.id, viewer=None).status == 'active'

    def test_a_pending_deletion_is_found_by_the_id_of_its_image(self, images, host):
        others = [images.delete(images.add(rich()), pending=True) for _ in range(3)]
        kept = images.add(rich(status='deactivated'))
        host.advance(seconds=5)
        removed = images.delete(kept, pending=True)

        assert images.pending_deletion(kept.id) == (removed, 'deactivated')
        assert images.pending_deletion(kept.id.upper()) == (removed, 'deactivated')
        assert images.pending_deletion(others[1].id) == (others[1], 'active')

    def test_what_is_not_pending_deletion_is_not_found_as_such(self, images):
        live = images.add(rich())
        final = images.delete(images.add(rich()), pending=False)
        scrubbed = images.delete(images.add(rich()), pending=True)
        images.complete_delete(scrubbed)
        back = images.undelete(images.delete(images.add(rich()), pending=True))

        for image_id in (live.id, final.id, scrubbed.id, back.id, str(uuid.uuid4()), 'a\0b',
                         '\ud800', ''):
            with pytest.raises(contract.NotFound):
                images.pending_deletion(image_id)

    def test_only_pending_deletes_can_be_undone(self, images):
        final = images.delete(images.add(rich()), pending=False)
        scrubbed = images.delete(images.add(rich()), pending=True)
        images.complete_delete(scrubbed)
        twice = images.delete(images.add(rich()), pending=True)
        images.undelete(twice)

        for image in (final, scrubbed, twice, rich(deleted_at=final.deleted_at)):
            with pytest.raises(contract.Conflict):
                images.undelete(image)

    def test_only_pending_deletes_are_completed(self, images):
        live = images.add(rich())
        back = images.undelete(images.delete(images.add(rich()), pending=True))
        final = images.delete(images.add(rich()), pending=False)

        for image in (live, back, final, rich()):
            images.complete_delete(image)

        assert [images.get(image.id, viewer=None) for image in (live, back)] == [live, back]

    def test_a_lease_is_renewed_without_a_new_revision(self, images, host):
        saving = images.add(rich(status='saving', lease_until=host.now()))
        other = images.add(rich())
        until = host.now() + 60 * SECOND
        longer = images.add(rich(lease_until=until + SECOND))
        host.advance(seconds=5)

        images.renew_leases([saving.id, other.id, longer.id, 'unknown', 'a\0b'], until=until)
        images.renew_leases([], until=until)

        assert images.get(saving.id, viewer=None) == dataclasses.replace(
            saving, lease_until=until)
        assert images.get(other.id, viewer=None) == other
        assert images.get(longer.id, viewer=None) == longer
        assert images.update(saving, {'status': 'active'}).status == 'active'

    def test_finds_abandoned_work(self, images, host):
        now = host.now()
        late = images.add(rich(status='saving', lease_until=now - SECOND))
        images.add(rich(status='saving', lease_until=now + SECOND))
        images.add(rich(status='saving'))
        copied = images.add(rich(status='active', lease_until=now - SECOND))
        pending = images.delete(images.add(rich()), pending=True)
        images.delete(images.add(rich()), pending=False)
        images.complete_delete(images.delete(images.add(rich()), pending=True))

        def found(**ask):
            return {image.id: image for image in images.unfinished(**ask)}

        assert found(now=now, deleted_before=now - SECOND) == {late.id: late, copied.id: copied}
        assert found(now=now - 60 * SECOND, deleted_before=now + SECOND) == {pending.id: pending}
        assert found(now=now, deleted_before=now + SECOND).keys() == {
            late.id, copied.id, pending.id}
        assert len(images.unfinished(now=now, deleted_before=now + SECOND, limit=1)) == 1

    def test_unfinished_images_can_be_read_in_batches(self, images, host):
        now = host.now()
        for ago in (3, 2, 2, 2):    # some at the same time
            images.add(rich(status='saving', lease_until=now - ago * SECOND))
        for _ in range(4):
            images.delete(images.add(rich()), pending=True)
        host.advance(seconds=5)
        for _ in range(2):
            images.delete(images.add(rich()), pending=True)
        host.advance(seconds=5)

        whole = images.unfinished(now=now, deleted_before=host.now())
        for size in range(1, 5):
            pieces, last = [], None
            while found := images.unfinished(now=now, deleted_before=host.now(), limit=size,
                                             after=last):
                assert len(found) <= size
                pieces += found
                last = found[-1]
            assert pieces == list(whole)

        assert len({image.id for image in whole}) == 10
        assert [image.status for image in whole] == ['saving'] * 4 + ['pending_delete'] * 6
        assert [image.lease_until for image in whole[:4]] == [
            now - ago * SECOND for ago in (3, 2, 2, 2)]

    def test_large_unfinished_images_are_read_in_batches(self, images, host):
        now = host.now()
        added = [images.add(large(30, lease_until=now - SECOND)) for _ in range(3)]
        gone = [images.delete(images.add(large(30)), pending=True) for _ in range(3)]
        host.advance(seconds=5)

        found, last = [], None
        while batch := images.unfinished(now=now, deleted_before=host.now(), after=last):
            assert content(batch) <= contract.query.PAGE_SIZE
            found += batch
            last = dataclasses.replace(batch[-1], properties={}, tags=(), locations=())

        assert found == [*sorted(added, key=lambda image: image.id),
                         *sorted(gone, key=lambda image: image.id)]

    def test_unfinished_deletes_can_be_undone_or_completed(self, images, host):
        one, two = images.add(rich()), images.add(rich())
        images.delete(one, pending=True)
        images.delete(two, pending=True)
        host.advance(seconds=5)
        found = {i.id: i for i in images.unfinished(now=host.now(), deleted_before=host.now())}

        images.undelete(found[one.id])
        images.complete_delete(found[two.id])

        assert images.get(one.id, viewer=None).locations == one.locations
        assert list(images.unfinished(now=host.now(), deleted_before=host.now())) == []

    def test_a_large_image_can_be_read_changed_deleted_and_undeleted(self, images):
        image = images.add(large(
            90, tags=tuple(f'{n:03}' * 80 for n in range(100)),
            locations=tuple(Location(f'u:{n}', {'text': 'x' * 60_000}) for n in range(10))))

        assert images.get(image.id, viewer=Viewer('p')) == image
        changed = images.update(images.get(image.id, viewer=None), {'name': 'changed'})
        assert images.get(image.id, viewer=None) == changed
        deleted = images.delete(changed, pending=True)
        assert deleted.properties == image.properties
        assert images.pending_deletion(image.id) == (deleted, 'active')
        restored = images.undelete(deleted)
        assert images.get(image.id, viewer=None) == restored
        assert dataclasses.replace(restored, name=image.name, updated_at=image.updated_at,
                                   revision=image.revision) == image

    def test_counts_what_a_project_holds(self, images):
        one, two = (Location('u:1'),), (Location('u:1'), Location('u:2'))
        leaving = (*one, Location('u:3', status='pending_delete'))
        for fields in (
                {'status': 'active', 'size': 10, 'locations': one},
                {'status': 'deactivated', 'size': 100, 'locations': two, 'os_hidden': True},
                {'status': 'saving', 'size': 1000},
                {'status': 'saving', 'size': None},
                {'status': 'uploading', 'size': 20_000},
                {'status': 'importing', 'size': 30_000},
                {'status': 'queued', 'size': None},
                {'status': 'killed', 'size': 1 << 30, 'locations': one}):
            images.add(rich(None, **{'owner': 'counted', 'locations': (), **fields}))
        images.add(rich(owner='other'))
        images.delete(images.add(rich(owner='counted')), pending=True)
        active = images.add(rich(owner='counted', size=5, locations=two))
        images.update(images.update(active, {'locations': leaving}), {'size': 7})

        assert images.usage('counted') == contract.Usage(
            images=8, bytes=10 + 200 + 1000 + 30_000 + 7, staged=50_000, uploading=4)
        assert images.usage('nobody') == contract.Usage()
        assert images.usage('a\0b') == contract.Usage()

    # --- members

    def test_members_come_in_order_and_complete(self, database, host):
        kept = database.images.add(rich())
        first = database.members.add(kept.id, 'z')
        host.advance(seconds=1)
        second = database.members.add(kept.id, 'a', status='accepted')

        assert first == contract.Member(kept.id, 'z', 'pending', first.created_at,
                                        first.created_at)
        assert second.created_at == host.now()
        assert list(database.members.list(kept.id)) == [first, second]
        assert list(database.members.list(str(uuid.uuid4()))) == []

    def test_a_member_changes_status(self, database, host):
        kept = database.images.add(rich())
        added = database.members.add(kept.id, 'm')
        host.advance(seconds=1)

        changed = database.members.update(kept.id, 'm', status='accepted')

        assert changed == dataclasses.replace(added, status='accepted', updated_at=host.now())
        assert list(database.members.list(kept.id)) == [changed]

    def test_a_removed_member_can_be_added_again(self, database, host):
        kept = database.images.add(rich())
        for _ in range(3):
            database.members.add(kept.id, 'm', status='accepted')
            removed = database.members.remove(kept.id, 'm')
            assert (removed.status, removed.deleted_at) == ('accepted', host.now())
        host.advance(seconds=1)

        again = database.members.add(kept.id, 'm')

        assert (again.status, again.created_at) == ('pending', host.now())
        assert list(database.members.list(kept.id)) == [again]

    def test_similar_members_are_distinct(self, database):
        kept = database.images.add(rich())
        database.members.add(kept.id, 'm')

        database.members.add(kept.id, 'M')
        with pytest.raises(contract.Conflict):
            database.members.add(kept.id, 'm')
        for missing in ('x', 'm ', 'a\0b', '\ud800', ''):
            with pytest.raises(contract.NotFound):
                database.members.update(kept.id, missing, status='accepted')
            with pytest.raises(contract.NotFound):
                database.members.remove(kept.id, missing)

        assert [member.member for member in database.members.list(kept.id)] == ['m', 'M']

    def test_one_of_many_adds_a_member(self, database):
        kept = database.images.add(rich())

        won = race(8, lambda n: database.members.add(kept.id, 'm'))

        assert list(database.members.list(kept.id)) == won

    def test_members_need_an_image(self, database):
        kept = database.images.add(rich())
        database.members.add(kept.id, 'm')
        database.images.delete(kept, pending=False)

        for ask in (lambda: database.members.add(kept.id, 'n'),
                    lambda: database.members.add(str(uuid.uuid4()), 'n'),
                    lambda: database.members.update(kept.id, 'm', status='accepted'),
                    lambda: database.members.remove(kept.id, 'm')):
            with pytest.raises(contract.NotFound):
                ask()

    # --- with a task

    def test_a_task_is_added_together_with_a_change_of_its_image(self, database, images):
        image = images.add(rich(tags=('a',)))
        tasks, given = database.tasks, full(image_id=image.id)

        task, written = tasks.add_and_update(
            given, image, {'properties': {'lock': given.id}, 'tags': ('b',), 'name': 'n'})

        assert tasks.get(given.id) == task
        assert dataclasses.replace(task, created_at=None, updated_at=None) == given
        assert images.get(image.id, viewer=None) == written
        assert (written.name, written.tags, written.properties) == ('n', ('b',), {
            'lock': given.id})

    def test_neither_is_written_if_one_cannot(self, database, images):
        tasks = database.tasks
        image, kept = images.add(rich()), tasks.add(new())
        changed = images.update(image, {'name': 'changed'})
        ghost = dataclasses.replace(image, id=str(uuid.uuid4()))
        task = new()
        for error, args in (
                (contract.Conflict, (task, image)), (contract.NotFound, (task, ghost)),
                (contract.Conflict, (dataclasses.replace(task, id=kept.id), changed))):
            with pytest.raises(error):
                tasks.add_and_update(*args, {'name': 'lost', 'properties': {'lost': 'yes'}})

        assert images.get(image.id, viewer=None) == changed
        with pytest.raises(contract.NotFound):
            tasks.get(task.id)
        assert tasks.get(kept.id) == kept

    def test_of_many_tasks_at_once_for_one_revision_one_is_added(self, database, images):
        image, tasks = images.add(rich()), database.tasks

        won = race(8, lambda n: tasks.add_and_update(new(), image, {'name': str(n)}))

        assert [written for _, written in won] == [images.get(image.id, viewer=None)]
