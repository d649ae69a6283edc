"""Several plugins of a layer act as one."""

import datetime

import pytest

from glancelite import contract
from glancelite.contract import Event, Image, QuotaRequest
from glancelite.contract.metadef import Namespace
from glancelite.services.chains import NotifierGroup, PolicyChain, QuotaChain
from glancelite.testing.fakes import Recorder

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EXISTING = Image('one', created_at=NOW)
PROPOSED = Image('one')


class Refuses(contract.PolicyEngine):
    """Refuses these actions."""

    def __init__(self, *actions, admin=None):
        super().__init__(None, None)
        self._actions, self._admin = actions, admin

    def enforce(self, ctx, action, image=None, *, member=None):
        if action in self._actions:
            raise contract.Forbidden(f'not {action}')

    def is_admin(self, ctx):
        return self._admin


class LimitedTo(contract.QuotaEnforcer):

    def __init__(self, limit):
        super().__init__(None, None)
        self._limit = limit

    def check(self, ctx, request):
        return self._limit


class Breaks(contract.Notifier):

    def notify(self, event):
        raise RuntimeError('the broker does not answer')


def event(event_type, ctx):
    return Event(event_type, {}, ctx, NOW)


def test_an_empty_policy_chain_allows(context):
    PolicyChain([]).enforce(context(), 'delete_image', EXISTING)


def test_one_engine_that_refuses_is_enough(context):
    chain = PolicyChain([Refuses(), Refuses('delete_image')])

    with pytest.raises(contract.Forbidden):
        chain.enforce(context(), 'delete_image', EXISTING)


def test_a_refusal_becomes_not_found_for_an_invisible_image(context):
    chain = PolicyChain([Refuses('delete_image'), Refuses('get_image')])

    with pytest.raises(contract.NotFound):
        chain.enforce(context(), 'delete_image', EXISTING)


def test_an_image_that_must_not_be_seen_is_not_found(context):
    with pytest.raises(contract.NotFound):
        PolicyChain([Refuses('get_image')]).enforce(context(), 'get_image', EXISTING)


def test_a_refused_creation_is_forbidden_and_not_hidden(context):
    chain = PolicyChain([Refuses('add_image', 'get_image')])

    with pytest.raises(contract.Forbidden):
        chain.enforce(context(), 'add_image', PROPOSED)


@pytest.mark.parametrize('target', [None, Namespace('n', owner='q')])
def test_a_refusal_is_forbidden_only_to_those_who_may_see_a_namespace(context, target):
    sees = PolicyChain([Refuses('add_metadef_object')])
    sees_nothing = PolicyChain([Refuses('add_metadef_object', 'get_metadef_namespace')])

    with pytest.raises(contract.Forbidden, match='not add_metadef_object'):
        sees.enforce(context(), 'add_metadef_object', target)
    for action in ('add_metadef_object', 'get_metadef_namespace'):
        with pytest.raises(contract.NotFound, match='The resource could not be found'):
            sees_nothing.enforce(context(), action, target)


def test_a_list_is_filtered_by_every_engine(context):
    class RefusesName(contract.PolicyEngine):
        def __init__(self, name):
            super().__init__(None, None)
            self._name = name

        def enforce(self, ctx, action, image=None, *, member=None):
            if image.name == self._name:
                raise contract.Forbidden('not this one')

    images = [Image(name, name=name) for name in 'abc']

    chain = PolicyChain([RefusesName('a'), RefusesName('c')])

    remaining = chain.filter(context(), 'get_image', images)

    assert [image.name for image in remaining] == ['b']


@pytest.mark.parametrize(('answers', 'roles', 'admin'), [
    ([], ['admin'], True), ([], ['member'], False),
    ([None, False], ['admin'], False), ([True, False], ['member'], True)])
def test_the_first_engine_with_an_answer_decides_is_admin(answers, roles, admin, context):
    chain = PolicyChain([Refuses(admin=answer) for answer in answers])

    assert chain.is_admin(context(roles=roles)) is admin


@pytest.mark.parametrize(('limits', 'lowest'), [
    ([], None), ([None], None), ([5, None, 3], 3), ([0, 7], 0)])
def test_the_lowest_limit_counts(limits, lowest, context):
    chain = QuotaChain([LimitedTo(limit) for limit in limits])

    assert chain.check(context(), QuotaRequest('upload_image')) == lowest


def test_all_notifiers_are_notified_even_if_one_fails(context):
    first, last = Recorder(), Recorder()

    NotifierGroup([first, Breaks(None, None, name='broken'), last]).notify(
        event('image.create', context()))

    assert first.types == last.types == ['image.create']


@pytest.mark.parametrize(('disabled', 'event_type', 'enabled'), [
    ([], 'image.create', True), (['image.create'], 'image.create', False),
    (['image'], 'image.create', False), (['image.member'], 'image.member.update', False),
    (['image.member'], 'image.update', True), (['image.mem'], 'image.member.update', True),
    (['task'], 'image.create', True)])
def test_event_types_are_disabled_by_whole_dotted_prefixes(disabled, event_type, enabled):
    assert NotifierGroup([Recorder()], disabled).is_enabled(event_type) is enabled


def test_no_event_is_enabled_without_a_notifier():
    assert not NotifierGroup([]).is_enabled('image.create')
