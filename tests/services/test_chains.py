"""Many plugins as one: all must agree, the narrowest counts, nobody disturbs."""

import datetime

import pytest

from glancelite import contract
from glancelite.contract import Event, Image, QuotaRequest
from glancelite.services.chains import NotifierGroup, PolicyChain, QuotaChain
from glancelite.testing.fakes import Recorder

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
KEPT = Image('one', created_at=NOW)
PROPOSED = Image('one')


class Refuses(contract.PolicyEngine):
    """Refuses some actions."""

    def __init__(self, *actions, admin=None):
        super().__init__(None, None)
        self._verbs, self._admin = actions, admin

    def enforce(self, ctx, action, image=None, *, member=None):
        if action in self._verbs:
            raise contract.Forbidden(f'not {action}')

    def is_admin(self, ctx):
        return self._admin


class Allows(contract.QuotaEnforcer):

    def __init__(self, limit):
        super().__init__(None, None)
        self._limit = limit

    def check(self, ctx, ask):
        return self._limit


class Breaks(contract.Notifier):

    def notify(self, event):
        raise RuntimeError('the broker is away')


def event(event_type, ctx):
    return Event(event_type, {}, ctx, NOW)


def test_an_empty_policy_chain_allows(context):
    PolicyChain([]).enforce(context(), 'delete_image', KEPT)


def test_one_refusal_is_enough(context):
    chain = PolicyChain([Refuses(), Refuses('delete_image')])

    with pytest.raises(contract.Forbidden):
        chain.enforce(context(), 'delete_image', KEPT)


def test_a_refusal_hides_what_the_caller_may_not_see(context):
    chain = PolicyChain([Refuses('delete_image'), Refuses('get_image')])

    with pytest.raises(contract.NotFound):
        chain.enforce(context(), 'delete_image', KEPT)


def test_who_may_not_see_an_image_is_told_that_there_is_none(context):
    with pytest.raises(contract.NotFound):
        PolicyChain([Refuses('get_image')]).enforce(context(), 'get_image', KEPT)


def test_an_image_that_is_only_proposed_is_not_hidden(context):
    chain = PolicyChain([Refuses('add_image', 'get_image')])

    with pytest.raises(contract.Forbidden):
        chain.enforce(context(), 'add_image', PROPOSED)


def test_a_list_is_filtered_by_every_engine(context):
    class Not(contract.PolicyEngine):
        def __init__(self, name):
            super().__init__(None, None)
            self._name = name

        def enforce(self, ctx, action, image=None, *, member=None):
            if image.name == self._name:
                raise contract.Forbidden('not this one')

    images = [Image(name, name=name) for name in 'abc']

    left = PolicyChain([Not('a'), Not('c')]).filter(context(), 'get_image', images)

    assert [image.name for image in left] == ['b']


@pytest.mark.parametrize(('opinions', 'roles', 'admin'), [
    ([], ['admin'], True), ([], ['member'], False),
    ([None, False], ['admin'], False), ([True, False], ['member'], True)])
def test_the_first_opinion_decides_who_is_an_administrator(opinions, roles, admin, context):
    chain = PolicyChain([Refuses(admin=opinion) for opinion in opinions])

    assert chain.is_admin(context(roles=roles)) is admin


@pytest.mark.parametrize(('limits', 'narrowest'), [
    ([], None), ([None], None), ([5, None, 3], 3), ([0, 7], 0)])
def test_the_narrowest_limit_counts(limits, narrowest, context):
    chain = QuotaChain([Allows(limit) for limit in limits])

    assert chain.check(context(), QuotaRequest('upload_image')) == narrowest


def test_all_are_told_though_one_fails(context):
    first, last = Recorder(), Recorder()

    NotifierGroup([first, Breaks(None, None, name='broken'), last]).notify(
        event('image.create', context()))

    assert first.types == last.types == ['image.create']


@pytest.mark.parametrize(('disabled', 'event_type', 'listens'), [
    ([], 'image.create', True), (['image.create'], 'image.create', False),
    (['image'], 'image.create', False), (['image.member'], 'image.member.update', False),
    (['image.member'], 'image.update', True), (['image.mem'], 'image.member.update', True),
    (['task'], 'image.create', True)])
def test_types_are_disabled_by_whole_dotted_beginnings(disabled, event_type, listens):
    assert NotifierGroup([Recorder()], disabled).wants(event_type) is listens


def test_nobody_listens_without_a_notifier():
    assert not NotifierGroup([]).wants('image.create')
