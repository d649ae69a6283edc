"""Image data as objects of an S3 bucket, with the keys and URLs that Glance uses."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3 import location, options
from glancelite.plugins.store.s3.client import Client
from glancelite.plugins.store.s3.download import Download
from glancelite.plugins.store.s3.errors import RequestFailed, translate_error, translated
from glancelite.plugins.store.s3.parts import MAX_PART_SIZE, MIB
from glancelite.plugins.store.s3.upload import PartSender, Upload

LOG = logging.getLogger(__name__)

_Result = TypeVar('_Result')


class S3Store(contract.Store):
    """One object per image, named by its key; at Amazon, Ceph, Swift, MinIO and others.

    Objects appear whole.  They are not overwritten by this process, nor by any other where the
    endpoint honours ``If-None-Match``.

    The credentials need the permissions to list the bucket and its multipart uploads, to read,
    write and delete objects, and to abort uploads.  Locations have no credentials.  Those in
    old locations are used only if the configured credentials are rejected.

    With ``s3_store_enable_data_integrity_protection`` and requests ``when_supported``, data
    that is longer than a part is always sent in parts, each with its checksum.
    """

    OPTS = options.OPTS
    EXTRA = 's3'
    CAPABILITIES = frozenset({'write', 'range', 'adopt'})
    SCHEMES = location.SCHEMES
    redact = staticmethod(location.redact)

    def __init__(self, options: Any, host: contract.Host, *, name: str = 's3',
                 conf: Any = None) -> None:
        super().__init__(options, host, name=name, conf=conf)
        if options.s3_store_large_object_chunk_size < 5:
            raise contract.Misconfigured('s3_store_large_object_chunk_size must be at least 5, '
                                         'the minimum of S3')
        if options.s3_store_thread_pools < 1:
            raise contract.Misconfigured('s3_store_thread_pools must be at least 1')
        self._bucket = location.Bucket(options.s3_store_host, options.s3_store_bucket,
                                       options.s3_store_region_name,
                                       former_hosts=options.s3_store_former_hosts,
                                       former_buckets=options.s3_store_former_buckets)
        self._client = Client(options, self._bucket)
        self._part_size = options.s3_store_large_object_chunk_size * MIB
        self._threshold = options.s3_store_large_object_size * MIB
        self._memory = options.s3_store_upload_memory * MIB
        self._sender = PartSender(options.s3_store_thread_pools, f'{name}-part')
        self._writing = store_rules.KeyLocks()
        self._bucket_exists = not options.s3_store_create_bucket_on_put

    @translated
    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        url = self._bucket.url(key)
        with self._writing.hold(key):
            if self._client.head(key) is not None:
                raise store_rules.key_in_use()
            self._ensure_bucket()
            upload = Upload(self._client, self._sender, key, part_size=self._part_size,
                            memory=self._memory, threshold=min(self._threshold, MAX_PART_SIZE))
            try:
                return contract.WriteResult(url, upload.run(chunks, size))
            except RequestFailed as failure:
                if failure.code == 'NoSuchBucket':
                    self._bucket_exists = not self.options.s3_store_create_bucket_on_put
                raise

    @translated
    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Download:
        return self._with_credentials(url, lambda key, target: Download(
            self.name, self._client, key, target, offset, length))

    @translated
    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        return self._with_credentials(url, self._head)['ContentLength']

    @translated
    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        def delete(key: str, target: Mapping[str, Any]) -> None:
            self._head(key, target)     # S3 does not report that there is nothing to delete
            try:
                self._client.call('delete_object', Key=key, **target)
            except RequestFailed as failure:
                if failure.status != 403:
                    raise
                LOG.error('store %s: %s', self.name, failure)
                raise contract.Forbidden(
                    'The store does not allow deleting this data.') from failure
        self._with_credentials(url, delete)

    @translated
    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        store_rules.check_key(key)
        try:
            for upload_id in self._open_uploads(key):
                with self._ignore_missing():
                    self._client.call('abort_multipart_upload', Key=key, UploadId=upload_id)
            with self._ignore_missing():
                self._client.call('delete_object', Key=key)
        except RequestFailed as failure:
            # a bucket that the first upload will create has no data
            if failure.code != 'NoSuchBucket' or not self.options.s3_store_create_bucket_on_put:
                raise

    def owns(self, url: str) -> bool:
        return self._bucket.parse(url) is not None

    def adopt(self, url: str, *, ctx: contract.Context | None = None) -> str:
        target = self._parse(url)
        if target.bucket != self._bucket.name:
            raise contract.Invalid('New locations in former buckets are not allowed.')
        return self._bucket.url(target.key)

    def exclusive_resources(self) -> Collection[str]:
        return (f's3://{self._bucket}',)

    def properties(self) -> Mapping[str, object]:
        return {'s3_store_large_object_size': self._threshold,
                's3_store_large_object_chunk_size': self._part_size,
                's3_store_thread_pools': self.options.s3_store_thread_pools}

    def health(self) -> str:
        try:
            self._client.call('head_bucket', health=True)
        except RequestFailed as failure:
            if failure.status != 404:
                raise translate_error(self.name, failure) from failure
            if not self.options.s3_store_create_bucket_on_put:
                raise contract.Unavailable('The bucket of this store does not exist.') from failure
            return 'the bucket will be created with the first image'
        return 'the bucket exists'

    def close(self) -> None:
        self._sender.close()
        self._client.close()

    def _parse(self, url: str) -> location.ObjectLocation:
        target = self._bucket.parse(url)
        if target is None:
            raise store_rules.foreign_url()
        return target

    def _with_credentials(self, url: str,
                          request: Callable[[str, Mapping[str, Any]], _Result]) -> _Result:
        """Send a request with the configured credentials, or with those of an old URL.

        :param request: called with the key, and with bucket and credentials for
            ``Client.call``.
        """
        parsed = self._parse(url)
        target: dict[str, Any] = {'bucket': parsed.bucket}
        try:
            return request(parsed.key, target)
        except RequestFailed as failure:
            if not failure.denied or parsed.credentials in (None, self._client.credentials):
                raise
        return request(parsed.key, {**target, 'credentials': parsed.credentials})

    def _head(self, key: str, target: Mapping[str, Any]) -> dict[str, Any]:
        return self._client.head_existing(key, **target)

    def _open_uploads(self, key: str) -> Iterator[str]:
        """Yield the ids of multipart uploads that were neither completed nor aborted."""
        marker: dict[str, Any] = {}
        while True:
            page = self._client.call('list_multipart_uploads', Prefix=key, **marker)
            for upload in page.get('Uploads', ()):
                if upload['Key'] == key:
                    yield upload['UploadId']
            if not page.get('IsTruncated'):
                return
            marker = {'KeyMarker': page['NextKeyMarker'],
                      'UploadIdMarker': page['NextUploadIdMarker']}

    @contextlib.contextmanager
    def _ignore_missing(self) -> Iterator[None]:
        try:
            yield
        except RequestFailed as failure:
            if failure.status != 404 or failure.code == 'NoSuchBucket':
                raise

    def _ensure_bucket(self) -> None:
        """Create the bucket if it is missing and the options allow it."""
        if self._bucket_exists:
            return
        region = self._bucket.region
        try:
            self._client.call('head_bucket')
        except RequestFailed as failure:
            if failure.status != 404:
                raise
            # Amazon does not accept the name of its first region
            configuration: dict[str, Any] = {} if region in ('', 'us-east-1') else {
                'CreateBucketConfiguration': {'LocationConstraint': region}}
            try:
                self._client.call('create_bucket', **configuration)
            except RequestFailed as error:
                if error.code != 'BucketAlreadyOwnedByYou':     # another process was faster
                    raise
            LOG.info('store %s: created the bucket %s', self.name, self._bucket.name)
        self._bucket_exists = True
