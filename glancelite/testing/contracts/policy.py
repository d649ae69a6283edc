"""The suite for policy engines.  Subclass ``PolicyContract`` and override ``policy``.

The suite does not require what is allowed, only that the methods agree with each other.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.contract.metadef import NAMESPACE_VISIBILITIES, Namespace

ACTIONS = (
    'add_image', 'get_image', 'get_images', 'modify_image', 'delete_image', 'publicize_image',
    'communitize_image', 'upload_image', 'download_image', 'deactivate', 'reactivate',
    'get_image_location', 'set_image_location', 'delete_image_location', 'add_image_location',
    'fetch_image_location', 'add_member', 'get_member', 'get_members', 'modify_member',
    'delete_member', 'stores_info_detail',
)
METADEF_ACTIONS = (
    'get_metadef_namespace', 'get_metadef_namespaces', 'add_metadef_namespace',
    'modify_metadef_namespace', 'delete_metadef_namespace', 'get_metadef_objects',
    'add_metadef_object', 'list_metadef_resource_types', 'get_metadef_resource_type',
    'add_metadef_resource_type_association', 'get_metadef_property', 'remove_metadef_property',
    'get_metadef_tags', 'add_metadef_tags', 'delete_metadef_tags',
)
CALLERS = (
    Context(),
    Context(read_only=True),
    Context(user='u', project='p', roles=frozenset({'reader'})),
    Context(user='u', project='p', roles=frozenset({'member', 'reader'})),
    Context(user='u', project='q', roles=frozenset({'Member', 'Reader'})),
    Context(user='u', roles=frozenset({'member', 'reader'})),
    Context(user='s', project='services', roles=frozenset({'service'})),
    Context(user='u', project='p', roles=frozenset({'member'}),
            service_roles=frozenset({'service'})),
    Context(user='a', project='p', roles=frozenset({'admin'}), is_admin=True),
    Context(user='a', roles=frozenset({'admin'}), system_scope='all', is_admin=True),
    Context(user='a', roles=frozenset({'admin'}), domain='default'),
)


def some_images(count, seed=7):
    """Return images that differ in all that a decision may depend on."""
    chance = random.Random(seed)
    return [Image(
        id=f'{number:036}', name=chance.choice(['a', 'b', None]),
        owner=chance.choice(['p', 'q', 'services', None]),
        visibility=chance.choice(contract.VISIBILITIES),
        status=chance.choice(['queued', 'active', 'deactivated']),
        membership=chance.choice([None, *contract.MEMBER_STATUSES]),
        protected=chance.random() < .5, os_hidden=chance.random() < .5,
        tags=tuple(chance.sample(['x', 'y'], chance.randint(0, 2))),
        properties=dict(chance.sample([('k', 'v'), ('owner', 'p'), ('project_id', 'p'),
                                       ('member_id', 'p'), ('visibility', 'public')],
                                      chance.randint(0, 4)))) for number in range(count)]


def some_namespaces(count, seed=7):
    """Return namespaces that differ in all that a decision may depend on."""
    chance = random.Random(seed)
    return [Namespace(
        f'OS::{number}', display_name=chance.choice(['a', None]), id=number + 1,
        visibility=chance.choice(NAMESPACE_VISIBILITIES), protected=chance.random() < .5,
        owner=chance.choice(['p', 'q', 'services', 'admin', None])) for number in range(count)]


def targets(action, count):
    """Return targets of the kind that the action is about."""
    return some_namespaces(count) if action in METADEF_ACTIONS else some_images(count)


class PolicyContract:

    @pytest.fixture
    def policy(self):
        raise NotImplementedError('override the `policy` fixture')

    @pytest.mark.parametrize('action', ACTIONS + METADEF_ACTIONS)
    def test_what_a_caller_may_never_do_is_refused_for_every_target(self, policy, action):
        for ctx in CALLERS:
            if not policy.may_ever(ctx, action):
                for target, member in itertools.product(
                        [None, *targets(action, 12)], (None, 'p', 'q')):
                    assert not policy.allows(ctx, action, target, member=member)

    @pytest.mark.parametrize('action', ACTIONS + METADEF_ACTIONS)
    def test_allows_and_enforce_agree(self, policy, action):
        for ctx, target in itertools.product(CALLERS, targets(action, 12)):
            for member in (None, 'p', 'q'):
                allowed = policy.allows(ctx, action, target, member=member)

                if allowed:
                    assert policy.enforce(ctx, action, target, member=member) is None
                else:
                    with pytest.raises(contract.Forbidden, match=r'\S'):
                        policy.enforce(ctx, action, target, member=member)

    @pytest.mark.parametrize('action', ACTIONS + METADEF_ACTIONS)
    def test_filter_and_allows_agree(self, policy, action):
        proposed = targets(action, 60)

        for ctx in CALLERS:
            allowed = policy.filter(ctx, action, proposed)

            assert isinstance(allowed, Sequence)
            assert list(allowed) == [
                target for target in proposed if policy.allows(ctx, action, target)]

    def test_filter_returns_nothing_for_nothing(self, policy):
        assert [list(policy.filter(ctx, 'get_image', [])) for ctx in CALLERS] == (
            [[]] * len(CALLERS))

    def test_a_decision_does_not_depend_on_earlier_ones(self, policy):
        questions = [(ctx, action, target) for ctx in CALLERS
                     for action in ACTIONS + METADEF_ACTIONS for target in targets(action, 4)]
        answers = [policy.allows(*question) for question in questions]
        mixed = list(enumerate(questions))
        random.Random(3).shuffle(mixed)

        for number, question in mixed:
            assert policy.allows(*question) is answers[number]

    def test_a_custom_property_does_not_count_as_an_attribute(self, policy):
        """Owners write properties: these must not decide what only attributes may decide."""
        forged = {'owner': 'p', 'project_id': 'p', 'member_id': 'p', 'visibility': 'public',
                      'id': 'i', 'status': 'active'}
        plain = Image(id='i', owner='q', visibility='private')
        disguised = Image(id='i', owner='q', visibility='private', properties=forged)

        for ctx, action in itertools.product(CALLERS, ACTIONS):
            assert policy.allows(ctx, action, disguised) == policy.allows(ctx, action, plain)

    @pytest.mark.parametrize('action', ['get_images', 'add_task', 'get_metadef_namespaces',
                                        'add_metadef_namespace', 'an_unknown_action'])
    def test_an_action_without_a_target_is_decided(self, policy, action):
        answers = [policy.allows(ctx, action) for ctx in CALLERS]

        assert set(answers) <= {True, False}

    def test_is_admin_returns_true_false_or_none(self, policy):
        assert all(policy.is_admin(ctx) in (True, False, None) for ctx in CALLERS)
