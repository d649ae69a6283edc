"""The import method ``glance-download`` copies an image of another region."""

import hashlib
import http.client
import json

import pytest

from glancelite import contract
from glancelite.plugins.importer.glance_download import GlanceDownload
from glancelite.testing.contracts import FetchContract
from glancelite.testing.contracts.importer import IMAGE, InterruptedJob
from glancelite.testing.contracts.store.toolbox import pattern

DATA = pattern(300_000)
REMOTE = '7b97f37c-899d-44e8-aaa0-543edbc4eaad'
RECORD = {
    'id': REMOTE, 'status': 'active', 'size': len(DATA), 'disk_format': 'qcow2',
    'container_format': 'ovf', 'name': 'far', 'visibility': 'public', 'hw_disk_bus': 'scsi',
    'trait:CUSTOM': 'required', 'os_distro': 'debian', 'os_glance_import_task': 'x',
    'os_hash_algo': 'sha512', 'os_hash_value': hashlib.sha512(DATA).hexdigest(),
    'os_hidden': False, 'note': 'not copied', 'hw_number': 5, 'self': '/v2/images/x'}


def catalog(url, **fields):
    return ({'type': 'compute', 'endpoints': [
                {'interface': 'public', 'region': 'Far', 'url': 'http://127.0.0.1:1'}]},
            {'type': 'image', 'endpoints': [
                {'interface': 'public', 'region': 'Near', 'url': 'http://127.0.0.1:1'},
                {'interface': 'admin', 'region': 'Far', 'url': 'http://127.0.0.1:1'},
                {'interface': 'public', 'region_id': 'Far', 'url': url, **fields}]})


def request(**arguments):
    return {'name': 'glance-download', 'glance_region': 'Far', 'glance_image_id': REMOTE,
            **arguments}


@pytest.fixture
def importer(make_importer):
    return make_importer(GlanceDownload, name='glance-download')


@pytest.fixture
def remote(serve):
    return serve(DATA, etag=None, record=json.dumps(RECORD).encode())


@pytest.fixture
def caller(context, remote):
    return context(token='secret-token', catalog=catalog(remote.url))


@pytest.fixture
def fetch(importer, make_job, caller):
    """Fetch the image of the other region; return the job."""
    def call(ctx=caller, **named):
        job = make_job(importer.check(caller, IMAGE, request()), ctx=ctx, **named)
        importer.fetch(job)
        return job
    return call


@pytest.fixture(scope='module')
def far(run_server):
    config = {'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': 1},
              'layers': {'auth': 'noauth', 'database': 'memory', 'key_manager': 'none'},
              'glance_store': {'default_backend': 'memory'}}
    with run_server(config) as server:
        yield server


@pytest.fixture(scope='module')
def remote_id(far):
    connection = http.client.HTTPConnection('127.0.0.1', far.port, timeout=30)
    connection.request('POST', '/v2/images', json.dumps({
        'name': 'far', 'disk_format': 'raw', 'container_format': 'bare',
        'hw_disk_bus': 'scsi', 'note': 'x'}), {'Content-Type': 'application/json'})
    image_id = json.loads(connection.getresponse().read())['id']
    connection.request('PUT', f'/v2/images/{image_id}/file', DATA,
                       {'Content-Type': 'application/octet-stream'})
    assert connection.getresponse().status == 204
    connection.close()
    return image_id


class TestOtherServer(FetchContract):
    """The other region is a real service."""

    @pytest.fixture
    def importer(self, make_importer):
        return make_importer(GlanceDownload, name='glance-download')

    @pytest.fixture
    def caller(self, context, far):
        return context(token='secret-token', catalog=catalog(far.url))

    @pytest.fixture
    def method(self, remote_id):
        return request(glance_image_id=remote_id)

    @pytest.fixture
    def data(self):
        return DATA

    def test_formats_and_properties_are_copied(self, importer, make_job):
        job = make_job()

        importer.fetch(job)

        assert (job.image.disk_format, job.image.container_format) == ('raw', 'bare')
        assert job.image.properties == {'hw_disk_bus': 'scsi'}


# --- the request

def test_the_prefixes_are_those_of_glance():
    found = {opt.dest: opt.default for opt in GlanceDownload.OPTS}

    assert GlanceDownload.SECTION == 'glance_download_properties'
    assert found['extra_properties'] == ['hw_', 'trait:', 'os_distro', 'os_secure_boot',
                                         'os_type']


@pytest.mark.parametrize(('arguments', 'text'), [
    ({'glance_region': None}, "'glance_region' must be"),
    ({'glance_region': ''}, "'glance_region' must be"),
    ({'glance_image_id': None}, "'glance_image_id' must be"),
    ({'glance_image_id': 'my-image'}, "'glance_image_id' must be"),
    ({'glance_image_id': f'{REMOTE}/../x'}, "'glance_image_id' must be"),
    ({'glance_service_interface': 'secret'}, 'one of public, internal, admin'),
    ({'glance_region': 'Nowhere'}, 'no such endpoint'),
    ({'glance_service_interface': 'internal'}, 'no such endpoint')])
def test_an_argument_that_is_missing_or_wrong_is_refused(importer, caller, arguments, text):
    with pytest.raises(contract.Invalid, match=text):
        importer.check(caller, IMAGE, request(**arguments))


def test_the_interface_is_public_by_default(importer, caller):
    assert importer.check(caller, IMAGE, request()) == {
        'glance_region': 'Far', 'glance_image_id': REMOTE, 'glance_service_interface': 'public'}


def test_a_caller_without_a_token_is_refused(importer, context, remote):
    with pytest.raises(contract.Invalid, match='needs the token'):
        importer.check(context(catalog=catalog(remote.url)), IMAGE, request())


def test_the_rules_for_addresses_apply_to_the_endpoint(make_importer, caller, remote):
    for rules in ({}, {'allowed_hosts': ['127.0.0.1']}):    # without, and with loopback
        with pytest.raises(contract.Invalid, match='does not pass filtering'):
            make_importer(GlanceDownload, rules).check(caller, IMAGE, request())

    assert remote.requests == []


@pytest.mark.parametrize('suffix', ['', '/', '/v2', '/v2/'])
def test_the_endpoint_may_have_a_version(importer, make_job, context, remote, suffix):
    ctx = context(token='t', catalog=catalog(remote.url + suffix))

    importer.fetch(make_job(importer.check(ctx, IMAGE, request()), ctx=ctx))

    assert [each[':path'] for each in remote.requests] == [
        f'/v2/images/{REMOTE}', f'/v2/images/{REMOTE}/file']


# --- the image

def test_what_is_copied(fetch):
    job = fetch()

    assert job.data == DATA
    assert (job.image.disk_format, job.image.container_format) == ('qcow2', 'ovf')
    assert job.image.properties == {'hw_disk_bus': 'scsi', 'trait:CUSTOM': 'required',
                                    'os_distro': 'debian'}


def test_attributes_and_reserved_names_are_never_copied(make_importer, make_job, caller):
    importer = make_importer(GlanceDownload, extra_properties=['os_', 's', 'n', ''])
    job = make_job(importer.check(caller, IMAGE, request()), ctx=caller)

    importer.fetch(job)

    assert job.image.properties == {'os_distro': 'debian', 'note': 'not copied'}


def test_the_token_is_sent(fetch, remote):
    fetch()

    assert [each['x-auth-token'] for each in remote.requests] == ['secret-token'] * 2


def test_a_broken_connection_is_mended(fetch, remote):
    remote.site.drop = 100_000

    assert fetch().data == DATA
    assert remote.sent == len(DATA)


def test_the_same_caller_goes_on_at_the_last_byte(importer, fetch, make_job, remote, caller,
                                                  tmp_path):
    remote.site.drop, remote.site.drops = 100_000, 1
    first = InterruptedJob(tmp_path, arguments=importer.check(caller, IMAGE, request()),
                           ctx=caller, part_size=1, chunks=1)
    with pytest.raises(contract.Gone):
        importer.fetch(first)
    remote.site.drops = 0

    assert fetch(first=first).data == DATA
    assert remote.requests[-1]['range'] == f'bytes={100_000}-'


def test_without_the_token_the_import_cannot_go_on(fetch, context):
    with pytest.raises(contract.Conflict, match='Import the image again'):
        fetch(ctx=context())


@pytest.mark.parametrize(('fields', 'kind', 'text'), [
    ({'status': 'queued'}, contract.Invalid, 'is queued, and must be active'),
    ({'size': None}, contract.Invalid, 'has no size'),
    ({'size': len(DATA) + 1}, contract.WrongContent, 'sends 300000 bytes instead of 300001'),
    ({'size': len(DATA) - 1}, contract.WrongContent, 'sends 300000 bytes instead of 299999'),
    ({'os_hash_value': '0' * 128}, contract.WrongContent, 'instead of 000')])
def test_an_image_that_is_not_as_recorded_is_refused(fetch, remote, fields, kind, text):
    remote.site.record = json.dumps({**RECORD, **fields}).encode()

    with pytest.raises(kind, match=text):
        fetch()


@pytest.mark.parametrize('fields', [
    {'os_hash_value': None}, {'os_hash_algo': None}, {'os_hash_algo': 'unheard-of'}])
def test_an_image_without_a_known_hash_is_accepted(fetch, remote, fields):
    remote.site.record = json.dumps({**RECORD, **fields}).encode()

    assert fetch().data == DATA


def test_an_empty_image_is_not_requested(fetch, remote):
    remote.site.record = json.dumps({**RECORD, 'size': 0}).encode()

    assert fetch().data == b''
    assert len(remote.requests) == 1


@pytest.mark.parametrize('record', [b'', b'<html>', b'[]', b'\xff', b'{"a": ' + b' ' * (1 << 21)])
def test_a_malformed_record_may_be_better_next_time(fetch, remote, record):
    remote.site.record = record

    with pytest.raises(contract.Unavailable):
        fetch()


@pytest.mark.parametrize(('status', 'kind', 'text'), [
    (401, contract.Invalid, 'rejects the token'), (404, contract.Invalid, 'no such image'),
    (403, contract.Invalid, '403'), (503, contract.Unavailable, '503')])
def test_a_refusal_names_its_status(fetch, remote, status, kind, text):
    remote.site.statuses = [status]

    with pytest.raises(kind, match=text):
        fetch()
