"""A cloud with two stores on real backends, S3 and Ceph: adding and removing copies, failover."""

import contextlib
import json
import subprocess

import boto3.session
import pytest

from tests.clients import case
from tests.clients.conftest import Service
from tests.servers import live, programs
from tests.servers.relay import relay

BUCKET = 'two-stores'
POOL = 'story'


@pytest.fixture(scope='module')
def two_stores(ceph, ceph_s3):
    """A service whose store ``fast`` uses an S3 endpoint, which ``stop`` stops."""
    with contextlib.ExitStack() as running, contextlib.ExitStack() as first, \
            live.process.directory('two-stores') as home:
        endpoint = first.enter_context(relay(ceph_s3.url))
        # its open connections end with the next piece of data, and no others are accepted
        first.callback(setattr, endpoint, 'cut', lambda data, direction: True)
        _client(ceph_s3).create_bucket(Bucket=BUCKET)
        ceph.create_pool(POOL)
        running.callback(ceph.delete_pool, POOL)
        server = running.enter_context(live.server({
            'DEFAULT': {'enabled_backends': 'fast:s3, cold:rbd', 'workers': 1,
                        'show_multiple_locations': 'true'},
            'glance_store': {'default_backend': 'fast'},
            'fast': {'s3_store_host': endpoint.url, 's3_store_bucket': BUCKET, 'weight': 10,
                     's3_store_access_key': ceph_s3.access_key,
                     's3_store_secret_key': ceph_s3.secret_key, 'store_description': 'Objects'},
            'cold': {'rbd_store_ceph_conf': ceph.conf, 'rbd_store_user': 'admin',
                     'rbd_store_pool': POOL},
            'database': {'connection': f'sqlite:///{home}/glancelite.sqlite'},
            'layers': {'auth': 'noauth', 'sync_database': 'true'},
        }, timeout=90))
        service = Service(server, None, 'noauth', 'noauth', 'other', home, running)
        service.stop, service.s3, service.ceph = first.close, ceph_s3, ceph
        yield service


def _client(service):
    return boto3.session.Session(service.access_key, service.secret_key).client(
        's3', endpoint_url=service.url, region_name=service.region)


class TestTwoStores(case.Case):

    MODE = 'two_stores'

    def test_copies_are_added_removed_and_replace_each_other(self):
        openstack = self.service.openstack(self.home)
        glance = self.service.glance_command(self.home)
        data, copy = case.random_data(5_000_000), self.home / 'copy'
        file, image_id, elsewhere = self.file(data), case.new_id(), case.new_id()

        stores = glance('stores-info')
        assert 'Objects' in stores
        assert 'cold' in stores
        openstack('image', 'create', '--id', image_id, '--file', file, '--disk-format', 'raw',
                  '--container-format', 'bare', 'one')
        assert self.stores(openstack, image_id) == 'fast'
        assert self.objects() == [image_id]
        glance('image-create', '--id', elsewhere, '--file', file, '--disk-format', 'raw',
               '--container-format', 'bare', '--name', 'elsewhere', '--store', 'cold')
        assert self.stores(openstack, elsewhere) == 'cold'
        assert self.rbd('ls') == [elsewhere]

        glance('location-add', '--url', self.imported(file, 'copy-1'), image_id)
        assert self.stores(openstack, image_id) == 'fast,cold'
        glance('stores-delete', '--store', 'cold', image_id)
        assert self.stores(openstack, image_id) == 'fast'
        assert self.rbd('ls') == [elsewhere]
        output = glance('stores-delete', '--store', 'fast', image_id, fails=True)
        assert 'Cannot delete image data from the only store' in output

        glance('location-add', '--url', self.imported(file, 'copy-2'), image_id)
        openstack('image', 'save', '--file', copy, image_id)
        assert copy.read_bytes() == data
        copy.unlink()
        self.service.stop()
        openstack('image', 'save', '--file', copy, image_id)
        assert copy.read_bytes() == data
        openstack('image', 'delete', elsewhere)
        assert self.rbd('ls') == ['copy-2']
        detail = glance('stores-info', '--detail')
        assert 's3' in detail
        assert 'unavailable' in json.dumps(self.detail())

    def stores(self, openstack, image_id):
        return openstack.json('image', 'show', image_id)['properties']['stores']

    def detail(self):
        return json.loads(self.request('GET', '/v2/info/stores/detail').body)

    def objects(self):
        listing = _client(self.service.s3).list_objects_v2(Bucket=BUCKET)
        return [item['Key'] for item in listing.get('Contents', ())]

    def rbd(self, *arguments):
        """The output of the ``rbd`` command, as a list of lines."""
        return subprocess.run(
            [programs.require('rbd'), '-c', self.service.ceph.conf, '-p', POOL, *arguments],
            text=True, capture_output=True, check=True).stdout.split()

    def imported(self, file, name):
        """Import a file as an RBD image without the service; returns its URL."""
        self.rbd('import', '--no-progress', file, name)
        self.rbd('snap', 'create', f'{name}@snap')
        self.rbd('snap', 'protect', f'{name}@snap')
        return f'rbd://{self.service.ceph.fsid}/{POOL}/{name}/snap'
