"""Requests as gophercloud and other clients send them."""

import hashlib
import http.client
import json
import socket
import urllib.parse

from tests.clients import case

PATCH = 'application/openstack-images-v2.1-json-patch'
BYTES = 'application/octet-stream'


class Stories:

    def test_the_requests_of_gophercloud_work(self):
        image_id, data = case.new_id(), case.random_data()
        self.addCleanup(self.remove, image_id)

        made = self.request('POST', '/v2/images', {
            'id': image_id, 'name': 'one', 'container_format': 'bare', 'disk_format': 'raw',
            'visibility': 'private', 'protected': False, 'min_disk': 0, 'min_ram': 0,
            'tags': ['a'], 'hw_disk_bus': 'scsi'}, accept='application/json')
        assert made.status == 201
        assert made.getheader('Location') == f'{self.service.url}/v2/images/{image_id}'

        patched = self.request('PATCH', f'/v2/images/{image_id}', [
            {'op': 'replace', 'path': '/name', 'value': 'two'},
            {'op': 'replace', 'path': '/tags', 'value': ['b', 'c']},
            {'op': 'add', 'path': '/hw_disk_bus_model', 'value': 'virtio'},
            {'op': 'remove', 'path': '/hw_disk_bus'}], content_type=PATCH)
        assert patched.status == 200
        image = json.loads(patched.body)
        assert (image['name'], sorted(image['tags'])) == ('two', ['b', 'c'])
        assert image['hw_disk_bus_model'] == 'virtio'
        assert 'hw_disk_bus' not in image

        sent = self.request('PUT', f'/v2/images/{image_id}/file', data, content_type=BYTES)
        assert (sent.status, sent.body) == (204, b'')
        file = self.request('GET', f'/v2/images/{image_id}/file')
        assert (file.status, file.body) == (200, data)
        assert file.getheader('Content-MD5') == hashlib.md5(data).hexdigest()

        gone = self.request('DELETE', f'/v2/images/{image_id}')
        assert (gone.status, gone.body) == (204, b'')
        assert self.request('GET', f'/v2/images/{image_id}').status == 404

    def test_links_lead_through_all_pages(self):
        mark = case.new_id()
        made = [self.image(tags=[mark], name=f'{number:02}') for number in range(31)]
        listed = []
        link = f'/v2/images?limit=10&sort=name:asc&tag={mark}'

        while link:
            page = json.loads(self.request('GET', link).body)
            listed += [image['id'] for image in page['images']]
            link = page.get('next')

        assert listed == made

    def test_errors_have_the_requested_media_type(self):
        for accept, kind in (('application/json', 'application/json'),
                             ('*/*', 'text/html; charset=UTF-8'),
                             ('text/plain', 'text/plain; charset=UTF-8')):
            reply = self.request('GET', '/v2/images/nowhere', accept=accept)
            assert (reply.status, reply.getheader('Content-Type')) == (404, kind)
            assert b'No image found with ID nowhere' in reply.body

    def test_many_requests_share_one_connection(self):
        image_id = self.image(b'data')
        connection = http.client.HTTPConnection('127.0.0.1', self.service.server.port)
        self.addCleanup(connection.close)
        statuses, handles = [], set()

        for method, path in (('GET', f'/v2/images/{image_id}'), ('GET', '/v2/images/nowhere'),
                             ('GET', f'/v2/images/{image_id}/file'), ('HEAD', '/v2/images'),
                             ('PUT', f'/v2/images/{image_id}/tags/x'), ('GET', '/versions')):
            connection.request(method, path, headers={'X-Auth-Token': self.service.token()})
            handles.add(connection.sock)
            reply = connection.getresponse()
            reply.read()
            statuses.append(reply.status)

        assert statuses == [200, 404, 200, 405, 204, 200]
        assert len(handles) == 1

    def test_a_client_that_expects_100_is_refused_before_it_sends(self):
        image_id = self.image(b'data')
        with socket.create_connection(('127.0.0.1', self.service.server.port), 10) as client:
            client.sendall(f'PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\n'
                           f'X-Auth-Token: {self.service.token()}\r\nContent-Type: {BYTES}\r\n'
                           'Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n'.encode())

            response = client.recv(1 << 16)

        assert response.startswith(b'HTTP/1.1 409 ')

    def test_a_chunked_upload_must_have_the_announced_size(self):
        image_id = self.image()

        reply = self.request('PUT', f'/v2/images/{image_id}/file', iter([b'12', b'345']),
                             content_type=BYTES, x_openstack_image_size='6')

        assert reply.status == 400
        image = json.loads(self.request('GET', f'/v2/images/{image_id}').body)
        assert (image['status'], image['size']) == ('queued', None)
        assert not (self.service.stored / image_id).exists()

    def test_every_link_of_the_versions_works(self):
        versions = json.loads(self.request('GET', '/versions').body)['versions']

        for version in versions:
            base = urllib.parse.urlsplit(version['links'][0]['href']).path
            assert self.request('GET', f'{base}images?limit=1').status == 200
            assert self.request('GET', f'/{version["id"]}/images?limit=1').status == 200


class TestEmbedded(Stories, case.Embedded, case.Case):
    pass


class TestWithKeystone(Stories, case.WithKeystone, case.Case):
    pass
