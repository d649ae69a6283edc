"""Images as objects in an S3 bucket, in the layout that Glance uses."""

from glancelite.plugins.store.s3.store import S3Store

__all__ = ['S3Store']
