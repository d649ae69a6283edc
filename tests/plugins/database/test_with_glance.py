"""Glance itself creates a database, shares it with the plugin, and still serves it."""

import pytest

from glancelite.contract import ImageQuery, Viewer
from tests.servers import glance


@pytest.fixture
def url(mariadb_server):
    url = mariadb_server.create('utf8mb3')      # as Glance's installation guide creates it
    yield url
    mariadb_server.drop(url)


def test_glance_serves_the_database_after_its_conversion(make_sql, url):
    old = {'name': 'Old', 'disk_format': 'raw', 'container_format': 'bare', 'tags': ['a'],
           'Keep': '1', 'other': 'é'}
    with glance.server(glance.install(), url) as request:
        status, before = request('POST', '/v2/images', old)
        assert status == 201
        path = f'/v2/images/{before["id"]}'
        database = make_sql(url)
        assert database.behind() is True

        assert 'exactly now' in database.sync()     # while Glance runs

        assert request('GET', path) == (200, before)
        seen = database.images.get(before['id'], viewer=None)
        database.images.update(seen, {'tags': ('A', 'a'), 'properties': {
            'Keep': '1', 'keep': '2', 'kéep': '3', 'smile': '😀'}})
        status, shown = request('GET', path)
        assert (status, shown['keep'], shown['Keep'], shown['kéep']) == (200, '2', '1', '3')
        assert (set(shown['tags']), shown['smile']) == ({'a', 'A'}, '😀')

        status, new = request('POST', '/v2/images', {'name': 'new', 'tags': ['t', 'T'],
                                                     'UPPER': '1', 'upper': '2'})
        assert status == 201
        status, new = request('PATCH', f'/v2/images/{new["id"]}', [
            {'op': 'replace', 'path': '/name', 'value': 'newer'},
            {'op': 'add', 'path': '/Upper', 'value': '3'}])
        assert (status, new['UPPER'], new['upper'], new['Upper']) == (200, '1', '2', '3')
        status, listed = request('GET', '/v2/images?sort=name:asc')
        assert [image['name'] for image in listed['images']] == ['Old', 'newer']
        assert request('GET', '/v2/images?name=old')[1]['images'] == []
        assert request('DELETE', f'/v2/images/{new["id"]}')[0] == 204

        rest = database.images.list(ImageQuery(Viewer(None, True), 'all')).items
        assert [image.id for image in rest] == [before['id']]
