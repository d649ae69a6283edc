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

ACTIONS = (
    'add_image', 'get_image', 'get_images', 'modify_image', 'delete_image', 'publicize_image',
    'communitize_image', 'upload_image', 'download_image', 'deactivate', 'reactivate',
    'get_image_location', 'set_image_location', 'delete_image_location', 'add_image_location',
    'fetch_image_location', 'add_member', 'get_member', 'get_members', 'modify_member',
    'delete_member', 'stores_info_detail',
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


class PolicyContract:

    @pytest.fixture
    def policy(self):
        raise NotImplementedError('override the `policy` fixture')

    @pytest.mark.parametrize('action', ACTIONS)
    def test_what_a_caller_may_never_do_is_refused_for_every_image(self, policy, action):
        for ctx in CALLERS:
            if not policy.may_ever(ctx, action):
                for image, member in itertools.product(some_images(12), (None, 'p', 'q')):
                    assert not policy.allows(ctx, action, image, member=member)

    @pytest.mark.parametrize('action', ACTIONS)
    def test_allows_and_enforce_agree(self, policy, action):
        for ctx, image in itertools.product(CALLERS, some_images(12)):
            for member in (None, 'p', 'q'):
                allowed = policy.allows(ctx, action, image, member=member)

                if allowed:
                    assert policy.enforce(ctx, action, image, member=member) is None
                else:
                    with pytest.raises(contract.Forbidden, match=r'\S'):
                        policy.enforce(ctx, action, image, member=member)

    @pytest.mark.parametrize('action', ACTIONS)
    def test_filter_and_allows_agree(self, policy, action):
        images = some_images(60)

        for ctx in CALLERS:
            allowed = policy.filter(ctx, action, images)

            assert isinstance(allowed, Sequence)
            assert list(allowed) == [
                image for image in images if policy.allows(ctx, action, image)]

    def test_filter_returns_nothing_for_nothing(self, policy):
        assert [list(policy.filter(ctx, 'get_image', [])) for ctx in CALLERS] == (
            [[]] * len(CALLERS))

    def test_a_decision_does_not_depend_on_earlier_ones(self, policy):
        questions = list(itertools.product(CALLERS, ACTIONS, some_images(4)))
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

    @pytest.mark.parametrize('action', ['get_images', 'add_task', 'an_unknown_action'])
    def test_an_action_without_an_image_is_decided(self, policy, action):
        answers = [policy.allows(ctx, action) for ctx in CALLERS]

        assert set(answers) <= {True, False}

    def test_is_admin_returns_true_false_or_none(self, policy):
        assert all(policy.is_admin(ctx) in (True, False, None) for ctx in CALLERS)
