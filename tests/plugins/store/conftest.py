"""Fixtures: stores and their backends."""

import contextlib
import dataclasses
import functools
import os
import subprocess
import threading
import uuid

import pytest
from oslo_config import cfg

from glancelite import loader
from glancelite.plugins.store.file import FileStore
from glancelite.plugins.store.rbd import RBDStore
from glancelite.plugins.store.s3 import S3Store
from tests.servers import fault_proxy, programs


@pytest.fixture(scope='session', autouse=True)
def files_of_boto3():
    """Read the files of boto3 once: the driver of glance_store reads 2 MB for each request.

    What it derives from names of events for each client is kept as well.
    """
    from botocore.hooks import EventAliaser
    from botocore.loaders import JSONFileLoader
    read = functools.cache(JSONFileLoader()._load_file)
    aliaser = EventAliaser(None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, '_load_file', staticmethod(read))
        patch.setattr(EventAliaser, '_alias_event_name',
                      staticmethod(functools.cache(aliaser._alias_event_name)))
        yield


@pytest.fixture
def make_store(make_plugin, tmp_path):
    """Build a file store in ``tmp_path``; options without their prefix."""
    def make(**options):
        named = {f'filesystem_store_{key}': value for key, value in options.items()
                 if key != 'thin'}
        if 'datadirs' not in options:
            named.setdefault('filesystem_store_datadir', str(tmp_path))
        return make_plugin(FileStore, filesystem_thin_provisioning=options.get('thin', False),
                           **named)
    return make


@pytest.fixture
def make_bridge(host, tmp_path):
    """Build a store ``glance_store``, by default called ``old``, from a configuration text."""
    stores = []

    def make(text, name='old'):
        path = tmp_path / 'glancelite-api.conf'
        path.write_text(text)
        host.conf = cfg.ConfigOpts()
        host.conf(['--config-file', str(path)], project='glancelite')
        stores.append(loader.load(host.conf, host, 'store', 'glance_store', instance=name))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def make_rbd(make_plugin, ceph):
    """Build an RBD store; the most used options without their prefix."""
    def make(name='test', user='images', pool='images', conf=None, chunk_size=8, **options):
        return make_plugin(RBDStore, name=name, rbd_store_user=user, rbd_store_pool=pool,
                           rbd_store_ceph_conf=conf or ceph.conf,
                           rbd_store_chunk_size=chunk_size, **options)
    return make


@dataclasses.dataclass(frozen=True)
class S3Server:
    """A real endpoint.

    Listings of Swift contain deleted objects for a while, so each object is checked.

    :ivar kind: ``ceph`` or ``swift``.
    :ivar admin: a client of boto3.
    :ivar hidden: lists what only the operator of the endpoint sees of a bucket.
    """

    kind: str
    url: str
    region: str
    access_key: str
    secret_key: str
    admin: object
    hidden: object

    @contextlib.contextmanager
    def new_bucket(self):
        """Create a bucket and yield its name; delete it with its content afterwards."""
        name = f'bucket-{uuid.uuid4()}'
        self.admin.create_bucket(Bucket=name)
        yield name
        # some endpoints delete a bucket with unfinished uploads
        for upload in self.admin.list_multipart_uploads(Bucket=name).get('Uploads', ()):
            self.admin.abort_multipart_upload(Bucket=name, Key=upload['Key'],
                                              UploadId=upload['UploadId'])
        for key in self._listed(name):
            self.admin.delete_object(Bucket=name, Key=key)
        if self.kind == 'ceph':     # the number of its buckets is limited
            self.admin.delete_bucket(Bucket=name)

    def everything(self, bucket):
        """Return the keys of all objects, uploads and hidden parts of a bucket."""
        return self.keys(bucket) + self.uploads(bucket) + self.hidden(bucket)

    def keys(self, bucket):
        """Return the keys of all objects of a bucket."""
        return [key for key in self._listed(bucket) if self.has(bucket, key)]

    def _listed(self, bucket):
        return [each['Key'] for page in self.admin.get_paginator('list_objects_v2').paginate(
            Bucket=bucket) for each in page.get('Contents', ())]

    def has(self, bucket, key):
        try:
            return bool(self.admin.head_object(Bucket=bucket, Key=key))
        except self.admin.exceptions.ClientError as error:
            if error.response['ResponseMetadata']['HTTPStatusCode'] != 404:
                raise
            return False

    def uploads(self, bucket):
        """Return the keys of all unfinished multipart uploads."""
        return [each['Key'] for each in
                self.admin.list_multipart_uploads(Bucket=bucket).get('Uploads', ())]


@pytest.fixture(scope='session',
                params=['ceph', pytest.param('swift', marks=pytest.mark.long)])
def s3_server(request):
    """Each of two S3 endpoints that behave differently."""
    import boto3.session
    if request.param == 'ceph':
        gateway = request.getfixturevalue('ceph_s3')
        account = gateway.url, gateway.region, gateway.access_key, gateway.secret_key

        def hidden(bucket):
            return []
    else:
        swift = request.getfixturevalue('swift')
        account = swift.url, 'us-east-1', 'test:tester', 'testing'

        def hidden(bucket):     # Swift stores parts in a separate container
            storage, token = swift.token()
            url = f'{storage}/{bucket}+segments'
            listing = swift.request('GET', url, token)
            return [name for name in listing.body.decode().splitlines() if listing.status == 200
                    and swift.request('HEAD', f'{url}/{name}', token).status == 200]
    url, region, access, secret = account
    admin = boto3.session.Session(access, secret).client('s3', endpoint_url=url,
                                                         region_name=region)
    return S3Server(request.param, *account, admin, hidden)


@pytest.fixture
def s3_bucket(s3_server):
    """The name of a new, empty bucket."""
    with s3_server.new_bucket() as name:
        yield name


@pytest.fixture
def make_s3(make_plugin, s3_server, request):
    """Build an S3 store in ``s3_bucket``; options without their prefix."""
    def make(**options):
        values = {'host': s3_server.url, 'access_key': s3_server.access_key,
                 'secret_key': s3_server.secret_key, **options}
        if 'bucket' not in values:
            values['bucket'] = request.getfixturevalue('s3_bucket')
        return make_plugin(S3Store, name='s3', **{
            f's3_store_{key}': value for key, value in values.items()})
    return make


@pytest.fixture
def s3_proxy(s3_server):
    """A proxy in front of the endpoint that a test controls."""
    with fault_proxy.running(s3_server.url) as proxy:
        yield proxy


@pytest.fixture(scope='session')
def certificates(tmp_path_factory):
    """``(certificate, key)`` of 127.0.0.1, self-signed."""
    folder = tmp_path_factory.mktemp('tls')
    subprocess.run(
        [programs.require('openssl'), 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=lab', '-addext',
         'subjectAltName=IP:127.0.0.1', '-keyout', folder / 'key.pem', '-out',
         folder / 'cert.pem'], check=True, capture_output=True)
    return folder / 'cert.pem', folder / 'key.pem'
class Silence:
    """Makes calls of the module ``os`` below a directory hang, as if a file server were down.

    tests/crash/test_hung_mount.py uses a file system that hangs in the kernel.
    """

    CALLS = ('access', 'fsync', 'link', 'lstat', 'mkdir', 'open', 'pread', 'scandir', 'stat',
             'statvfs', 'unlink', 'write')

    def __init__(self, monkeypatch):
        self._root = None
        self._calls = ()
        self._over = threading.Event()
        self.waiting = []
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name, real):
        def call(target, *arguments, **named):
            if self._root is not None and name in self._calls and self._is_below(target):
                self.waiting.append(name)
                assert self._over.wait(30)
            return real(target, *arguments, **named)
        return call

    def _is_below(self, target):
        path = os.readlink(f'/proc/self/fd/{target}') if isinstance(target, int) else str(target)
        return f'{path}/'.startswith(f'{self._root}/')

    def begin(self, root, *calls):
        """Make ``calls`` hang from now on; all, if none are named."""
        self._over.clear()
        self._calls = calls or self.CALLS
        self._root = str(root)

    def end(self):
        self._root = None
        self._over.set()


@pytest.fixture
def silence(monkeypatch):
    """Call ``begin`` and ``end``; the test ends it as well."""
    silence = Silence(monkeypatch)
    yield silence
    silence.end()
