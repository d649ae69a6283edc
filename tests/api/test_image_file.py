"""Uploads and downloads: complete, in part, and with errors."""

import dataclasses
import hashlib
import io
import sys
import types

import pytest

from glancelite import contract
from glancelite.api.app import make_app
from tests.api.conftest import client

DATA = b'abcdefghij'
KIND = 'application/octet-stream'


@pytest.fixture
def image(new, upload):
    """An image with DATA."""
    image = new()
    upload(image, DATA)
    return image


def call(wsgi, method, path, source=None, **environ):
    """A request at the level of WSGI, for requests that no test client sends."""
    seen = {}

    def start_response(status, headers, exc_info=None):
        seen['status'] = int(status[:3])
        seen['headers'] = dict(headers)

    path, _, query = path.partition('?')
    seen['body'] = wsgi({
        'REQUEST_METHOD': method, 'SCRIPT_NAME': '', 'PATH_INFO': path, 'QUERY_STRING': query,
        'SERVER_NAME': 'h', 'SERVER_PORT': '80', 'wsgi.url_scheme': 'http',
        'wsgi.input': source or io.BytesIO(), 'HTTP_X_AUTH_TOKEN': 'own', **environ,
    }, start_response)
    return seen


def test_an_upload_makes_an_image_active(app, new, upload):
    image = new()

    answer = upload(image, DATA)

    assert answer.status_int == 204
    shown = app.get(f'/v2/images/{image}').json
    assert shown['status'] == 'active'
    assert shown['size'] == len(DATA)
    assert shown['checksum'] == hashlib.md5(DATA).hexdigest()
    assert shown['os_hash_value'] == hashlib.sha512(DATA).hexdigest()


def test_data_may_be_empty(app, new, upload):
    image = new()

    upload(image, b'')

    shown = app.get(f'/v2/images/{image}').json
    assert (shown['status'], shown['size']) == ('active', 0)
    assert app.get(f'/v2/images/{image}/file', status=200).body == b''


class Untouched(io.RawIOBase):
    """A body that must not be read."""

    def readinto(self, buffer):
        raise AssertionError('the body was read')


@pytest.mark.parametrize('kind', ['application/x-www-form-urlencoded', 'application/json', '',
                                  'multipart/form-data; boundary=x', 'text/plain'])
def test_another_content_type_is_refused_without_reading_the_body(app, wsgi, new, kind):
    image = new()

    seen = call(wsgi, 'PUT', f'/v2/images/{image}/file', Untouched(), CONTENT_TYPE=kind,
                CONTENT_LENGTH='10')

    assert seen['status'] == 415
    assert app.get(f'/v2/images/{image}').json['status'] == 'queued'


@pytest.mark.parametrize('kind', [KIND, f'{KIND}; charset=x', 'Application/Octet-Stream'])
def test_the_content_type_ignores_case_and_parameters(app, new, kind):
    app.put(f'/v2/images/{new()}/file', DATA, content_type=kind, status=204)


def test_the_content_type_is_checked_before_the_image(app):
    app.put('/v2/images/unknown/file', DATA, content_type='text/plain', status=415)
    app.put('/v2/images/unknown/file', DATA, content_type=KIND, status=404)


def test_the_announced_size_overrides_the_length(app, new, upload):
    image = new()

    upload(image, DATA, **{'X-OpenStack-Image-Size': '10'})

    assert app.get(f'/v2/images/{image}').json['size'] == 10


@pytest.mark.parametrize('size', ['x', '-1', '1.5', '', '9' * 30, str(1 << 63)])
def test_an_announced_size_must_be_a_number(app, new, size):
    app.put(f'/v2/images/{new()}/file', DATA, headers={'X-OpenStack-Image-Size': size},
            content_type=KIND, status=400)


@pytest.mark.parametrize('size', ['9', '11'])
def test_data_of_another_size_leaves_the_image_queued(app, new, size):
    image = new()

    app.put(f'/v2/images/{image}/file', DATA, headers={'X-OpenStack-Image-Size': size},
            content_type=KIND, status=400)

    shown = app.get(f'/v2/images/{image}').json
    assert (shown['status'], shown['size']) == ('queued', None)


def test_a_chunked_body_needs_no_length(app, wsgi, new):
    image = new()

    seen = call(wsgi, 'PUT', f'/v2/images/{image}/file', io.BytesIO(DATA), CONTENT_TYPE=KIND,
                HTTP_TRANSFER_ENCODING='chunked')

    assert seen['status'] == 204
    assert app.get(f'/v2/images/{image}').json['size'] == len(DATA)


def test_chunked_bodies_are_read_by_uwsgis_own_function(app, wsgi, new, monkeypatch):
    chunks = [DATA[:4], DATA[4:], b'']
    monkeypatch.setitem(sys.modules, 'uwsgi',
                        types.SimpleNamespace(chunked_read=lambda: chunks.pop(0)))
    image = new()

    seen = call(wsgi, 'PUT', f'/v2/images/{image}/file', Untouched(), CONTENT_TYPE=KIND,
                HTTP_TRANSFER_ENCODING='chunked', **{'uwsgi.version': b'2.0.31'})

    assert seen['status'] == 204
    assert app.get(f'/v2/images/{image}').json['size'] == len(DATA)


def test_a_request_without_length_and_coding_has_no_body(app, wsgi, new):
    image = new()

    seen = call(wsgi, 'PUT', f'/v2/images/{image}/file', Untouched(), CONTENT_TYPE=KIND)

    assert seen['status'] == 204
    assert app.get(f'/v2/images/{image}').json['size'] == 0


def test_only_as_much_as_the_length_is_read(wsgi, new):
    source = io.BytesIO(DATA + b'the next request')

    call(wsgi, 'PUT', f'/v2/images/{new()}/file', source, CONTENT_TYPE=KIND,
         CONTENT_LENGTH=str(len(DATA)))

    assert source.read() == b'the next request'


class GoesAway(io.BytesIO):

    def read(self, size=-1):
        chunk = super().read(4)
        if not chunk:
            raise ConnectionResetError('gone')
        return chunk


@pytest.mark.parametrize(('source', 'environ'), [
    (io.BytesIO, {'CONTENT_LENGTH': '20'}), (GoesAway, {'CONTENT_LENGTH': '20'}),
    (GoesAway, {'HTTP_TRANSFER_ENCODING': 'chunked'}),
    (io.BytesIO, {'CONTENT_LENGTH': '20', 'HTTP_X_OPENSTACK_IMAGE_SIZE': '10'}),
])
def test_an_interrupted_upload_leaves_no_data(app, wsgi, new, caplog, source, environ):
    image = new()

    seen = call(wsgi, 'PUT', f'/v2/images/{image}/file', source(DATA), CONTENT_TYPE=KIND,
                **environ)

    assert seen['status'] == 400
    assert app.get(f'/v2/images/{image}').json['status'] == 'queued'
    assert [record for record in caplog.records if record.levelname == 'ERROR'] == []
    app.put(f'/v2/images/{image}/file', DATA, content_type=KIND, status=204)


def test_the_caller_chooses_the_store(app, new, upload):
    image = new()

    upload(image, DATA, **{'X-Image-Meta-Store': 'cold'})

    assert app.get(f'/v2/images/{image}').json['stores'] == 'cold'
    app.put(f'/v2/images/{new()}/file', DATA, headers={'X-Image-Meta-Store': 'none'},
            content_type=KIND, status=400)


def test_a_single_store_cannot_be_chosen(variant, new):
    variant(multi_store=False).put(f'/v2/images/{new()}/file', DATA, content_type=KIND,
                                   headers={'X-Image-Meta-Store': 'none'}, status=204)


def test_an_image_accepts_data_once(app, image):
    app.put(f'/v2/images/{image}/file', DATA, content_type=KIND, status=409)


def test_an_upload_requires_the_formats(app):
    image = app.post_json('/v2/images', {}).json['id']

    app.put(f'/v2/images/{image}/file', DATA, content_type=KIND, status=400)


def test_an_image_is_downloaded_completely(app, image):
    answer = app.get(f'/v2/images/{image}/file', status=200)

    assert answer.body == DATA
    assert answer.headers['Content-Type'] == KIND
    assert answer.headers['Content-Length'] == '10'
    assert answer.headers['Content-MD5'] == hashlib.md5(DATA).hexdigest()
    assert answer.headers['Accept-Ranges'] == 'bytes'


def test_an_image_without_data_is_204(app, new):
    answer = app.get(f'/v2/images/{new()}/file', status=204)

    assert answer.body == b''


@pytest.mark.parametrize(('wanted', 'part', 'data'), [
    ('bytes=2-4', 'bytes 2-4/10', b'cde'), ('bytes=7-', 'bytes 7-9/10', b'hij'),
    ('bytes=-3', 'bytes 7-9/10', b'hij'), ('bytes=0-99', 'bytes 0-9/10', DATA),
    ('bytes=-99', 'bytes 0-9/10', DATA),
])
def test_a_range_returns_206(app, image, wanted, part, data):
    answer = app.get(f'/v2/images/{image}/file', headers={'Range': wanted}, status=206)

    assert answer.body == data
    assert answer.headers['Content-Range'] == part
    assert answer.headers['Content-Length'] == str(len(data))
    assert answer.headers['Content-MD5'] == hashlib.md5(DATA).hexdigest()


def test_content_range_selects_a_range_for_old_clients(app, image):
    file = f'/v2/images/{image}/file'

    answer = app.get(file, headers={'Content-Range': 'bytes 2-4/*'}, status=206)
    assert answer.body == b'cde'
    answer = app.get(file, headers={'Content-Range': 'bytes 2-4/*', 'Range': 'bytes=0-0'},
                     status=206)
    assert answer.body == b'a'


@pytest.mark.parametrize(('wanted', 'status'), [
    ('bytes=10-', 416), ('bytes=5-4', 416), ('lines=1-2', 416), ('nonsense', 416),
    ('bytes=0-1,3-4', 400),
])
def test_an_invalid_range_is_refused(app, image, wanted, status):
    answer = app.get(f'/v2/images/{image}/file', headers={'Range': wanted}, status=status)

    if status == 416:
        assert answer.headers['Content-Range'] == 'bytes */10'


def test_a_client_with_the_same_data_gets_304(app, image, recorder):
    file = f'/v2/images/{image}/file'
    tag = app.get(file).headers['ETag']
    recorder.events.clear()

    for known in (tag, f'"x", W/{tag}', '*'):
        answer = app.get(file, headers={'If-None-Match': known}, status=304)

        assert answer.body == b''
        assert answer.headers['ETag'] == tag
    assert recorder.events == []
    app.get(file, headers={'If-None-Match': '"other"'}, status=200)


def test_the_entity_tag_is_the_hash_of_the_data(app, image):
    tag = app.get(f'/v2/images/{image}/file').headers['ETag']

    assert tag == f'"{hashlib.sha512(DATA).hexdigest()}"'


def test_a_range_of_other_data_returns_all_data(app, image):
    file = f'/v2/images/{image}/file'
    tag = app.get(file).headers['ETag']

    app.get(file, headers={'Range': 'bytes=0-1', 'If-Range': tag}, status=206)
    for stale in ('"other"', f'W/{tag}', 'Sat, 21 Nov 2026 05:12:00 GMT'):
        answer = app.get(file, headers={'Range': 'bytes=0-1', 'If-Range': stale}, status=200)
        assert answer.body == DATA


def test_the_event_of_a_complete_download_has_all_bytes(app, image, recorder):
    app.get(f'/v2/images/{image}/file')

    event = recorder.events[-1]
    assert (event.type, event.priority) == ('image.send', 'INFO')
    assert event.payload['bytes_sent'] == 10


def test_the_event_of_an_interrupted_download_has_the_bytes_sent(core, wsgi, image, recorder):
    body = call(wsgi, 'GET', f'/v2/images/{image}/file')['body']

    body.close()
    body.close()

    sent = [event for event in recorder.events if event.type == 'image.send']
    assert [(event.priority, event.payload['bytes_sent']) for event in sent] == [('ERROR', 0)]


class Wrapper:
    """A ``wsgi.file_wrapper`` that records its arguments."""

    def __init__(self, file, block=8192):
        self.file = file
        self.close = file.close

    def __iter__(self):
        return iter(lambda: self.file.read(4), b'')


class Files:
    """Downloads of one file of twenty bytes."""

    def __init__(self, file, offset=0, length=20, partial=False):
        self.extent = contract.FileExtent(file, offset, length)
        self.image = contract.Image('x', size=20)
        self.offset, self.length, self.partial = offset, length, partial
        self.reported = []

    def open(self, ctx, image_id, **ranges):
        return self

    @property
    def chunks(self):
        return self.extent

    def done(self, sent):
        self.reported.append(sent)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'data'
    path.write_bytes(b'0123456789' * 2)
    with path.open('rb', buffering=0) as file:
        yield file


def download(core, data, **environ):
    wsgi = make_app(
        dataclasses.replace(core, use_cases=dataclasses.replace(core.use_cases, downloads=data))
    )
    return call(wsgi, 'GET', '/v2/images/x/file', **environ)['body']


def test_a_file_is_sent_by_a_server_that_can(core, file):
    data = Files(file)
    body = download(core, data, **{'wsgi.file_wrapper': Wrapper})

    assert isinstance(body, Wrapper)
    assert body.file.fileno() == file.fileno()
    assert b''.join(body) == b'0123456789' * 2
    body.close()
    assert data.reported == [20]
    assert file.closed


def test_a_range_of_a_file_is_sent_only_by_a_server_that_supports_it(core, file):
    part = {'offset': 5, 'length': 7, 'partial': True}
    again = io.FileIO(file.name)
    unknown = download(core, Files(again, **part), **{'wsgi.file_wrapper': Wrapper})
    assert not isinstance(unknown, Wrapper)
    assert b''.join(unknown) == b'5678901'

    data = Files(file, **part)
    known = download(core, data, **{'wsgi.file_wrapper': Wrapper, 'glancelite.sendfile': True})
    assert isinstance(known, Wrapper)
    assert known.file.tell() == 5
    assert b''.join(known) == b'5678901'
    known.close()
    assert data.reported == [7]


@pytest.mark.parametrize(('environ', 'moved', 'reported'), [
    ({'glancelite.sendfile': True}, 12, 12), ({'glancelite.sendfile': True}, 0, 0),
    ({}, 0, 20), ({}, 12, 12),
])
def test_the_position_of_the_file_shows_what_a_server_has_sent(core, file, environ, moved,
                                                               reported):
    data = Files(file)
    body = download(core, data, **{'wsgi.file_wrapper': Wrapper}, **environ)

    body.file.seek(moved)
    body.close()
    body.close()

    assert data.reported == [reported]


def test_the_event_of_a_failed_download_has_the_bytes_sent(core):
    def chunks():
        yield b'01234'
        raise contract.Unavailable('the store went away')
    data = Files(io.BytesIO(b'x' * 20))
    data.extent = chunks()
    body = download(core, data)

    with pytest.raises(contract.Unavailable):
        list(body)
    body.close()

    assert data.reported == [5]


def test_other_projects_cannot_download(wsgi, app, new):
    image = new(visibility='private')

    client(wsgi, 'other').get(f'/v2/images/{image}/file', status=404)
    client(wsgi, 'other').put(f'/v2/images/{image}/file', DATA, content_type=KIND, status=404)


def test_data_that_is_known_to_be_damaged_is_503_before_the_first_byte(core, image, monkeypatch):
    from glancelite.services.use_cases import Options
    from glancelite.testing import service
    verifying = service.exchange(core, options=Options(verify_downloads=True))
    app = client(make_app(verifying))
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'read',
                        lambda url, **part: iter([b'abcdefghiX']))

    answer = app.get(f'/v2/images/{image}/file', status=503)

    assert b'is damaged' in answer.body
    assert 'ETag' not in answer.headers
    app.get(f'/v2/images/{image}/file', headers={'Range': 'bytes=0-1'}, status=503)
