"""What an operator can choose; names and defaults are Glance's where Glance has them."""

from __future__ import annotations

from oslo_config import cfg

OPTS = (
    # where
    cfg.StrOpt('swift_store_container', default='glance',
               help='Container for images; with swift_store_multiple_containers_seed or '
                    'swift_store_multi_tenant, what the names of containers begin with.'),
    cfg.BoolOpt('swift_store_create_container_on_put', default=False,
                help='Make the container when an image needs it and it is missing. With '
                     'swift_store_multi_tenant, where each image has its own, it is always made.'),
    cfg.IntOpt('swift_store_multiple_containers_seed', default=0, min=0, max=32,
               help='Spread images over containers: so many hexadecimal digits of the id of an '
                    'image are appended to swift_store_container. 0 for one container. Images '
                    'that are there stay where they are, and are found.'),
    cfg.BoolOpt('swift_store_multi_tenant', default=False,
                help='Keep images in the account of whoever uploads them, with his rights; '
                     'otherwise in one account, with those of this service.'),
    cfg.ListOpt('swift_store_admin_tenants', default=[],
                help='Ids of projects that may also write to the containers of others; for '
                     'swift_store_multi_tenant.'),
    cfg.StrOpt('swift_store_region', help='Region of Swift in the catalogue; the first if not '
                                          'set.'),
    cfg.StrOpt('swift_store_endpoint',
               help='Address of the account, with its path, instead of what the catalogue says; '
                    '%(project_id)s in it is replaced.'),
    cfg.StrOpt('swift_store_endpoint_type', default='publicURL',
               choices=('publicURL', 'internalURL', 'adminURL'),
               help='Which address of the catalogue is used.'),
    cfg.StrOpt('swift_store_service_type', default='object-store',
               help='Type of Swift in the catalogue.'),
    # who
    cfg.StrOpt('swift_store_config_file',
               help='File with accounts: each section is a reference, with auth_address and '
                    'either user ("project:user") and key or application_credential_id and '
                    'application_credential_secret; perhaps also user_domain_id, '
                    'user_domain_name, project_domain_id, project_domain_name, and auth_version '
                    '= 1 where Swift itself knows the users. Not with swift_store_multi_tenant.'),
    cfg.StrOpt('default_swift_reference', default='ref1',
               help='Reference of new images: a section of swift_store_config_file, or, without '
                    'that file, the name of the account that the options below give. It is part '
                    'of the addresses of images, so it should not change its meaning; two '
                    'stores with equal containers need different ones.'),
    cfg.ListOpt('swift_store_old_references', default=[],
                help='Sections of swift_store_config_file that were the default before: images '
                     'there belong to this store where nobody has recorded to which. Images '
                     'with a record are read from any section of the file.'),
    cfg.StrOpt('swift_store_auth_address',
               help='Address of the identity service, without swift_store_config_file.'),
    cfg.StrOpt('swift_store_user', secret=True,
               help='Account that works for this service, as "project:user".'),
    cfg.StrOpt('swift_store_key', secret=True, help='Its password.'),
    cfg.StrOpt('swift_store_auth_version', default='3', choices=('3', '1'),
               help='3 for Keystone, 1 where Swift itself knows the users.'),
    cfg.StrOpt('swift_store_application_credential_id', secret=True,
               help='An application credential instead of swift_store_user.'),
    cfg.StrOpt('swift_store_application_credential_secret', secret=True,
               help='Secret of the application credential.'),
    cfg.StrOpt('swift_store_project_name',
               help='Project of the application credential, to tell which older addresses of '
                    'images are its own; the credential itself knows its project.'),
    cfg.StrOpt('swift_store_project_id',
               help='Id of the project in which images are kept: an account that works for '
                    'another one is not used then.'),
    cfg.BoolOpt('swift_store_use_trusts', default=True,
                help='With swift_store_multi_tenant and an account of this service: let callers '
                     'entrust to it what may take longer than their tokens live.'),
    cfg.IntOpt('swift_store_expire_soon_interval', default=60, min=0,
               help='A token with fewer seconds to live is replaced before it is used.'),
    cfg.BoolOpt('swift_store_auth_insecure', default=False,
                help='Do not check the certificates of Swift and of the identity service.'),
    cfg.StrOpt('swift_store_cacert',
               help='Bundle of certificates to judge both by; that of the system if not set.'),
    cfg.BoolOpt('swift_store_ssl_compression', default=True,
                help='Accepted for files of Glance; TLS is never compressed here, as what it '
                     'carries could be guessed then, and OpenSSL has ceased to do so.'),
    cfg.FloatOpt('swift_store_connect_timeout', default=10, min=0.001,
                 help='Seconds to wait for a connection to Swift.'),
    cfg.FloatOpt('swift_store_timeout', default=90, min=0.001,
                 help='Seconds to wait for Swift while it takes data, gives data or answers.'),
    # how
    cfg.IntOpt('swift_store_large_object_size', default=5120, min=1,
               help='Images of so many MB, or of a size that is not known beforehand, become '
                    'segments; a MB is 1,024,000 bytes. Not above what Swift takes as one '
                    'object, 5 GiB as a rule.'),
    cfg.IntOpt('swift_store_large_object_chunk_size', default=200, min=1,
               help='MB per segment; a MB is 1,024,000 bytes. Below 2, Swift by default slows '
                    'readers down.'),
    cfg.StrOpt('swift_store_large_object_type', default='slo', choices=('slo', 'dlo'),
               help='What holds segments together: a list of them with their checksums (slo), or '
                    'the beginning of their names (dlo), as Glance writes. What has more '
                    'segments than fit into a list, or where Swift knows no lists, becomes a '
                    'dlo in any case.'),
    cfg.IntOpt('swift_store_retry_get_count', default=0, min=0,
               help='How often a download that breaks is resumed where it broke.'),
    cfg.BoolOpt('swift_buffer_on_upload', default=False,
                help='Keep each segment on disk until Swift has it, to send it again if that '
                     'fails.'),
    cfg.StrOpt('swift_upload_buffer_dir',
               help='Directory for swift_buffer_on_upload; needs room for one segment per '
                    'upload.'),
    cfg.ListOpt('swift_store_adopt_containers', default=[],
                help='Containers of the account of this service from which users may take '
                     'images by their address, without swift_store_multi_tenant. What is in '
                     'them can be read by everybody who may add a location, so never name '
                     'one in which images are kept.'),
)
