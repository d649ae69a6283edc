"""What plugins raise and return is checked before the service uses it."""

import concurrent.futures
import dataclasses
import json
import types

import pytest

from glancelite import contract
from glancelite.contract import Context, Event, Image, Location, QuotaRequest
from glancelite.domain import patch
from glancelite.services.border import PluginFailed
from glancelite.services.chains import NotifierGroup, PolicyChain, QuotaChain
from glancelite.services.discovery import Discovery
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import RAW, SHA512, raising, read_data

IMAGE = Image('one')
#: what would end a process, or the thread of another request
FATAL = [SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
fatal = pytest.mark.parametrize('error', FATAL, ids=lambda error: type(error).__name__)


@pytest.fixture
def in_thread():
    """Call a function in a thread, as the server does: the main thread may be interrupted."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield lambda function, *args, **named: pool.submit(function, *args, **named).result()


def plugin(kind, name='acme', **methods):
    """Return a plugin of this kind with these methods."""
    return type('Acme', (kind,), {
        method: staticmethod(function) for method, function in methods.items()})(
            None, None, name=name)


def returning(value):
    return lambda *args, **named: value


# --- policy and quota

@fatal
@pytest.mark.parametrize('call', [
    lambda chain: chain.enforce(Context(), 'get_image', IMAGE),
    lambda chain: chain.allows(Context(), 'get_image', IMAGE),
    lambda chain: chain.filter(Context(), 'get_image', [IMAGE]),
    lambda chain: chain.is_admin(Context())])
def test_a_policy_cannot_end_the_process(in_thread, call, error):
    chain = PolicyChain([plugin(contract.PolicyEngine, **dict.fromkeys(
        ('enforce', 'allows', 'filter', 'is_admin'), raising(error)))])

    with pytest.raises(PluginFailed, match='the policy plugin acme raised'):
        in_thread(call, chain)


@pytest.mark.parametrize(('method', 'answer'), [
    ('enforce', False), ('enforce', True), ('allows', None), ('allows', 1), ('filter', None),
    ('filter', iter([IMAGE])), ('filter', [Image('another')]), ('filter', ['one']),
    ('is_admin', 'yes'), ('is_admin', 0)])
def test_an_answer_of_a_policy_that_the_contract_does_not_allow_is_an_error(method, answer):
    methods = {'enforce': returning(None), method: returning(answer)}
    chain = PolicyChain([plugin(contract.PolicyEngine, **methods)])
    arguments = {'enforce': ('get_image', IMAGE), 'allows': ('get_image', IMAGE),
                 'filter': ('get_image', [IMAGE]), 'is_admin': ()}[method]

    with pytest.raises(PluginFailed, match=f'the policy plugin acme returned .* from {method}'):
        getattr(chain, method)(Context(), *arguments)


@pytest.mark.parametrize('answer', ['big', -1, True, 1.5, [3]])
def test_an_answer_of_a_quota_that_the_contract_does_not_allow_is_an_error(answer):
    chain = QuotaChain([plugin(contract.QuotaEnforcer, check=returning(answer))])

    with pytest.raises(PluginFailed, match='the quota plugin acme returned'):
        chain.check(Context(), QuotaRequest('upload_image'))


@fatal
def test_a_quota_cannot_end_the_process_or_leave_data(
        core, ctx, queued, reread, in_thread, error):
    bad = service.exchange(core, quota=QuotaChain([
        plugin(contract.QuotaEnforcer, check=raising(error))]))
    image = queued()

    with pytest.raises(PluginFailed, match='the quota plugin acme raised'):
        in_thread(bad.use_cases.uploads.receive, ctx, image.id, iter([b'data']))

    assert reread(image).status == 'queued'

def failing_after_the_write():
    """Return a quota that grants everything but what was written already, and then fails."""
    def check(ctx, request):
        if request.action in {'modify_image', 'add_member'} or (
                request.action == 'add_image_location' and request.bytes is not None):
            raise RuntimeError('the table of /srv/limits is missing')
    return QuotaChain([plugin(contract.QuotaEnforcer, check=check)])


def test_a_change_is_undone_if_a_quota_fails_after_it(core, ctx, queued, reread):
    bad, image = service.exchange(core, quota=failing_after_the_write()), queued()

    with pytest.raises(PluginFailed):
        bad.use_cases.images.update(ctx, image.id, patch.parse(
            [{'op': 'replace', 'path': '/visibility', 'value': 'community'}], patch.DRAFT_10,
            core.schema.validate_attribute))

    assert reread(image).visibility == 'shared'


def test_a_member_is_removed_again_if_a_quota_fails(core, ctx, queued):
    bad, image = service.exchange(core, quota=failing_after_the_write()), queued()

    with pytest.raises(PluginFailed):
        bad.use_cases.members.add(ctx, image.id, 'friend')

    assert core.use_cases.members.list(ctx, image.id) == []


def test_data_at_a_location_is_not_used_if_a_quota_fails(
        core, existing_url, context, queued, reread):
    bad, image = service.exchange(core, quota=failing_after_the_write()), queued()

    with pytest.raises(PluginFailed):
        bad.use_cases.locations.add(context('owner', roles=['service', 'member']), image.id,
                                    existing_url)

    assert (reread(image).status, reread(image).locations) == ('queued', ())


def test_verified_data_at_a_location_is_not_used_if_a_quota_fails(
        core, existing_url, context, queued, wait_for):
    bad, image = service.exchange(core, quota=failing_after_the_write()), queued()

    bad.use_cases.locations.add(
        context('owner', roles=['service', 'member']), image.id, existing_url,
        {'os_hash_algo': 'sha512', 'os_hash_value': SHA512})

    image = wait_for(image, lambda image: 'os_glance_location_failure' in image.properties)
    assert (image.status, image.locations, image.lease_until) == ('queued', (), None)
    assert '/srv' not in image.properties['os_glance_location_failure']


@fatal
def test_a_notifier_that_fails_leaves_the_event_to_the_others(in_thread, core, error, caplog):
    recorder = Recorder()
    group = NotifierGroup([plugin(contract.Notifier, notify=raising(error)), recorder])

    in_thread(group.notify, Event('image.create', {}, Context(), core.layers.host.now()))

    assert recorder.types == ['image.create']
    assert 'the notifier plugin acme raised' in caplog.text


# --- callers

@pytest.fixture
def identify(core):
    """Identify a caller with an authenticator that returns or raises this."""
    def identify(function):
        authenticator = plugin(contract.Authenticator, identify=function)
        bad = types.SimpleNamespace(authenticator=authenticator, layers=core.layers)
        return type(core).identify(bad, {'openstack.request_id': 'req-1'})
    return identify


def test_a_caller_keeps_all_that_the_authenticator_has_found(identify):
    fields = {field.name: field.name for field in dataclasses.fields(Context)}
    found = Context(**fields | {'roles': frozenset(['reader']), 'service_roles': frozenset('s'),
                                'is_admin': False, 'read_only': True, 'catalog': [1]})

    caller = identify(lambda environ: found)

    assert caller == dataclasses.replace(found, request_id='req-1')


@pytest.mark.parametrize('answer', [
    None, 'user', {'user': 'u'}, Context(user=1), Context(project=b'p'), Context(roles='admin'),
    Context(roles=None), Context(roles=frozenset([1])), Context(service_roles={'a': 1}),
    Context(read_only=None), Context(token=object())], ids=repr)
def test_a_caller_that_the_contract_does_not_allow_is_an_error(identify, answer):
    with pytest.raises(PluginFailed, match='the auth plugin acme returned'):
        identify(returning(answer))


def test_roles_are_compared_without_case(identify):
    ctx = identify(returning(Context(roles=['Admin', 'READER'], service_roles={'Service'})))

    assert ctx.roles == {'admin', 'reader'}
    assert ctx.service_roles == {'service'}
    assert ctx.is_admin


def test_an_authenticator_does_not_decide_who_is_an_administrator(identify):
    ctx = identify(returning(Context(roles=frozenset({'member'}), is_admin=True,
                                     request_id='theirs')))

    assert (ctx.is_admin, ctx.request_id) == (False, 'req-1')


@fatal
def test_an_authenticator_cannot_end_the_process(identify, in_thread, error):
    with pytest.raises(PluginFailed, match='the auth plugin acme raised'):
        in_thread(identify, raising(error))


# --- inspectors

class Inspection(contract.Inspection):
    """Returns or raises what a test wants."""

    def __init__(self, facts=contract.EMPTY, **methods):
        self._facts = facts
        vars(self).update(methods)

    def feed(self, chunk):
        pass

    def finish(self):
        return self._facts


@pytest.fixture
def inspected(core):
    """Return the service with an inspector that has this method ``open``."""
    return lambda open_: service.exchange(
        core, inspectors=(plugin(contract.Inspector, open=open_),))


@pytest.mark.parametrize('facts', [
    None, [('virtual_size', 1)], {'owner': 'x'}, {'size': 1}, {'status': 'queued'},
    {'visibility': 'public'}, {'properties': {}}, {'virtual_size': 'big'},
    {'virtual_size': -1}, {'virtual_size': True}, {'virtual_size': None},
    {'virtual_size': 1 << 63}, {'min_disk': 1 << 31}, {1: 2}], ids=repr)
def test_a_result_of_an_inspector_that_the_contract_does_not_allow_is_an_error(
        core, ctx, queued, reread, inspected, facts):
    image = queued()
    bad = inspected(lambda image, *, ctx=None: Inspection(facts))

    with pytest.raises(PluginFailed, match='the inspector plugin acme returned'):
        bad.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    present = reread(image)
    assert (present.status, present.owner, present.virtual_size) == ('queued', ctx.project, None)
    assert core.layers.stores['fast'].driver.health() == '0 objects, 0 bytes'
    json.loads(core.view.page([present], first='/v2/images'))


def test_an_inspector_may_set_sizes_and_requirements(ctx, queued, inspected):
    facts = {'virtual_size': (1 << 63) - 1, 'min_disk': 2, 'min_ram': 0}
    good = inspected(lambda image, *, ctx=None: Inspection(facts))

    image = good.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))

    assert {name: getattr(image, name) for name in facts} == facts


@fatal
@pytest.mark.parametrize('method', ['open', 'feed', 'finish'])
def test_an_inspector_cannot_end_the_process(
        core, ctx, queued, reread, inspected, in_thread, method, error):
    image = queued()
    bad = inspected(raising(error) if method == 'open' else
                    lambda image, *, ctx=None: Inspection(**{method: raising(error)}))

    with pytest.raises(PluginFailed, match='the inspector plugin acme raised'):
        in_thread(bad.use_cases.uploads.receive, ctx, image.id, iter([b'data']))

    assert (reread(image).status, reread(image).attempt) == ('queued', 0)
    assert core.layers.stores['fast'].driver.health() == '0 objects, 0 bytes'


@fatal
def test_an_inspector_that_fails_to_close_does_not_fail_the_upload(
        ctx, queued, inspected, in_thread, error, caplog):
    bad = inspected(lambda image, *, ctx=None: Inspection(close=raising(error)))

    image = in_thread(bad.use_cases.uploads.receive, ctx, queued().id, iter([b'data']))

    assert image.status == 'active'
    assert 'the inspector acme failed to close' in caplog.text


def test_an_inspector_must_return_an_inspection(ctx, queued, inspected):
    with pytest.raises(PluginFailed, match='returned a str from open'):
        inspected(lambda image, *, ctx=None: 'fine').use_cases.uploads.receive(
            ctx, queued().id, iter([b'data']))


# --- stores

@pytest.fixture
def driver(core):
    return core.layers.stores['fast'].driver


@pytest.mark.parametrize('properties', [
    None, 'text', ['list'], {'a': {1}}, {'a': float('nan')}, {1: 'a'}, {'a': '\ud800'}],
    ids=repr)
def test_properties_that_are_not_json_do_not_hide_the_other_stores(
        core, admin, driver, monkeypatch, properties):
    monkeypatch.setattr(driver, 'properties', lambda: properties)
    monkeypatch.setattr(core.layers.stores['cold'].driver, 'properties', lambda: {'a': 1})

    fast, cold = Discovery(core.layers).detail(admin)

    assert (fast['properties'], cold['properties']) == ({}, {'a': 1})


@fatal
def test_a_store_that_fails_to_describe_itself_is_shown_without_details(
        core, admin, driver, monkeypatch, in_thread, error):
    monkeypatch.setattr(driver, 'properties', raising(error))
    monkeypatch.setattr(driver, 'health', raising(error))

    fast, cold = in_thread(Discovery(core.layers).detail, admin)

    assert (fast['properties'], fast['status']) == ({}, 'unavailable')
    assert cold['status'] == 'available'


@pytest.mark.parametrize('answer', [None, b'data', 'data', 7, [b'data']], ids=repr)
def test_what_a_store_cannot_read_is_read_from_another(
        core, ctx, replicated, driver, monkeypatch, answer, caplog):
    monkeypatch.setattr(driver, 'read', returning(answer))

    assert read_data(core, ctx, replicated) == b'data'
    assert 'the driver of the store fast returned' in caplog.text


@fatal
@pytest.mark.parametrize('when', ['at once', 'later'])
def test_a_read_cannot_end_the_process(
        core, ctx, replicated, driver, monkeypatch, in_thread, when, error):
    def chunks():
        yield b'da'
        raise error
    monkeypatch.setattr(driver, 'read', raising(error) if when == 'at once' else
                        lambda *args, **named: chunks())

    assert in_thread(read_data, core, ctx, replicated) == b'data'


@fatal
def test_closing_a_read_cannot_end_the_process(core, ctx, active, driver, in_thread, monkeypatch,
                                               error):
    chunks = types.SimpleNamespace(__next__=None, close=raising(error))
    monkeypatch.setattr(driver, 'read', lambda *args, **named: chunks)
    download = core.use_cases.downloads.open(ctx, active().id)

    with pytest.raises(contract.Unavailable):
        in_thread(contract.store.close_chunks, download.chunks)


@pytest.mark.parametrize('size', [None, '4', -1, 4.0, True])
def test_a_size_that_is_none_is_refused(core, active, driver, monkeypatch, size):
    location = active().locations[0]
    monkeypatch.setattr(driver, 'size', returning(size))

    with pytest.raises(contract.Unavailable):
        core.layers.stores.size(location)


@pytest.mark.parametrize('url', [None, '', 'key', 'memory://a\nb', b'memory://fast/a'])
def test_a_url_that_is_none_is_not_recorded(adopting_core, ctx, driver, monkeypatch, url):
    monkeypatch.setattr(driver, 'adopt', returning(url))

    with pytest.raises(contract.Unavailable):
        adopting_core.layers.stores.adopt('memory://fast/a', name='fast', ctx=ctx)


@pytest.mark.parametrize('error', [RuntimeError('library'), *FATAL],
                         ids=lambda error: type(error).__name__)
def test_a_delete_that_fails_in_any_way_leaves_the_image(
        core, ctx, active, reread, driver, monkeypatch, in_thread, error, caplog):
    image = active()
    monkeypatch.setattr(driver, 'delete', raising(error))

    with pytest.raises(contract.Unavailable, match='The store fast cannot be used now'):
        in_thread(core.use_cases.images.delete, ctx, image.id)

    assert reread(image).status == 'active'
    assert f'the driver of the store fast raised {type(error).__name__}' in caplog.text
    assert 'Traceback' in caplog.text
    monkeypatch.undo()
    core.use_cases.images.delete(ctx, image.id)
    assert driver.health() == '0 objects, 0 bytes'


def test_the_other_locations_of_a_deleted_image_are_left_to_the_recovery(
        core, ctx, replicated, advance, monkeypatch):
    cold = core.layers.stores['cold'].driver
    monkeypatch.setattr(cold, 'delete', raising(RuntimeError('library')))

    core.use_cases.images.delete(ctx, replicated.id)

    monkeypatch.undo()
    advance(3600)
    assert core.use_cases.recovery.sweep() == 1
    assert cold.health() == '0 objects, 0 bytes'


@fatal
def test_a_store_that_fails_to_say_what_it_owns_owns_nothing(
        core, driver, monkeypatch, in_thread, error):
    monkeypatch.setattr(driver, 'owns', raising(error))

    assert in_thread(core.layers.stores.find, Location('memory://fast/a')) is None


@pytest.mark.parametrize('redact', [raising(RuntimeError('a secret')), raising(SystemExit()),
                                    returning(None)])
def test_no_secret_is_shown_if_a_driver_fails_to_redact(
        core, driver, monkeypatch, caplog, redact):
    monkeypatch.setattr(type(driver), 'redact', redact)

    assert core.layers.stores.redact(Location('memory://a:secret@b')) == 'memory://b'
    assert 'secret' not in caplog.text


# --- other layers

@pytest.mark.parametrize('order', [
    returning(None), returning(()), raising(RuntimeError('x')), raising(SystemExit()),
    lambda locations, weights: [*locations, *locations],
    lambda locations, weights: [Location(one.url) for one in locations],
    lambda locations, weights: iter(locations), lambda locations: locations])
def test_a_strategy_that_fails_leaves_the_order(core, ctx, replicated, monkeypatch, order, caplog):
    monkeypatch.setattr(core.layers.stores, '_strategy',
                        plugin(contract.LocationStrategy, order=order))

    assert read_data(core, ctx, replicated) == b'data'
    assert [one.url for one in core.layers.stores.displayed(replicated)] == [
        one.url for one in replicated.locations]
    assert 'the location plugin acme' in caplog.text


@fatal
def test_a_key_manager_cannot_end_the_process(core, ctx, reread, in_thread, error):
    bad = service.exchange(core, key_manager=plugin(contract.KeyManager, delete=raising(error),
                                                    certificate=raising(error)))
    image = bad.use_cases.images.create(ctx, core.schema.create({
        **RAW, 'cinder_encryption_key_id': 'key',
        'cinder_encryption_key_deletion_policy': 'on_image_deletion'}))

    in_thread(bad.use_cases.images.delete, ctx, image.id)

    with pytest.raises(contract.NotFound):
        reread(image)


def test_an_interrupt_of_the_main_thread_is_not_hidden():
    chain = PolicyChain([plugin(contract.PolicyEngine, enforce=raising(KeyboardInterrupt()))])

    with pytest.raises(KeyboardInterrupt):
        chain.enforce(Context(), 'get_image', IMAGE)
