"""The options of the store; names and defaults are Glance's where Glance has them."""

from __future__ import annotations

import dataclasses

from oslo_config import cfg

OPTS = (
    # containers and endpoint
    cfg.StrOpt('swift_store_container', default='glance',
               help='Container for images. With swift_store_multiple_containers_seed or '
                    'swift_store_multi_tenant, the prefix of the container names.'),
    cfg.BoolOpt('swift_store_create_container_on_put', default=False,
                help='Create the container for a new image if it does not exist. With '
                     'swift_store_multi_tenant, each image has its own container, which is '
                     'always created.'),
    cfg.IntOpt('swift_store_multiple_containers_seed', default=0, min=0, max=32,
               help='Distribute images over containers: this number of hexadecimal digits of '
                    'the image id is appended to swift_store_container. 0 for one container. '
                    'Existing images stay in their container, and are found there.'),
    cfg.BoolOpt('swift_store_multi_tenant', default=False,
                help='Keep each image in the account of the project that uploads it, with the '
                     "caller's credentials; otherwise in one account, with the credentials of "
                     'this service.'),
    cfg.ListOpt('swift_store_admin_tenants', default=[],
                help='Ids of projects that get write access to the containers of others; for '
                     'swift_store_multi_tenant.'),
    cfg.StrOpt('swift_store_region',
               help='Region of Swift in the service catalog; the first one if not set.'),
    cfg.StrOpt('swift_store_endpoint',
               help='URL of the account, including its path, instead of the one in the service '
                    'catalog; %(project_id)s in it is replaced.'),
    cfg.StrOpt('swift_store_endpoint_type', default='publicURL',
               choices=('publicURL', 'internalURL', 'adminURL'),
               help='Which endpoint of the service catalog is used.'),
    cfg.StrOpt('swift_store_service_type', default='object-store',
               help='Type of Swift in the service catalog.'),
    # credentials
    cfg.StrOpt('swift_store_config_file',
               help='File with accounts: each section is a reference, with auth_address and '
                    'either user ("project:user") and key or application_credential_id and '
                    'application_credential_secret; optionally user_domain_id, '
                    'user_domain_name, project_domain_id, project_domain_name, and auth_version '
                    '= 1 where Swift itself authenticates the users. Not with '
                    'swift_store_multi_tenant.'),
    cfg.StrOpt('default_swift_reference', default='ref1',
               help='Reference of new images: a section of swift_store_config_file, or, without '
                    'that file, the name of the account in the options below. It is part of the '
                    'URLs of images, so it should always refer to the same account. Two stores '
                    'with the same container name need different references.'),
    cfg.ListOpt('swift_store_old_references', default=[],
                help='Former values of default_swift_reference, as sections of '
                     'swift_store_config_file. Their images belong to this store if no store is '
                     'recorded for them. Images with a recorded store are read from any section '
                     'of the file.'),
    cfg.StrOpt('swift_store_auth_address',
               help='URL of the identity service, without swift_store_config_file.'),
    cfg.StrOpt('swift_store_user', secret=True,
               help='Account of this service, as "project:user".'),
    cfg.StrOpt('swift_store_key', secret=True, help='Password of swift_store_user.'),
    cfg.StrOpt('swift_store_auth_version', default='3', choices=('3', '1'),
               help='3 for Keystone, 1 where Swift itself authenticates the users.'),
    cfg.StrOpt('swift_store_application_credential_id', secret=True,
               help='Application credential, instead of swift_store_user.'),
    cfg.StrOpt('swift_store_application_credential_secret', secret=True,
               help='Secret of the application credential.'),
    cfg.StrOpt('swift_store_project_name',
               help='Project of the application credential, to recognize its images in old '
                    'URLs. The credential itself does not need it.'),
    cfg.StrOpt('swift_store_project_id',
               help='Id of the project of the account. Credentials of another project are '
                    'rejected.'),
    cfg.BoolOpt('swift_store_use_trusts', default=True,
                help='With swift_store_multi_tenant and an account of this service: create a '
                     "trust for uploads that may take longer than the caller's token is valid."),
    cfg.IntOpt('swift_store_expire_soon_interval', default=60, min=0,
               help='A token that expires in less than this number of seconds is replaced '
                    'before it is used.'),
    cfg.BoolOpt('swift_store_auth_insecure', default=False,
                help='Do not verify the certificates of Swift and of the identity service.'),
    cfg.StrOpt('swift_store_cacert',
               help='Bundle of trusted certificates for both; that of the system if not set.'),
    cfg.BoolOpt('swift_store_ssl_compression', default=True, deprecated_for_removal=True,
                deprecated_reason='It has no effect: compression reveals secrets, and OpenSSL no '
                                  'longer supports it.',
                help='An option of Glance that is accepted. TLS is never compressed.'),
    cfg.FloatOpt('swift_store_connect_timeout', default=10, min=0.001,
                 help='Timeout for a connection to Swift, in seconds.'),
    cfg.FloatOpt('swift_store_timeout', default=90, min=0.001,
                 help='Timeout for each read and write on a connection to Swift, in seconds.'),
    # uploads and downloads
    cfg.IntOpt('swift_store_large_object_size', default=5120, min=1,
               help='Images of at least this many MB, or of unknown size, are written in '
                    'segments; a MB is 1,024,000 bytes. It must not exceed the maximum size of '
                    'an object in Swift, 5 GiB by default.'),
    cfg.IntOpt('swift_store_large_object_chunk_size', default=200, min=1,
               help='MB per segment; a MB is 1,024,000 bytes. With less than 2, Swift by default '
                    'limits the rate of downloads.'),
    cfg.StrOpt('swift_store_large_object_type', default='slo', choices=('slo', 'dlo'),
               help='How segments are joined: by a list of them with their checksums (static '
                    'large object, slo), or by the prefix of their names (dynamic large object, '
                    'dlo), as Glance does. A dlo is also used where Swift does not support '
                    'lists, or limits them to fewer segments.'),
    cfg.IntOpt('swift_store_retry_get_count', default=0, min=0,
               help='How often a broken download is resumed.'),
    cfg.BoolOpt('swift_buffer_on_upload', default=False,
                help='Keep each segment on disk until Swift has stored it, to send it again '
                     'after a failure.'),
    cfg.StrOpt('swift_upload_buffer_dir',
               help='Directory for swift_buffer_on_upload. It needs space for one segment per '
                    'upload.'),
    cfg.ListOpt('swift_store_adopt_containers', default=[],
                help='Containers of the account of this service from which users may add '
                     'locations by URL, without swift_store_multi_tenant. Every user who may add '
                     'a location can read these containers, so never name one with images of '
                     'the service.'),
)


@dataclasses.dataclass(frozen=True, slots=True)
class UploadOptions:
    """How data is divided into segments.

    :ivar threshold: data of at least this many bytes is written in segments.
    :ivar segment_size: bytes per segment.
    :ivar static: join the segments by a static large object, not by a dynamic one.
    :ivar buffer_dir: directory in which segments are buffered; None to send them directly.
    """

    threshold: int
    segment_size: int
    static: bool
    buffer_dir: str | None
