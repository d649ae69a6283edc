"""The suite for databases.  Subclass ``DatabaseContract`` and override ``database``.

The database must be empty, and use the ``host`` fixture, whose clock the suite sets.  Leases of
tasks may be measured with another clock.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import uuid

import pytest

from glancelite import contract
from glancelite.contract import Image, ImageQuery, Location, Viewer
from glancelite.testing.contracts.database.lifecycle import LifecycleContract
from glancelite.testing.contracts.database.listing import ListingContract
from glancelite.testing.contracts.database.metadef_items import MetadefItemContract
from glancelite.testing.contracts.database.metadef_listing import MetadefListingContract
from glancelite.testing.contracts.database.metadef_merging import MetadefMergingContract
from glancelite.testing.contracts.database.metadefs import MetadefContract
from glancelite.testing.contracts.database.task_listing import TaskListingContract
from glancelite.testing.contracts.database.task_removal import TaskRemovalContract
from glancelite.testing.contracts.database.tasks import TaskContract
from glancelite.testing.contracts.database.values import (
    IMPOSSIBLE,
    ODD,
    SECOND,
    SIMILAR,
    race,
    rich,
)

NOBODY = Viewer()


class DatabaseContract(LifecycleContract, ListingContract, TaskContract, TaskListingContract,
                       TaskRemovalContract, MetadefContract, MetadefItemContract,
                       MetadefListingContract, MetadefMergingContract):

    @pytest.fixture
    def database(self, host):
        raise NotImplementedError('override the `database` fixture')

    @pytest.fixture
    def images(self, database):
        return database.images

    @pytest.fixture
    def members(self, database):
        return database.members

    # --- adding and reading

    def test_keeps_every_field(self, images, host):
        given = rich(attempt=2, lease_until=host.now() + SECOND, os_hidden=True)

        kept = images.add(given)

        assert kept == dataclasses.replace(
            given, created_at=host.now(), updated_at=host.now(), revision=kept.revision)
        assert images.get(given.id, viewer=None) == kept

    def test_keeps_what_is_unset_unset(self, images):
        kept = images.add(Image(str(uuid.uuid4())))

        assert images.get(kept.id, viewer=None) == kept
        assert (kept.name, kept.owner, kept.size, kept.tags, kept.locations) == (
            None, None, None, (), ())
        assert dict(kept.properties) == {}

    def test_tags_come_back_sorted_and_once(self, images):
        kept = images.add(rich(tags=('b', 'B', 'a', 'b')))

        assert kept.tags == ('B', 'a', 'b')
        assert images.get(kept.id, viewer=None).tags == ('B', 'a', 'b')

    def test_later_changes_of_the_dict_have_no_effect(self, images):
        properties = {'k': 'v'}
        kept = images.add(rich(properties=properties))

        properties['k'] = 'changed'

        assert dict(images.get(kept.id, viewer=None).properties) == {'k': 'v'}

    def test_similar_texts_of_an_image_are_distinct(self, database):
        images, members = database.images, database.members
        kept = images.add(rich(tags=SIMILAR, properties={text: text for text in SIMILAR}))
        for text in SIMILAR:
            members.add(kept.id, text)

        assert images.get(kept.id, viewer=None) == kept
        assert kept.tags == tuple(sorted(SIMILAR))
        assert {member.member for member in members.list(kept.id)} == set(SIMILAR)

    @pytest.mark.parametrize('text', SIMILAR, ids=ascii)
    def test_a_change_of_a_text_leaves_similar_ones_alone(self, images, text):
        others = tuple(other for other in SIMILAR if other != text)
        kept = images.add(rich(tags=others, properties=dict.fromkeys(others, 'other')))

        both = images.update(kept, {'tags': SIMILAR, 'properties': {
            **kept.properties, text: 'new'}})
        assert images.get(kept.id, viewer=None) == both
        back = images.update(both, {'tags': others, 'properties': kept.properties})

        assert images.get(kept.id, viewer=None) == back
        assert (back.tags, dict(back.properties)) == (kept.tags, dict(kept.properties))

    @pytest.mark.parametrize('text', ODD, ids=ascii)
    def test_odd_texts_survive(self, images, text):
        given = rich(name=text, owner=text, tags=(text, 'plain'),
                     properties={text or 'k': text, 'z': text},
                     locations=(Location(f'file:///{text}', {'store': text}),))
        kept = images.add(given)

        found = images.get(kept.id, viewer=None)

        assert found == kept
        assert (found.name, dict(found.properties)) == (text, dict(given.properties))
        assert found.locations == given.locations

    def test_long_values_survive(self, images):
        properties = {f'key{n}': 'v' * 60_000 for n in range(40)}

        kept = images.add(rich(properties=properties))

        assert dict(images.get(kept.id, viewer=None).properties) == properties

    def test_an_id_can_be_used_once(self, images):
        kept = images.add(rich())

        with pytest.raises(contract.Conflict):
            images.add(rich(kept.id, name='another'))

        assert images.get(kept.id, viewer=None) == kept

    def test_an_id_stays_used_after_a_delete(self, images):
        for pending in (True, False):
            kept = images.add(rich())
            images.delete(kept, pending=pending)

            with pytest.raises(contract.Conflict):
                images.add(rich(kept.id))

    def test_a_withdrawn_image_is_gone(self, images):
        kept = images.add(rich(owner='withdrawing'))

        images.withdraw(kept)

        with pytest.raises(contract.NotFound):
            images.get(kept.id, viewer=None)
        assert images.usage('withdrawing').images == 0
        with pytest.raises(contract.NotFound):
            images.withdraw(kept)
        assert images.list(ImageQuery(Viewer(is_admin=True), visibility='all')).items == ()

    def test_a_changed_image_is_withdrawn_as_well(self, images):
        kept = images.add(rich())
        images.update(kept, {'tags': ('b',)})

        images.withdraw(kept)

        with pytest.raises(contract.NotFound):
            images.get(kept.id, viewer=None)

    def test_only_one_of_many_gets_an_id(self, images):
        image_id = str(uuid.uuid4())

        won = race(16, lambda n: images.add(rich(image_id, name=str(n))))

        assert len(won) == 1
        assert images.get(image_id, viewer=None) == won[0]

    @pytest.mark.parametrize('image_id', IMPOSSIBLE, ids=lambda text: ascii(text)[:20])
    def test_an_impossible_id_is_not_found(self, database, image_id):
        images, members = database.images, database.members
        ghost = rich(image_id, revision=0)

        for ask in (lambda: images.get(image_id, viewer=None),
                    lambda: images.get(image_id, viewer=NOBODY),
                    lambda: images.update(ghost, {'name': 'n'}),
                    lambda: images.delete(ghost, pending=False),
                    lambda: members.add(image_id, 'p'),
                    lambda: members.update(image_id, 'p', status='accepted'),
                    lambda: members.remove(image_id, 'p')):
            with pytest.raises(contract.NotFound):
                ask()

        assert list(members.list(image_id)) == []

    def test_an_id_is_found_in_lower_and_upper_case(self, images):
        lower = images.add(rich(f'abcdef{str(uuid.uuid4())[6:]}'))
        upper = images.add(rich(f'ABCDEF{str(uuid.uuid4())[6:].upper()}'))

        for kept in (lower, upper):
            for form in (kept.id, kept.id.lower(), kept.id.upper()):
                assert images.get(form, viewer=None) == kept
            for other in (kept.id + ' ', ' ' + kept.id, kept.id[:-1]):
                with pytest.raises(contract.NotFound):
                    images.get(other, viewer=None)

    def test_an_id_is_used_in_lower_and_upper_case(self, images):
        lower = images.add(rich(f'abcdef{str(uuid.uuid4())[6:]}'))
        upper = images.add(rich(f'ABCDEF{str(uuid.uuid4())[6:].upper()}'))

        for kept in (lower, upper):
            for form in (kept.id, kept.id.lower(), kept.id.upper()):
                assert images.is_used(form)
        assert not images.is_used(str(uuid.uuid4()))

    def test_the_id_of_a_deleted_image_stays_used_in_lower_and_upper_case(self, images):
        for image_id in (f'abcdef{str(uuid.uuid4())[6:]}',
                         f'ABCDEF{str(uuid.uuid4())[6:].upper()}'):
            images.delete(images.add(rich(image_id)), pending=False)
            for form in (image_id, image_id.lower(), image_id.upper()):
                assert images.is_used(form)

    def test_of_two_ids_in_different_case_the_one_as_given_is_found(self, images):
        lower = images.add(rich(f'abcdef{str(uuid.uuid4())[6:]}'))
        upper = images.add(rich(lower.id.upper()))

        assert images.get(lower.id, viewer=None) == lower
        assert images.get(upper.id, viewer=None) == upper

    def test_many_threads_read_and_write(self, images):
        def one(n):
            kept = images.add(rich(properties={'n': str(n)}))
            kept = images.update(kept, {'properties': {'n': str(n), 'more': 'm'}})
            return images.get(kept.id, viewer=None) == kept

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(one, range(40)))

    # --- visibility

    @pytest.mark.parametrize('visibility', contract.VISIBILITIES)
    @pytest.mark.parametrize('owner', [None, 'p', 'q'])
    def test_get_shows_an_image_as_the_contract_defines(self, database, visibility, owner):
        kept = database.images.add(rich(visibility=visibility, owner=owner))
        database.members.add(kept.id, 'm', status='rejected')

        for viewer in (NOBODY, Viewer('p'), Viewer('q'), Viewer('m'), Viewer('x', True)):
            looked = dataclasses.replace(
                kept, membership='rejected' if viewer.project == 'm' else None)
            if viewer.may_see(looked):
                assert database.images.get(kept.id, viewer=viewer) == looked
            else:
                with pytest.raises(contract.NotFound):
                    database.images.get(kept.id, viewer=viewer)

    def test_membership_is_that_of_the_viewer(self, database):
        kept = database.images.add(rich(visibility='shared'))
        database.members.add(kept.id, 'm', status='accepted')
        database.members.add(kept.id, 'n')

        seen = [database.images.get(kept.id, viewer=viewer).membership
                for viewer in (Viewer('m'), Viewer('n'), Viewer('p'), Viewer('n', True), None)]

        assert seen == ['accepted', 'pending', None, 'pending', None]

    # --- updating

    def test_returns_the_image_as_written(self, images, host):
        kept = images.add(rich())
        host.advance(seconds=5)
        changes = {'name': None, 'status': 'deactivated', 'size': 7, 'os_hidden': True,
                   'attempt': 1, 'lease_until': host.now(), 'visibility': 'public',
                   'protected': False, 'tags': ('c', 'b'), 'properties': {'k': 'w', 'n': ''},
                   'locations': (Location('file:///3', {'store': 'slow'}),)}

        written = images.update(kept, changes)

        assert written == dataclasses.replace(kept, **{
            **changes, 'tags': ('b', 'c')}, updated_at=host.now(), revision=kept.revision + 1)
        assert images.get(kept.id, viewer=None) == written

    @pytest.mark.parametrize(('field', 'steps'), [
        ('tags', [('a',), (), ('a', 'b'), ('b',), ('a', 'A'), ()]),
        ('properties', [{'a': '1'}, {}, {'a': '2', 'b': '1'}, {'b': '2'}, {'a': '1'},
                        {'A': '1', 'b': '2'}, {}]),
        ('locations', [
            (Location('u:1', {'a': 1}),), (),
            (Location('u:1', {'a': 2}), Location('u:2')),
            (Location('u:2'), Location('u:1', {'a': 2})),
            (Location('u:1', {'a': 3}), Location('u:3')),
            (Location('u:0'), Location('u:1', {'a': 3}), Location('u:3')),
            (Location('u:3', status='pending_delete'), Location('u:3')), ()]),
    ])
    def test_collections_are_replaced_as_a_whole(self, images, field, steps):
        image = images.add(Image(str(uuid.uuid4())))

        for value in steps:
            image = images.update(image, {field: value})

            again = images.get(image.id, viewer=None)
            assert again == image
            assert again.properties == value if field == 'properties' else (
                getattr(again, field) == tuple(sorted(value) if field == 'tags' else value))

    def test_keeps_the_membership_of_the_reader(self, database):
        kept = database.images.add(rich(visibility='shared'))
        database.members.add(kept.id, 'm', status='accepted')
        seen = database.images.get(kept.id, viewer=Viewer('m'))

        assert database.images.update(seen, {'name': 'n'}).membership == 'accepted'

    def test_an_update_without_changes_is_a_write(self, images):
        kept = images.add(rich())

        written = images.update(kept, {})

        assert written.revision == kept.revision + 1

    def test_a_stale_update_is_a_conflict_that_names_the_present_state(self, images):
        stale = images.add(rich())
        present = images.update(stale, {'status': 'deactivated', 'tags': ('kept',)})

        with pytest.raises(contract.Conflict) as refused:
            images.update(stale, {'name': 'lost', 'tags': (), 'properties': {}})

        assert refused.value.details == {'status': 'deactivated', 'revision': present.revision}
        assert images.get(stale.id, viewer=None) == present

    def test_an_unexpected_status_is_a_conflict(self, images):
        kept = images.add(rich(status='queued'))

        with pytest.raises(contract.Conflict) as refused:
            images.update(kept, {'status': 'active'}, status={'saving', 'importing'})
        written = images.update(kept, {'status': 'saving'}, status={'queued', 'killed'})

        assert refused.value.details == {'status': 'queued', 'revision': kept.revision}
        assert written.status == 'saving'

    @pytest.mark.parametrize('changes', [{'name': 'n'}, {'tags': ('t',)}])
    def test_a_deleted_image_is_not_updated(self, images, changes):
        kept = images.add(rich())
        images.delete(kept, pending=True)

        with pytest.raises(contract.NotFound):
            images.update(kept, changes)
        with pytest.raises(contract.NotFound):
            images.update(rich(), changes)

    @pytest.mark.parametrize('field', ['id', 'revision', 'membership', 'created_at',
                                       'updated_at', 'deleted_at', 'no_such_field'])
    def test_unknown_fields_raise_a_type_error(self, images, field):
        kept = images.add(rich())

        with pytest.raises(TypeError):
            images.update(kept, {field: None})

        assert images.get(kept.id, viewer=None) == kept

    def test_one_of_many_writers_wins(self, images):
        kept = images.add(rich())

        won = race(16, lambda n: images.update(
            kept, {'name': str(n), 'properties': {'writer': str(n), 'k': 'v'},
                   'tags': (str(n),)}))

        assert len(won) == 1
        assert images.get(kept.id, viewer=None) == won[0]

    # --- processes and health

    def test_another_instance_has_the_same_images_unless_it_is_volatile(self, database):
        kept = database.images.add(rich(visibility='shared'))
        other = type(database)(database.options, database.host, name=database.name,
                               conf=database.conf)

        try:
            if database.VOLATILE:
                with pytest.raises(contract.NotFound):
                    other.images.get(kept.id, viewer=None)
                return
            assert other.images.get(kept.id, viewer=None) == kept
            written = other.images.update(kept, {'name': 'by the other'})
            other.members.add(kept.id, 'm')
            with pytest.raises(contract.Conflict):
                database.images.update(kept, {'name': 'lost'})
            assert database.images.get(kept.id, viewer=Viewer('m')) == dataclasses.replace(
                written, membership='pending')
            assert database.images.list(ImageQuery(Viewer('p'))).items == (written,)
            database.images.delete(written, pending=False)
            with pytest.raises(contract.NotFound):
                other.images.get(kept.id, viewer=None)
            with pytest.raises(contract.Conflict):
                other.images.add(rich(kept.id))
        finally:
            other.close()

    def test_one_of_many_writers_in_two_processes_wins(self, database):
        kept = database.images.add(rich())
        both = [database, database if database.VOLATILE else type(database)(
            database.options, database.host, name=database.name, conf=database.conf)]

        won = race(8, lambda n: both[n % 2].images.update(kept, {'name': str(n)}))

        assert len(won) == 1
        assert [each.images.get(kept.id, viewer=None) for each in both] == won * 2
        if both[1] is not database:
            both[1].close()

    def test_reports_its_health_and_version(self, database):
        database.sync()

        assert database.health()
        assert database.behind() is False
        assert isinstance(database.version(), str)
