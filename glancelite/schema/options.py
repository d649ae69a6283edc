"""Options of the image schema: section ``[image_format]``."""

from oslo_config import cfg

SECTION = 'image_format'
DISK_FORMATS = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop']
CONTAINER_FORMATS = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed']

OPTS = (
    cfg.ListOpt('disk_formats', default=DISK_FORMATS, deprecated_name='disk_formats',
                deprecated_group='DEFAULT',
                help='Allowed values of disk_format.'),
    cfg.ListOpt('container_formats', default=CONTAINER_FORMATS,
                deprecated_name='container_formats', deprecated_group='DEFAULT',
                help='Allowed values of container_format.'),
)
