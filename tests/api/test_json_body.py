"""JSON bodies have limits that every legal document fits."""

import json

import pytest

from glancelite import contract
from glancelite.api import json_body
from glancelite.domain import patch

MIB = 1 << 20
#: what MariaDB can hold in one property
VALUE_BYTES = 65_535
PIECE = 1_000_003


def parse(body, *, max_size=json_body.DEFAULT_SIZE, length=None):
    pieces = (body[start:start + PIECE] for start in range(0, len(body), PIECE))
    return json_body.JSONParser(max_size).parse(pieces, length)


def largest_image(character):
    """All properties and tags that the default quotas allow, each as long as possible."""
    value = character * (VALUE_BYTES // len(character.encode()))
    return {f'{number:03}'.ljust(255, 'n'): value for number in range(128)} | {
        'name': 'n' * 255, 'tags': [f'{number:03}'.ljust(255, 't') for number in range(128)]}


@pytest.mark.parametrize('ensure_ascii', [True, False])
@pytest.mark.parametrize('character', ['a', '\n', 'é', '中'])
def test_the_largest_image_is_accepted(character, ensure_ascii):
    image = largest_image(character)

    assert parse(json.dumps(image, ensure_ascii=ensure_ascii).encode()) == image


@pytest.mark.parametrize('character', ['a', 'é'])
def test_the_largest_patch_is_accepted(character):
    operations = [{'op': 'add', 'path': f'/{name}', 'value': value}
                  for name, value in largest_image(character).items()]

    parsed = parse(json.dumps(operations).encode())

    assert patch.parse(parsed, patch.DRAFT_10, lambda name, value: value)[-1].value[0][0] == '0'


def test_the_largest_image_is_created_and_shown(app):
    image = largest_image('é')

    created = app.post('/v2/images', json.dumps(image), status=201).json

    assert app.get(f'/v2/images/{created["id"]}').json.items() >= {
        name: value for name, value in image.items() if name != 'tags'}.items()


@pytest.mark.parametrize('body', [
    b'{"a":[' + b'{},' * 100_000 + b'{}]}', b'{"a":[' + b'[],' * 100_000 + b'[]]}',
    b'[' + b'1,' * 200_000 + b'1]', b'[' + b'"",' * 100_000 + b'""]',
    b'{' + b'"a":1,' * 100_000 + b'"a":1}', b'"' * 500_000, b',' * 500_000,
], ids=lambda body: body[:8].decode())
def test_a_body_with_too_many_elements_is_refused(body):
    with pytest.raises(contract.TooLarge, match='too many elements'):
        parse(body)


@pytest.mark.parametrize(('opening', 'closing'), [(b'[', b']'), (b'{"a":', b'}')])
def test_the_depth_is_limited(opening, closing):
    def nested(depth):
        return opening * depth + b'1' + closing * depth

    assert parse(nested(json_body.MAX_DEPTH))
    with pytest.raises(contract.Invalid, match='more than 64 levels'):
        parse(nested(json_body.MAX_DEPTH + 1))


@pytest.mark.parametrize('text', ['[' * 100, r'\"[' * 100, '\\\\', '{},' * 100_000, '\\"' * 9])
def test_the_content_of_strings_is_no_structure(text):
    assert parse(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize('body', [
    b'["%s"]' % (b'a' * 1000), b'["%s"]' % (rb'\u00e9' * 501),
    b'["%s"]' % (rb'\\u' * 600), b'["%s"]' % ('é'.encode() * 400 + rb'\u00e9' * 50),
    b' ' * 1001])
def test_a_body_that_is_too_long_is_refused(body):
    with pytest.raises(contract.TooLarge, match='longer than 1000 bytes'):
        parse(body, max_size=1000)


def test_an_escape_counts_as_the_bytes_that_it_stands_for():
    assert parse(b'["%s"]' % (rb'\u00e9' * 490), max_size=1000) == ['é' * 490]
    assert parse(b'["%s"]' % (rb'\\' * 900), max_size=1000) == ['\\' * 900]


def test_a_body_whose_announced_length_is_too_large_is_not_read():
    def unread():
        raise AssertionError('the body was read')
        yield

    with pytest.raises(contract.TooLarge):
        json_body.JSONParser(1000).parse(unread(), 3001)


class Unread:
    """A body that nobody may read."""

    def read(self, size=-1):
        raise AssertionError('the body was read')


@pytest.mark.parametrize(('method', 'path', 'status'), [
    ('POST', '', '403 Forbidden'), ('POST', '/{}/members', '403 Forbidden'),
    ('PUT', '/{}/members/m', '403 Forbidden'), ('POST', '/{}/locations', '403 Forbidden'),
    ('POST', '/unknown/members', '404 Not Found'), ('PUT', '/unknown/members/m', '404 Not Found'),
    ('POST', '/unknown/locations', '404 Not Found')])
def test_the_body_of_a_caller_without_rights_is_not_read(wsgi, new, method, path, status):
    statuses = []

    wsgi({'REQUEST_METHOD': method, 'PATH_INFO': '/v2/images' + path.format(new()),
          'HTTP_X_AUTH_TOKEN': 'own:reader', 'CONTENT_LENGTH': '100', 'wsgi.input': Unread(),
          'wsgi.url_scheme': 'http', 'HTTP_HOST': 'images.example'},
         lambda status, headers: statuses.append(status))

    assert statuses == [status]
