"""Stores of a cluster: what is in them, and the configuration of its nodes."""

import os
import uuid

import boto3.session

NAMES = 'one', 'two'
STAGING = 'os_glance_staging_store'


class S3Stores:
    """Buckets for two stores, and for the staging area.

    :param s3: the endpoint.
    :param url: address of a relay to it.
    """

    driver = 's3'

    def __init__(self, s3, url):
        self._s3 = s3
        self._url = url
        self._admin = boto3.session.Session(s3.access_key, s3.secret_key).client(
            's3', endpoint_url=s3.url, region_name=s3.region)
        self._buckets = {name: f'bucket-{uuid.uuid4()}' for name in (*NAMES, STAGING)}
        for bucket in self._buckets.values():
            self._admin.create_bucket(Bucket=bucket)

    def options(self, name):
        """Return the options of the store."""
        return {'s3_store_host': self._url, 's3_store_bucket': self._buckets[name],
                's3_store_region_name': self._s3.region, 's3_store_retries': 0,
                's3_store_access_key': self._s3.access_key,
                's3_store_secret_key': self._s3.secret_key}

    def place(self, url):
        """Return the name of the store and of the object at the URL of a location."""
        bucket, key = url.rsplit('/', 2)[1:]
        return next(name for name in NAMES if self._buckets[name] == bucket), key

    def objects(self):
        """Return names of stores and their objects, unfinished uploads included."""
        admin = self._admin
        return sorted(
            (name, each['Key']) for name, bucket in self._buckets.items() for each in (
                *admin.list_objects_v2(Bucket=bucket).get('Contents', ()),
                *admin.list_multipart_uploads(Bucket=bucket).get('Uploads', ())))


class FileStores:
    """Directories for two stores, and for the staging area."""

    driver = 'file'

    def __init__(self, folder):
        self._folder = folder

    def options(self, name):
        return {'filesystem_store_datadir': self._folder / name,
                **({'shared': 'true'} if name == STAGING else {})}

    def place(self, url):
        return tuple(url.rsplit('/', 2)[1:])

    def objects(self):
        return sorted(
            (name, entry.name) for name in (*NAMES, STAGING)
            if (self._folder / name).exists() for entry in os.scandir(self._folder / name))
