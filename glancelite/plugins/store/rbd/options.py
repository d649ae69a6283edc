"""The options of the RBD store."""

from __future__ import annotations

from oslo_config import cfg

#: the largest object size of RBD, in MiB
MAX_CHUNK_SIZE = 32

OPTS = (
    cfg.IntOpt('rbd_store_chunk_size', default=8, min=1, max=MAX_CHUNK_SIZE,
               help='MiB per RADOS object; rounded down to a power of two.'),
    cfg.StrOpt('rbd_store_pool', default='images',
               help='Pool for the images.'),
    cfg.ListOpt('rbd_store_former_pools', default=[],
                help='Other pools of the cluster that contain images of this store. New images '
                     'are not stored there. For a store whose pool was changed.'),
    cfg.ListOpt('rbd_store_former_fsids', default=[],
                help='Other ids (fsid) of the cluster in the locations of images. For a cluster '
                     'that was rebuilt or mirrored with its images.'),
    cfg.StrOpt('rbd_store_user',
               help='Name of the cephx user, without "client."; if not set, the default of '
                    'librados, admin.'),
    cfg.StrOpt('rbd_store_ceph_conf', default='',
               help='Path of ceph.conf; if empty, the default locations of librados. The file '
                    'must name the monitors and the keyring of the user.'),
    cfg.IntOpt('rados_connect_timeout', default=-1, min=-1,
               help='Timeout in seconds of all requests to Ceph (rados_osd_op_timeout, '
                    'rados_mon_op_timeout and client_mount_timeout); 0 for no timeout. With -1, '
                    'the values of ceph.conf apply, or those of rbd_connect_timeout and '
                    'rbd_operation_timeout if it does not set them.'),
    cfg.IntOpt('rbd_connect_timeout', default=10, min=1,
               help='Seconds to wait for a connection and for the monitors, if neither '
                    'rados_connect_timeout nor ceph.conf sets it.'),
    cfg.IntOpt('rbd_operation_timeout', default=60, min=1,
               help='Seconds to wait for an OSD, if neither rados_connect_timeout nor ceph.conf '
                    'sets it. Should be longer than the cluster needs to replace a failed OSD.'),
    cfg.BoolOpt('rbd_thin_provisioning', default=False,
                help='Do not write zeros.'),
    cfg.IntOpt('rbd_store_parallel', default=4, min=1, max=64,
               help='Maximum number of concurrent reads or writes of one image, of 4 MiB each.'),
    cfg.StrOpt('rbd_in_use_delete', default='trash', choices=[
        ('trash', 'delete it for users, and move it to the trash of RBD until the last clone is '
                  'deleted'),
        ('refuse', 'refuse the deletion')],
        help='How to delete an image with clones of the second format. With clones of the first '
             'format, the deletion is always refused.'),
)
