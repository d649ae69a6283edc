"""Images as objects of an S3 bucket, in the layout that Glance uses."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3 import location
from glancelite.plugins.store.s3.client import Client, Refused, meaning
from glancelite.plugins.store.s3.download import Download
from glancelite.plugins.store.s3.upload import LARGEST_PART, MIB, Senders, Upload, taken

LOG = logging.getLogger(__name__)


def _told(method):
    """Let the refusals of the endpoint become errors of the contract."""
    @functools.wraps(method)
    def told(self, *args, **named):
        try:
            return method(self, *args, **named)
        except Refused as refused:
            raise meaning(self.name, refused) from refused
    return told


class S3Store(contract.Store):
    """One object per image, named by its key; at Amazon, Ceph, Swift, MinIO and others.

    Objects appear whole and are not overwritten: by nobody in this process, and by nobody at
    all where the endpoint honours ``If-None-Match``.

    The keys need the rights to list the bucket and its uploads in parts, to read, write and
    delete objects, and to abort uploads; locations of images have no keys. Those that old ones
    carry are used only where the configured keys are refused.

    With ``s3_store_enable_data_integrity_protection`` and requests ``when_supported``, all that
    is longer than a part is sent in parts, each with its checksum.
    """

    OPTS = (
        cfg.StrOpt('s3_store_host', sample_default='https://s3.example.com',
                   help='Host of the S3 endpoint, perhaps with a port, and with https:// in '
                        'front; without that, http:// is meant. Must be set.'),
        cfg.StrOpt('s3_store_region_name', default='',
                   help="Region of the bucket. If it is not set, the names of Amazon's hosts "
                        'tell; elsewhere, us-east-1 is what requests are signed for.'),
        cfg.StrOpt('s3_store_access_key', secret=True,
                   help='Access key. Set neither this nor s3_store_secret_key to use what boto3 '
                        'finds: its environment variables and files, or the role of the '
                        'machine.'),
        cfg.StrOpt('s3_store_secret_key', secret=True,
                   help='Secret key of s3_store_access_key. Neither is kept in locations of '
                        'images, so both may be changed at any time.'),
        cfg.StrOpt('s3_store_bucket', sample_default='glance',
                   help='Bucket that holds the images. Must be set.'),
        cfg.ListOpt('s3_store_former_hosts', default=[],
                    help='What s3_store_host was when images were written that are to be read. '
                         'They are read from s3_store_host.'),
        cfg.ListOpt('s3_store_former_buckets', default=[],
                    help='What s3_store_bucket was when images were written that are to be '
                         'read. They are read from their bucket, at s3_store_host.'),
        cfg.BoolOpt('s3_store_create_bucket_on_put', default=False,
                    help='Make the bucket with the first image if there is none.'),
        cfg.StrOpt('s3_store_bucket_url_format', default='auto',
                   help='Where requests name the bucket: in the host (virtual), in the path '
                        "(path), or as it suits (auto): in the host at Amazon's, and in the "
                        'path elsewhere.'),
        cfg.IntOpt('s3_store_large_object_size', default=100, min=0,
                   help='MiB from which on an image is sent in parts; 0 for all but empty '
                        'ones. Shorter ones go in one request, which is sent while the image '
                        'comes if that is longer than a part: then it cannot be repeated, and '
                        'the signature does not cover it. An image of unknown size is sent in '
                        'parts if it is longer than one.'),
        cfg.IntOpt('s3_store_large_object_chunk_size', default=10,
                   help='MiB of a part, at least 5. Parts are larger where 10000 of them would '
                        'not be enough.'),
        cfg.IntOpt('s3_store_thread_pools', default=10,
                   help='Parts that this store sends at the same time, in all its uploads '
                        'together.'),
        cfg.IntOpt('s3_store_upload_memory', default=100, min=1,
                   help='MiB of parts that one upload holds at the same time, and so how many '
                        'of its parts are sent at the same time. Two parts are held if not even '
                        'they fit, or while other uploads keep all of s3_store_thread_pools '
                        'busy. More makes uploads to distant endpoints faster.'),
        cfg.StrOpt('s3_store_cacert', default='',
                   help='File with the certificates of the authorities to trust; empty for '
                        "botocore's own."),
        cfg.BoolOpt('s3_store_enable_data_integrity_protection', default=False,
                    help='Let the following two options have an effect. Many implementations '
                         'of S3 do not know these checksums.'),
        cfg.StrOpt('s3_store_request_checksum_calculation', default='when_required',
                   choices=['when_required', 'when_supported'],
                   help='When data is sent with a checksum, which the endpoint then verifies.'),
        cfg.StrOpt('s3_store_response_checksum_validation', default='when_required',
                   choices=['when_required', 'when_supported'],
                   help='When the checksum of whole images is verified as they are read.'),
        cfg.IntOpt('s3_store_connect_timeout', default=10, min=1,
                   help='Seconds to wait for a connection.'),
        cfg.IntOpt('s3_store_read_timeout', default=60, min=1,
                   help='Seconds to wait for the next bytes of an answer.'),
        cfg.IntOpt('s3_store_retries', default=3, min=0,
                   help='How often a request is repeated, and a download goes on, after a '
                        'failure that may pass.'),
    )
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})
    SCHEMES = location.SCHEMES
    redact = staticmethod(location.redact)

    def __init__(self, options, host, *, name='s3', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        if options.s3_store_large_object_chunk_size < 5:
            raise contract.Misconfigured('s3_store_large_object_chunk_size must be at least 5: '
                                         'S3 takes no shorter parts')
        if options.s3_store_thread_pools < 1:
            raise contract.Misconfigured('s3_store_thread_pools must be at least 1')
        self._place = location.Place(options.s3_store_host, options.s3_store_bucket,
                                   options.s3_store_region_name,
                                   former_hosts=options.s3_store_former_hosts,
                                   former_buckets=options.s3_store_former_buckets)
        self._client = Client(options, self._place)
        self._part = options.s3_store_large_object_chunk_size * MIB
        self._threshold = options.s3_store_large_object_size * MIB
        self._window = options.s3_store_upload_memory * MIB
        self._senders = Senders(options.s3_store_thread_pools, f'{name}-part')
        self._lock = threading.Lock()
        self._being_written = set()
        self._has_bucket = not options.s3_store_create_bucket_on_put

    # what the service asks

    @_told
    def write(self, key, chunks, *, size=None, ctx=None):
        url = self._place.url(key)
        with self._alone(key):
            if self._client.exists(key) is not None:
                raise taken()
            self._make_bucket()
            upload = Upload(self._client, self._senders, key, part=self._part, window=self._window,
                            threshold=min(self._threshold, LARGEST_PART))
            try:
                return contract.WriteResult(url, upload.run(chunks, size))
            except Refused as refused:
                if refused.code == 'NoSuchBucket':
                    self._has_bucket = not self.options.s3_store_create_bucket_on_put
                raise

    @_told
    def read(self, url, *, offset=0, length=None, ctx=None):
        return self._with_keys(url, lambda key, where: Download(
            self.name, self._client, key, where, offset, length))

    @_told
    def size(self, url, *, ctx=None):
        return self._with_keys(url, self._known)['ContentLength']

    @_told
    def delete(self, url, *, ctx=None):
        def delete(key, where):
            self._known(key, where)     # nobody tells us if there is nothing to delete
            try:
                self._client.call('delete_object', Key=key, **where)
            except Refused as refused:
                if refused.status != 403:
                    raise
                LOG.error('store %s: %s', self.name, refused)
                raise contract.Forbidden('The data may not be removed.') from refused
        self._with_keys(url, delete)

    @_told
    def discard(self, key, *, ctx=None):
        self._place.url(key)
        try:
            for upload in self._open_uploads(key):
                with self._gone_is_fine():
                    self._client.call('abort_multipart_upload', Key=key, UploadId=upload)
            with self._gone_is_fine():
                self._client.call('delete_object', Key=key)
        except Refused as refused:
            if refused.code != 'NoSuchBucket':
                raise

    def owns(self, url):
        return self._place.find(url) is not None

    def adopt(self, url, *, ctx=None):
        found = self._find(url)
        if found.bucket != self._place.bucket:
            raise contract.Invalid('New images are not in former buckets.')
        return self._place.url(found.key)

    def exclusive_resources(self):
        return (f's3://{self._place}',)

    def properties(self):
        return {'s3_store_large_object_size': self._threshold,
                's3_store_large_object_chunk_size': self._part,
                's3_store_thread_pools': self.options.s3_store_thread_pools}

    def health(self):
        try:
            self._client.call('head_bucket', probe=True)
        except Refused as refused:
            if refused.status != 404:
                raise meaning(self.name, refused) from refused
            if not self.options.s3_store_create_bucket_on_put:
                raise contract.Unavailable('The bucket of this store does not exist.') from refused
            return 'the bucket will be made with the first image'
        return 'the bucket is there'

    def close(self):
        self._senders.close()
        self._client.close()

    # names

    @contextlib.contextmanager
    def _alone(self, key):
        """Nobody else in this process writes ``key`` meanwhile."""
        with self._lock:
            if key in self._being_written:
                raise taken()
            self._being_written.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._being_written.discard(key)

    def _find(self, url):
        found = self._place.find(url)
        if found is None:
            raise store_rules.foreign_url()
        return found

    def _with_keys(self, url, ask):
        """Ask with our own keys; if they are refused, with those that an old URL carries."""
        found = self._find(url)
        where = {'bucket': found.bucket}
        try:
            return ask(found.key, where)
        except Refused as refused:
            if refused.status not in (401, 403) or found.keys in (None, self._client.keys):
                raise
        return ask(found.key, {**where, 'keys': found.keys})

    def _known(self, key, where):
        known = self._client.exists(key, **where)
        if known is None:
            raise store_rules.no_data()
        return known

    def _open_uploads(self, key):
        """Ids of uploads that nobody has completed."""
        after = {}
        while True:
            page = self._client.call('list_multipart_uploads', Prefix=key, **after)
            for upload in page.get('Uploads', ()):
                if upload['Key'] == key:
                    yield upload['UploadId']
            if not page.get('IsTruncated'):
                return
            after = {'KeyMarker': page['NextKeyMarker'],
                     'UploadIdMarker': page['NextUploadIdMarker']}

    @contextlib.contextmanager
    def _gone_is_fine(self):
        try:
            yield
        except Refused as refused:
            if refused.status != 404 or refused.code == 'NoSuchBucket':
                raise

    def _make_bucket(self):
        """Make the bucket, if we are to do that and have not seen it yet."""
        if self._has_bucket:
            return
        region = self._place.region
        try:
            self._client.call('head_bucket')
        except Refused as refused:
            if refused.status != 404:
                raise
            # Amazon's first region is the one that must not be named
            where = {'CreateBucketConfiguration': {'LocationConstraint': region}} if (
                region not in ('', 'us-east-1')) else {}
            try:
                self._client.call('create_bucket', **where)
            except Refused as failed:
                if failed.code != 'BucketAlreadyOwnedByYou':    # another process was faster
                    raise
            LOG.info('store %s: made the bucket %s', self.name, self._place.bucket)
        self._has_bucket = True
