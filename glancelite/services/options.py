"""Options of the use cases: hashes, leases, deletion, events."""

from oslo_config import cfg

OPTS = (
    cfg.StrOpt('hashing_algorithm', default='sha512',
               help='Algorithm of os_hash_value; a name known to hashlib of Python.'),
    cfg.BoolOpt('md5_checksum', default=True,
                help='Also compute the md5 of image data (checksum), with which old clients '
                     'verify downloads. Uploads use less CPU time without it.'),
    cfg.BoolOpt('verify_downloads', default=False,
                help='Hash complete downloads, and abort them before the last bytes if the hash '
                     'differs from the stored one. Downloads then use as much CPU time as '
                     'uploads.'),
    cfg.BoolOpt('do_secure_hash', default=True,
                help='Read the data of locations that users add, to compute its hash.'),
    cfg.IntOpt('http_retries', default=3, min=1,
               help='Number of attempts to read the data of an added location.'),
    cfg.IntOpt('upload_lease', default=120, min=1, advanced=True,
               help='Seconds after which an upload is abandoned if its process has died: the '
                    'image becomes queued again, and its partial data is discarded. The clocks '
                    'of all nodes must agree much more closely than that.'),
    cfg.BoolOpt('delayed_delete', default=False,
                help='Keep the data of deleted images for scrub_time, then delete it in the '
                     'background. Until then, glancelite-manage restore can undo the deletion.'),
    cfg.IntOpt('scrub_time', default=0, min=0, max=10 * 366 * 24 * 3600,
               help='Seconds for which delayed_delete keeps data; at least two and a half times '
                    'upload_lease.'),
    cfg.StrOpt('default_publisher_id', default='image.localhost',
               help='Publisher ID of all events.'),
    cfg.ListOpt('disabled_notifications', default=[],
                help='Event types that are not sent; the leading part of a dotted type disables '
                     'all types below it.'),
)
