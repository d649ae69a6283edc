"""The engine ``ownership`` keeps the contract and refuses nothing that the rules allow."""

import itertools

import pytest
from oslo_config import cfg

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.contract.metadef import Namespace
from glancelite.plugins.policy import ownership, rules
from glancelite.plugins.policy.oslo import OsloPolicy
from glancelite.plugins.policy.ownership import Ownership
from glancelite.testing.contracts.policy import CALLERS, PolicyContract, some_images

OWN = Image(id='i', owner='p')
OTHERS = Image(id='i', owner='q', membership='accepted')
OWNERLESS = Image(id='i', visibility='public')
OWNER = Context(user='u', project='p', roles=frozenset({'member', 'reader'}))
ADMIN = Context(user='a', project='p', roles=frozenset({'admin'}), is_admin=True)
ACTIONS = sorted(rule.name for rule in rules.list_rules())


class TestOwnership(PolicyContract):

    @pytest.fixture
    def policy(self, make_plugin):
        return make_plugin(Ownership)

    @pytest.fixture
    def defaults(self, make_plugin):
        conf = cfg.ConfigOpts()
        conf([])
        for register in OsloPolicy.LIBRARY_OPTS:
            register(conf)
        return make_plugin(OsloPolicy, conf=conf)

    @pytest.mark.parametrize('action', sorted({*ownership.CHANGES, 'add_image'}))
    def test_images_of_other_projects_cannot_be_changed(self, policy, action):
        assert policy.allows(OWNER, action, OWN)
        assert not policy.allows(OWNER, action, OTHERS)
        assert not policy.allows(OWNER, action, OWNERLESS)
        assert policy.allows(ADMIN, action, OTHERS)
        assert policy.allows(ADMIN, action, OWNERLESS)

    def test_a_caller_without_a_project_owns_nothing(self, policy):
        caller = Context(user='u', roles=frozenset({'member'}))

        assert not policy.allows(caller, 'modify_image', OWNERLESS)
        assert not policy.allows(caller, 'modify_member', OWNERLESS)

    def test_a_share_is_accepted_by_its_receiver_only(self, policy):
        assert policy.allows(OWNER, 'modify_member', OTHERS, member='p')
        assert not policy.allows(OWNER, 'modify_member', OWN, member='q')
        assert policy.allows(ADMIN, 'modify_member', OWN, member='q')

    def test_namespaces_of_others_are_left_to_the_rules(self, policy):
        public = Namespace('n', owner='q', visibility='public')

        assert policy.allows(OWNER, 'modify_metadef_namespace', public)
        with pytest.raises(contract.Forbidden, match='Read-only access'):
            policy.enforce(Context(read_only=True), 'modify_metadef_namespace', public)
        assert policy.allows(Context(read_only=True), 'list_metadef_resource_types', public)

    def test_other_services_register_data_that_they_hold(self, policy):
        service = Context(user='n', project='services', roles=frozenset({'service'}))

        assert policy.allows(service, 'add_image_location', OTHERS)
        assert not policy.allows(service, 'set_image_location', OTHERS)

    @pytest.mark.parametrize('action', ACTIONS)
    def test_anonymous_callers_change_nothing(self, policy, action):
        reads = action.startswith(('get_', 'list_', 'download_')) or action in (
            'fetch_image_location', 'cache_list', 'stores_info_detail')

        try:
            policy.enforce(Context(read_only=True), action, OWN)
            refusal = ''
        except contract.Forbidden as error:
            refusal = str(error)

        assert refusal == ('' if reads else 'Read-only access')

    @pytest.mark.parametrize('action', ACTIONS)
    def test_it_refuses_nothing_that_the_default_rules_allow(self, policy, defaults, action):
        members = ('p', 'q', 'services') if action == 'modify_member' else (None, 'p', 'q')
        callers = [ctx for ctx in CALLERS if not ctx.read_only]

        for ctx, image, member in itertools.product(callers, some_images(60), members):
            if defaults.allows(ctx, action, image, member=member):
                assert policy.allows(ctx, action, image, member=member)
