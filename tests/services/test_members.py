"""Members: who may add, accept and see them."""

import contextlib
import threading

import pytest

from glancelite import contract
from glancelite.contract import ImageQuery
from glancelite.services.chains import PolicyChain
from glancelite.testing import service


@pytest.fixture
def friend(context):
    return context('friend')


@pytest.fixture
def shared(core, ctx, active):
    image = active()
    core.use_cases.members.add(ctx, image.id, 'friend')
    return image


def test_a_member_sees_the_image_and_lists_it_once_it_has_accepted(core, friend, shared):
    def listed():
        listing = core.use_cases.images.list(friend, ImageQuery(friend.viewer))
        return [image.id for image in listing.images]

    assert core.use_cases.images.get(friend, shared.id).membership == 'pending'
    assert listed() == []

    core.use_cases.members.set_status(friend, shared.id, 'friend', 'accepted')

    assert listed() == [shared.id]


def test_the_owner_cannot_accept_for_a_member(core, ctx, shared):
    with pytest.raises(contract.Forbidden):
        core.use_cases.members.set_status(ctx, shared.id, 'friend', 'accepted')


def test_a_member_cannot_add_or_remove_members(core, friend, shared):
    with pytest.raises(contract.Forbidden):
        core.use_cases.members.add(friend, shared.id, 'another')
    with pytest.raises(contract.Forbidden):
        core.use_cases.members.remove(friend, shared.id, 'friend')


def test_the_owner_sees_all_members_and_a_member_itself(core, ctx, friend, shared):
    core.use_cases.members.add(ctx, shared.id, 'another')

    assert [member.member for member in core.use_cases.members.list(ctx, shared.id)] == [
        'friend', 'another']
    assert [member.member for member in core.use_cases.members.list(friend, shared.id)] == [
        'friend']
    with pytest.raises(contract.NotFound):
        core.use_cases.members.get(friend, shared.id, 'another')


@pytest.mark.parametrize('member', ['', 'x' * 256, None, 5, ['friend']])
def test_a_member_is_a_project_id(core, ctx, active, member):
    with pytest.raises(contract.Invalid):
        core.use_cases.members.add(ctx, active().id, member)


def test_a_member_cannot_be_added_twice(core, ctx, shared):
    with pytest.raises(contract.Conflict):
        core.use_cases.members.add(ctx, shared.id, 'friend')


def test_a_member_that_is_added_again_is_pending(core, ctx, friend, shared):
    core.use_cases.members.set_status(friend, shared.id, 'friend', 'accepted')
    core.use_cases.members.remove(ctx, shared.id, 'friend')

    assert core.use_cases.members.add(ctx, shared.id, 'friend').status == 'pending'


@pytest.mark.parametrize('call', ['add', 'list', 'remove'])
def test_only_shared_images_have_members(core, ctx, active, call):
    image = active(visibility='private')
    arguments = {'add': ['friend'], 'list': [], 'remove': ['friend']}[call]

    with pytest.raises(contract.Forbidden):
        getattr(core.use_cases.members, call)(ctx, image.id, *arguments)
    with pytest.raises(contract.NotFound):
        core.use_cases.members.get(ctx, image.id, 'friend')


@pytest.mark.parametrize('status', ['maybe', None, 1, ['accepted']])
def test_an_unknown_status_is_refused(core, friend, shared, status):
    with pytest.raises(contract.Invalid):
        core.use_cases.members.set_status(friend, shared.id, 'friend', status)


def test_concurrently_added_members_never_exceed_the_quota(core, ctx, active):
    image = active()
    for number in range(124):
        core.use_cases.members.add(ctx, image.id, f'm{number}')
    barrier, added = threading.Barrier(12), []

    def add(number):
        barrier.wait()
        with contextlib.suppress(contract.QuotaExceeded):
            added.append(core.use_cases.members.add(ctx, image.id, f'other{number}'))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(added) <= 4
    assert len(core.use_cases.members.list(ctx, image.id)) == 124 + len(added)


def test_a_caller_without_project_does_not_own_an_image_without_owner(core, admin):
    image = core.use_cases.images.create(admin, core.schema.create({'owner': None}))
    core.use_cases.members.add(admin, image.id, 'friend')
    unrestricted = service.exchange(core, policy=PolicyChain([]))

    assert unrestricted.use_cases.members.list(contract.Context(), image.id) == []


def test_the_list_of_members_is_filtered_by_the_policy_for_each(core, ctx, shared):
    class HidesFriend(contract.PolicyEngine):
        def enforce(self, ctx, action, image=None, *, member=None):
            if action == 'get_member' and member == 'friend':
                raise contract.Forbidden('not this one')

    core.use_cases.members.add(ctx, shared.id, 'another')
    limited = service.exchange(core, policy=PolicyChain([HidesFriend(None, None)]))

    assert [each.member for each in limited.use_cases.members.list(ctx, shared.id)] == ['another']
