"""Ids in capitals: as a client gave them, and as another service has stored them."""

import pytest

from glancelite import contract

LOWER = 'abcdef00-1234-4abc-8def-00000000000a'
JSON = 'application/openstack-images-v2.1-json-patch'


@pytest.fixture(params=['given', 'stored'])
def image(request, app, core):
    """An image with an id in capitals: given in a request, or stored so by Glance."""
    attributes = {'id': LOWER.upper(), 'name': 'n', 'disk_format': 'raw',
                  'container_format': 'bare', 'visibility': 'shared'}
    if request.param == 'given':
        return app.post_json('/v2/images', attributes, status=201).json['id']
    return core.layers.database.images.add(contract.Image(**attributes, owner='own')).id


@pytest.mark.parametrize('form', [LOWER, LOWER.upper()], ids=['lower', 'upper'])
def test_an_id_works_in_every_route(app, admin, other, image, form):
    path = f'/v2/images/{form}'

    assert app.get(path).json['id'] == image
    app.patch(path, '[{"op": "replace", "path": "/name", "value": "m"}]', content_type=JSON)
    app.put(f'{path}/tags/t', status=204)
    app.delete(f'{path}/tags/t', status=204)
    app.put(f'{path}/file', b'data', content_type='application/octet-stream', status=204)
    assert app.get(f'{path}/file').body == b'data'
    app.post_json(f'{path}/members', {'member': 'other'})
    assert other.get(path).json['id'] == image
    other.put_json(f'{path}/members/other', {'status': 'accepted'})
    assert app.get(f'{path}/members').json['members'][0]['image_id'] == image
    assert app.get(f'{path}/members/other').json['status'] == 'accepted'
    app.delete(f'{path}/members/other', status=204)
    admin.post(f'{path}/actions/deactivate', status=204)
    admin.post(f'{path}/actions/reactivate', status=204)
    app.delete(path, status=204)
    app.get(path, status=404)


@pytest.mark.parametrize('form', [LOWER, LOWER.upper()], ids=['lower', 'upper'])
def test_an_id_works_in_filters_and_as_a_marker(app, image, form, new):
    older = image
    newer = new(name='newer')

    def listed(query):
        return [found['id'] for found in app.get(f'/v2/images?{query}').json['images']]

    assert listed(f'id={form}') == listed(f'id=eq:{form}') == [older]
    assert listed(f'id=in:{form},{newer}') == [newer, older]
    assert listed(f'sort=created_at:asc&marker={form}') == [newer]
    assert listed('id=in:x,y') == []


@pytest.mark.parametrize('form', [LOWER, LOWER.upper()], ids=['lower', 'upper'])
@pytest.mark.parametrize('is_deleted', [False, True], ids=['live', 'deleted'])
def test_an_id_cannot_be_given_twice(app, image, form, is_deleted):
    if is_deleted:
        app.delete(f'/v2/images/{image}', status=204)

    app.post_json('/v2/images', {'id': form}, status=409)

    assert app.get(f'/v2/images/{form}', status=404 if is_deleted else 200)
    assert len(app.get('/v2/images').json['images']) == (0 if is_deleted else 1)
