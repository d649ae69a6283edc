"""The options of the store; names and defaults are Glance's where Glance has them."""

from __future__ import annotations

from oslo_config import cfg

OPTS = (
    cfg.StrOpt('s3_store_host', sample_default='https://s3.example.com',
               help='Host of the S3 endpoint, optionally with a port, and with http:// or '
                    'https:// in front; the default is http://. Required.'),
    cfg.StrOpt('s3_store_region_name', default='',
               help='Region of the bucket. If it is not set, it is taken from the host name at '
                    'Amazon; elsewhere, requests are signed for us-east-1.'),
    cfg.StrOpt('s3_store_access_key', secret=True,
               help='Access key. Set neither this nor s3_store_secret_key to use the credentials '
                    'that boto3 finds in its environment variables and files, or in the role of '
                    'the machine.'),
    cfg.StrOpt('s3_store_secret_key', secret=True,
               help='Secret key of s3_store_access_key. Locations of images contain neither, so '
                    'both can be changed at any time.'),
    cfg.StrOpt('s3_store_bucket', sample_default='glance',
               help='Bucket that holds the images. Required.'),
    cfg.ListOpt('s3_store_former_hosts', default=[],
                help='Former values of s3_store_host in the locations of images. Such images are '
                     'read from s3_store_host.'),
    cfg.ListOpt('s3_store_former_buckets', default=[],
                help='Former values of s3_store_bucket in the locations of images. Such images '
                     'are read from their bucket at s3_store_host.'),
    cfg.BoolOpt('s3_store_create_bucket_on_put', default=False,
                help='Create the bucket with the first image if it does not exist.'),
    cfg.StrOpt('s3_store_bucket_url_format', default='auto',
               help='Where requests name the bucket: in the host name (virtual), in the path '
                    '(path), or in the host name at Amazon and in the path elsewhere (auto).'),
    cfg.IntOpt('s3_store_large_object_size', default=100, min=0,
               help='Images of at least this many MiB are sent in parts; 0 for all but empty '
                    'images. Smaller images are sent in one request. If such an image is longer '
                    'than a part, the request is sent while the data arrives: it cannot be '
                    'repeated, and its signature does not cover the data. An image of unknown '
                    'size is sent in parts if it is longer than one part.'),
    cfg.IntOpt('s3_store_large_object_chunk_size', default=10,
               help='Size of a part in MiB, at least 5. Parts are larger where 10000 of them '
                    'would not be enough.'),
    cfg.IntOpt('s3_store_thread_pools', default=10,
               help='Number of parts that this store sends at the same time, in all its uploads '
                    'together.'),
    cfg.IntOpt('s3_store_upload_memory', default=100, min=1,
               help='MiB of parts that one upload holds in memory, which also limits how many '
                    'of its parts are sent at the same time. It always holds two parts, even if '
                    'they are larger; and only two while other uploads keep all of '
                    's3_store_thread_pools busy. A higher value makes uploads to distant '
                    'endpoints faster.'),
    cfg.StrOpt('s3_store_cacert', default='',
               help='File with the certificates of the trusted authorities; empty for the file '
                    'of botocore.'),
    cfg.BoolOpt('s3_store_enable_data_integrity_protection', default=False,
                help='Enable the following two options. Many S3 implementations do not support '
                     'these checksums.'),
    cfg.StrOpt('s3_store_request_checksum_calculation', default='when_required',
               choices=['when_required', 'when_supported'],
               help='When data is sent with a checksum, which the endpoint then verifies.'),
    cfg.StrOpt('s3_store_response_checksum_validation', default='when_required',
               choices=['when_required', 'when_supported'],
               help='When the checksum of a whole image is verified while it is read.'),
    cfg.IntOpt('s3_store_connect_timeout', default=10, min=1,
               help='Timeout for a connection to the endpoint, in seconds.'),
    cfg.IntOpt('s3_store_read_timeout', default=60, min=1,
               help='Timeout for the next bytes of a response, in seconds.'),
    cfg.IntOpt('s3_store_retries', default=3, min=0,
               help='How often a request is repeated, and a download resumed, after a temporary '
                    'failure.'),
)
