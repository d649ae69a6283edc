"""Image data as objects of an S3 bucket, with the keys and URLs that Glance uses."""

from glancelite.plugins.store.s3.store import S3Store

__all__ = ['S3Store']
