"""The engine ``oslo`` keeps the contract and decides as oslo.policy does, but faster."""

import http.server
import json
import logging
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import policy as library

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.contract.metadef import Namespace
from glancelite.plugins.policy import oslo, rules, ruleset
from glancelite.plugins.policy.oslo import OsloPolicy
from glancelite.testing.contracts.policy import (
    ACTIONS,
    CALLERS,
    METADEF_ACTIONS,
    PolicyContract,
    some_images,
    targets,
)

OWN = Image(id='i', owner='p')
MEMBER = Context(user='u', project='p', roles=frozenset({'member', 'reader'}))
ADMIN = Context(user='a', project='z', roles=frozenset({'admin'}))


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'policy.yaml'


@pytest.fixture
def make(make_plugin, tmp_path):
    """Builds an engine that reads its files from the test's folder."""
    def make(**options):
        conf = cfg.ConfigOpts()
        conf(['--config-dir', str(tmp_path)])
        for register in OsloPolicy.LIBRARY_OPTS:
            register(conf)
        for name, value in options.items():
            conf.set_override(name, value, group='oslo_policy')
        return make_plugin(OsloPolicy, conf=conf)
    return make


def write(path, **checks):
    path.write_text(json.dumps(checks))     # JSON is YAML


class TestOsloPolicy(PolicyContract):

    @pytest.fixture
    def policy(self, make):
        return make()

    @pytest.mark.parametrize('action', ACTIONS + METADEF_ACTIONS)
    def test_it_decides_as_the_library_does(self, policy, action):
        enforcer = library.Enforcer(policy.conf)
        enforcer.register_defaults(list(rules.list_rules()))

        for ctx in CALLERS:
            for target in (None, *targets(action, 30)):
                for member in (None, 'p'):
                    assert policy.allows(ctx, action, target, member=member) == enforcer.enforce(
                        action, ruleset.target(ctx, target, member), ruleset.credentials(ctx))

    def test_readers_see_public_namespaces_and_those_of_their_project(self, policy):
        seen = {(owner, visibility): policy.allows(
            MEMBER, 'get_metadef_namespace', Namespace('n', owner=owner, visibility=visibility))
            for owner in 'pq' for visibility in ('public', 'private')}

        assert seen == {('p', 'public'): True, ('p', 'private'): True, ('q', 'public'): True,
                        ('q', 'private'): False}
        assert not policy.allows(Context(user='u', project='p'), 'get_metadef_namespaces')

    def test_administrators_change_namespaces(self, policy):
        own = Namespace('n', owner='p')

        assert not policy.allows(MEMBER, 'modify_metadef_namespace', own)
        assert policy.allows(ADMIN, 'modify_metadef_namespace', own)
        assert not policy.may_ever(MEMBER, 'add_metadef_namespace')

    def test_the_role_admin_administers_unless_its_token_is_for_the_system(self, policy):
        assert policy.is_admin(ADMIN) is True
        assert policy.is_admin(MEMBER) is False
        assert policy.is_admin(Context(roles=frozenset({'admin'}), system_scope='all')) is False
        assert policy.is_admin(Context(roles=frozenset({'admin'}), domain='d')) is False

    def test_members_share_and_receivers_accept(self, policy):
        shared = Image(id='i', owner='q', visibility='shared', membership='pending')

        assert policy.allows(MEMBER, 'add_member', OWN, member='q')
        assert not policy.allows(MEMBER, 'modify_member', OWN, member='q')
        assert policy.allows(MEMBER, 'modify_member', shared, member='p')
        assert policy.allows(MEMBER, 'get_member', shared, member='p')
        assert not policy.allows(MEMBER, 'get_member', Image(id='i', owner='q'), member='x')

    def test_a_refusal_names_the_rule(self, policy):
        with pytest.raises(contract.Forbidden, match='delete_image_location'):
            policy.enforce(MEMBER, 'delete_image_location', OWN)

    def test_an_action_without_a_rule_is_allowed(self, policy):
        assert policy.allows(Context(), 'an_action_of_the_future', OWN)

    def test_a_thousand_images_are_filtered_far_faster_than_one_by_one(self, policy):
        images = [Image(id=str(number), owner=f'project-{number}', visibility='private')
                  for number in range(1000)]
        policy.filter(MEMBER, 'get_image', images)

        times = []
        for _ in range(5):
            start = time.thread_time()
            assert list(policy.filter(MEMBER, 'get_image', images)) == []
            times.append(time.thread_time() - start)

        assert min(times) < 0.05      # the library needs 0.3 s


class TestWithoutTheCheckClasses:
    """The fast evaluation uses classes that are private in oslo.policy."""

    @pytest.fixture(params=['no module', 'no class'])
    def hide(self, request, monkeypatch):
        """Hides the module, or one class, when it is called."""
        def hide():
            if request.param == 'no module':
                monkeypatch.setitem(sys.modules, 'oslo_policy._checks', None)
            else:
                monkeypatch.delattr('oslo_policy._checks.GenericCheck')
        return hide

    @pytest.mark.parametrize('action', ['get_image', 'add_image', 'modify_member', 'unknown'])
    def test_it_decides_as_before(self, make, hide, action):
        fast = make()
        hide()
        slow = make()

        for ctx in CALLERS:
            images = some_images(10)
            assert list(slow.filter(ctx, action, images)) == list(
                fast.filter(ctx, action, images))
            for image in images:
                for member in (None, 'p'):
                    assert slow.allows(ctx, action, image, member=member) == fast.allows(
                        ctx, action, image, member=member)

    def test_it_is_logged_once(self, hide, make, caplog):
        hide()
        policy = make()
        policy.allows(MEMBER, 'get_images')

        assert caplog.text.count('oslo.policy is not supported by the fast evaluation') == 1

    def test_invalid_rules_stop_the_start_nevertheless(self, hide, make, file):
        hide()
        for check in ('role:admin and and', 'rule:get_image'):
            write(file, get_image=check)
            with pytest.raises(contract.Misconfigured):
                make()


class TestRulesOfMetadataDefinitions:

    def test_older_defaults_let_everybody_read(self, make, caplog):
        former = make(enforce_new_defaults=False)
        hidden, caller = Namespace('n', owner='q'), Context(user='u', project='p')

        assert former.allows(caller, 'get_metadef_namespaces')
        assert former.allows(caller, 'get_metadef_object', hidden)
        assert former.filter(caller, 'get_metadef_namespace', [hidden]) == [hidden]
        assert not former.allows(caller, 'add_metadef_object', hidden)
        assert not former.allows(caller, 'get_images')
        assert 'metadata definitions' in caplog.text

    def test_a_rule_of_a_file_replaces_the_older_default_too(self, make, file):
        write(file, get_metadef_namespaces='role:auditor')

        assert not make(enforce_new_defaults=False).allows(MEMBER, 'get_metadef_namespaces')

    def test_one_rule_lets_projects_define_their_own(self, make, file):
        write(file, metadef_admin='role:member and project_id:%(project_id)s')
        policy = make()

        for action in ('modify_metadef_namespace', 'add_metadef_object', 'delete_metadef_tags'):
            assert policy.allows(MEMBER, action, Namespace('n', owner='p'))
            assert not policy.allows(MEMBER, action, Namespace('n', owner='q'))
        assert policy.allows(MEMBER, 'add_metadef_namespace')

    def test_a_rule_can_name_the_attributes_of_a_namespace(self, make, file):
        write(file, modify_metadef_namespace="'Mine':%(namespace)s and 'False':%(protected)s",
              get_metadef_tag="'x':%(description)s")
        policy = make()

        assert policy.allows(MEMBER, 'modify_metadef_namespace', Namespace('Mine'))
        assert not policy.allows(MEMBER, 'modify_metadef_namespace', Namespace('Other'))
        assert not policy.allows(MEMBER, 'get_metadef_tag', Namespace('n', description='x'))


class TestFiles:

    @pytest.fixture(autouse=True)
    def no_wait(self, monkeypatch):
        monkeypatch.setattr(oslo, 'CHECK_INTERVAL', 0.0)

    def test_a_file_overrides_the_defaults_it_names(self, make, file):
        write(file, publicize_image='role:member', no_such_action='!')
        policy = make()

        assert policy.allows(MEMBER, 'publicize_image', OWN)
        assert not policy.allows(MEMBER, 'copy_image', OWN)
        assert not policy.allows(ADMIN, 'no_such_action', OWN)

    def test_a_json_file_can_be_named(self, make, tmp_path):
        write(tmp_path / 'policy.json', get_images='!')
        policy = make(policy_file='policy.json')

        assert not policy.allows(ADMIN, 'get_images')

    def test_files_of_the_folder_override_the_file(self, make, file, tmp_path):
        write(file, get_images='!')
        (tmp_path / 'policy.d').mkdir()
        write(tmp_path / 'policy.d/mine.yaml', get_images='@')
        policy = make()

        assert policy.allows(Context(), 'get_images')

    def test_a_change_applies_to_cached_decisions(self, make, file):
        policy = make()
        assert policy.allows(MEMBER, 'get_images')

        write(file, get_images='!')
        assert not policy.allows(MEMBER, 'get_images')

        file.unlink()
        assert policy.allows(MEMBER, 'get_images')

    def test_a_new_file_in_the_folder_is_read(self, make, tmp_path):
        (tmp_path / 'policy.d').mkdir()
        policy = make()
        assert policy.allows(MEMBER, 'get_images')

        write(tmp_path / 'policy.d/mine.yaml', get_images='!')

        assert not policy.allows(MEMBER, 'get_images')

    def test_files_are_not_checked_at_each_request(self, make, file, monkeypatch):
        monkeypatch.setattr(oslo, 'CHECK_INTERVAL', 60.0)
        policy = make()
        write(file, get_images='!')

        for _ in range(100):
            assert policy.allows(MEMBER, 'get_images')

    @pytest.mark.parametrize('text', [
        'get_image: [', '- get_image', 'get_image: "role:admin and and"', 'get_image: "role"',
        'get_image: "rule:get_image"', 'get_image: "rule:a"\na: "not rule:b"\nb: "rule:a or @"'])
    def test_a_broken_file_stops_the_start_with_one_line(self, make, file, text):
        file.write_text(text)

        with pytest.raises(contract.Misconfigured) as stopped:
            make()

        assert '\n' not in str(stopped.value)

    def test_a_file_broken_later_changes_nothing_and_is_reported_once(self, make, file, caplog):
        write(file, get_images='role:special')
        policy = make()

        file.write_text('get_images: [')

        for _ in range(3):
            assert not policy.allows(MEMBER, 'get_images')
            assert policy.allows(Context(roles=frozenset({'special'})), 'get_images')
        assert caplog.text.count('stay as they were') == 1

    def test_a_file_that_was_named_and_is_missing_is_reported(self, make_plugin, tmp_path, caplog):
        config = tmp_path / 'service.conf'
        config.write_text('[oslo_policy]\npolicy_file = none.yaml\n')
        conf = cfg.ConfigOpts()
        conf(['--config-file', str(config)])
        for register in OsloPolicy.LIBRARY_OPTS:
            register(conf)

        make_plugin(OsloPolicy, conf=conf)

        assert 'none.yaml' in caplog.text

    def test_a_file_of_the_former_name_that_is_ignored_is_logged(self, make, tmp_path,
                                                                      caplog):
        write(tmp_path / 'policy.json', get_image='!')

        make(policy_file='policy.json')
        assert 'not read' not in caplog.text
        make()
        assert f'{tmp_path}/policy.json are not read' in caplog.text

    def test_older_defaults_apply_to_metadata_definitions_only(self, make, caplog):
        make(enforce_new_defaults=False)

        assert 'enforce_new_defaults' in caplog.text


class TestRemote:

    @pytest.fixture
    def asked(self):
        return []

    @pytest.fixture
    def remote(self, asked):
        """A policy server that allows the image called ``mine`` only."""
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                asked.append(body)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'True' if body['target']['name'] == 'mine' else b'False')

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}/check'
        server.shutdown()
        thread.join()
        server.server_close()

    def test_a_remote_rule_is_evaluated_each_time(self, make, file, remote, asked):
        write(file, get_image=f'rule:context_is_admin or {remote}')
        policy = make(remote_content_type='application/json')
        mine, other = Image(id='1', name='mine'), Image(id='2', name='other')

        left = policy.filter(MEMBER, 'get_image', [mine, other, mine])

        assert left == [mine, mine]
        assert len(asked) == 3
        assert asked[0]['rule'] == 'get_image'
        assert asked[0]['credentials']['project_id'] == 'p'
        assert policy.allows(ADMIN, 'get_image', other)
        assert len(asked) == 3      # decided without the server

    def test_it_does_not_get_secrets(self, make, file, remote, asked):
        write(file, get_image=remote)
        policy = make(remote_content_type='application/json')
        ctx = Context(user='u', project='p', token='secret-token', catalog=['secret-catalog'])
        image = Image(id='1', name='mine', locations=(contract.Location('secret://url'),),
                      properties={'k': 'v'}, tags=('t',))

        policy.enforce(ctx, 'get_image', image)

        assert 'secret' not in json.dumps(asked)
        assert (asked[0]['target']['k'], asked[0]['target']['tags']) == ('v', ['t'])

    def test_a_server_that_does_not_answer_means_unavailable(self, make, file):
        write(file, get_image='http://127.0.0.1:9/check')
        policy = make()

        for ask in (lambda: policy.enforce(MEMBER, 'get_image', OWN),
                    lambda: policy.allows(MEMBER, 'get_image', OWN),
                    lambda: policy.filter(MEMBER, 'get_image', [OWN])):
            with pytest.raises(contract.Unavailable):
                ask()

    def test_a_rule_that_cannot_be_evaluated_means_unavailable(self, make, file):
        write(file, get_image='project_id:%(owner)d')
        policy = make()

        with pytest.raises(contract.Unavailable):
            policy.enforce(MEMBER, 'get_image', OWN)


NAMES = ('owner', 'project_id', 'member_id', 'visibility', 'id', 'image_id', 'name', 'size',
         'protected', 'tags', 'min_ram', 'checksum', 'created_at', 'a_property', 'absent')
LEFT = ('project_id', 'tenant', 'user_id', 'user', 'roles', 'is_admin', 'system_scope',
        'domain_id', 'service_roles', 'user_domain_id', 'unknown', 'None', 'True', "'public'",
        '"p"', '7', 'unknown.path', 'project_id.path', 'roles.path', 'a-b')
RIGHT = ('p', 'q', 'None', 'True', 'member', '%(a_property)s-%(owner)s', 'x%(owner)s', '%%',
         *(f'%({name})s' for name in NAMES))
PLAIN = st.one_of(
    st.sampled_from(['@', '!', 'rule:one', 'rule:two', 'rule:absent']),
    st.builds('role:{}'.format, st.sampled_from(
        ['member', 'Admin', 'none', '%(a_property)s', '%(absent)s'])),
    st.builds('{}:{}'.format, st.sampled_from(LEFT), st.sampled_from(RIGHT)))
CHECKS = st.recursive(PLAIN, lambda inner: st.one_of(
    st.builds('not {}'.format, PLAIN),
    st.builds('({} and {})'.format, inner, inner),
    st.builds('({} or {})'.format, inner, inner)), max_leaves=6)
TEXTS = st.sampled_from(['p', 'q', 'member', 'None'])
IMAGES = st.none() | st.builds(
    Image, id=TEXTS, name=st.none() | TEXTS, owner=st.none() | TEXTS,
    visibility=st.sampled_from(contract.VISIBILITIES), protected=st.booleans(),
    size=st.sampled_from([None, 7]), tags=st.sampled_from([(), ('member',)]),
    membership=st.sampled_from([None, 'pending']),
    properties=st.dictionaries(st.sampled_from(['a_property', 'owner', 'project_id']), TEXTS))
CONTEXTS = st.builds(
    Context, user=st.none() | TEXTS, project=st.none() | TEXTS, is_admin=st.booleans(),
    roles=st.frozensets(st.sampled_from(['member', 'Member', 'admin', 'p'])),
    service_roles=st.frozensets(TEXTS), system_scope=st.sampled_from([None, None, 'all']),
    domain=st.sampled_from([None, None, 'p']), user_domain=st.none() | TEXTS)


def outcome(function):
    try:
        return function()
    except Exception:
        return 'raises'


@given(one=CHECKS, two=CHECKS, three=CHECKS, data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_rules_are_evaluated_as_by_the_library(
        one, two, three, data, tmp_path_factory):
    logging.disable(logging.CRITICAL)
    folder = tmp_path_factory.mktemp('rules')
    write(folder / 'policy.yaml', get_image=three, one=one.replace('rule:', 'role:'),
          two=two.replace('rule:two', 'rule:one'))
    conf = cfg.ConfigOpts()
    conf(['--config-dir', str(folder)])
    for register in OsloPolicy.LIBRARY_OPTS:
        register(conf)
    rule_set = ruleset.RuleSet(conf)
    enforcer = library.Enforcer(conf)
    enforcer.register_defaults(list(rules.list_rules()))

    for ctx in data.draw(st.lists(CONTEXTS, min_size=1, max_size=4)):
        for image in data.draw(st.lists(IMAGES, min_size=1, max_size=4)):
            for member in (None, 'q'):
                ours = outcome(lambda: rule_set.allows(ctx, 'get_image', image, member))  # noqa: B023
                theirs = outcome(lambda: bool(enforcer.enforce(
                    'get_image', ruleset.target(ctx, image, member),  # noqa: B023
                    ruleset.credentials(ctx))))  # noqa: B023
                assert ours == theirs

    logging.disable(logging.NOTSET)
