"""Options of the use cases: hashes, leases, deletion, events, imports."""

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
    cfg.StrOpt('metadata_source_path', default='/etc/glance/metadefs/',
               help='Directory with files of metadata definitions, for glancelite-manage db '
                    'load_metadefs and export_metadefs.'),
)
IMPORTS = (
    cfg.IntOpt('max_parallel_stores', default=0, min=0,
               help='Number of stores that get the data of an import from one read of the staged '
                    'data; 0 for all of them.'),
)
TASKS = (
    cfg.IntOpt('task_time_to_live', default=48, min=0,
               help='Hours for which tasks are shown after they have ended.'),
    cfg.StrOpt('work_dir',
               help='Directory for files of import steps, such as conversion; by default that of '
                    'temporary files.'),
)
WORKER = (
    cfg.IntOpt('lease', default=30, min=1, advanced=True,
               help='Seconds after which another process continues a task whose process has '
                    'died.'),
    cfg.IntOpt('part_size', default=64, min=1, advanced=True,
               help='Size of the parts of staged data in MiB. A task that another process '
                    'continues goes on behind the last complete part.'),
    cfg.IntOpt('retries', default=10, min=1,
               help='How often a step of a task is tried without progress while a backend does '
                    'not answer.'),
    cfg.FloatOpt('retry_pause', default=1.0, min=0,
                 help='Seconds before the second try; each later pause is twice as long.'),
    cfg.FloatOpt('longest_retry_pause', default=60.0, min=0,
                 help='Seconds of the longest pause between two tries.'),
    cfg.FloatOpt('abandon_after', default=3600.0, min=1,
                 help='Seconds after which work is ended that only one node can do, since the '
                      'data was staged there, and that node is away.'),
    cfg.FloatOpt('staged_time', default=24.0, min=0,
                 help='Hours after which staged data that was not imported is discarded; the '
                      'image is queued again.'),
)

#: section -> options
GROUPS = (('DEFAULT', OPTS), ('image_import_opts', IMPORTS), ('task', TASKS), ('worker', WORKER))
