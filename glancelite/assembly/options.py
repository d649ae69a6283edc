"""Options that choose what the service consists of: plugins and stores."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

from glancelite.support.bracketed import BracketedList

_CHANGES = 'Write +name to add a plugin to the default list, and -name to take one away.'

LAYERS = (
    cfg.StrOpt('auth',
               help='Plugin that identifies the caller. Default: keystone, or noauth if there '
                    'is no configuration file.'),
    cfg.ListOpt('policy', default=['ownership', 'oslo'],
                help='Plugins that decide what a caller may do; all must allow it. '
                     + _CHANGES),
    cfg.ListOpt('quota', default=['limits'],
                help='Plugins that limit what a project may use; all must grant it. '
                     + _CHANGES),
    cfg.ListOpt('notifier', default=[],
                help='Plugins that receive events. '
                     + _CHANGES),
    cfg.StrOpt('location', default='by_weight',
               help='Plugin that orders the locations of an image for reading.'),
    cfg.ListOpt('inspector', default=['format', 'signature'],
                help='Plugins that examine uploaded data; all must accept it. '
                     + _CHANGES),
    cfg.ListOpt('step', default=[],
                help='Plugins that change the data of imports before it is stored, in this '
                     'order. If this is not set, those that correspond to [image_import_opts] '
                     'image_import_plugins. ' + _CHANGES),
    cfg.StrOpt('key_manager', default='castellan',
               help='Plugin that provides certificates for signatures and deletes keys of '
                    'encrypted volumes; castellan uses [key_manager] backend.'),
    cfg.StrOpt('database', default='sql',
               help='Plugin that stores the image records.'),
    cfg.BoolOpt('sync_database', default=False,
                help='Upgrade the database schema at every start, instead of with '
                     'glancelite-manage db sync.'),
    cfg.ListOpt('middleware', default=['healthcheck', 'cors', 'proxy_headers', 'request_id'],
                help='Middleware around authentication and API, the outermost first; '
                     'request_id is always there, at the end if a list does not name it. '
                     + _CHANGES),
    cfg.StrOpt('executor', default='threads',
               help='Plugin that decides which processes run tasks, such as imports: with threads '
                    'all, with external and celery those of glancelite-worker.'),
    cfg.BoolOpt('allow_insecure_bind', default=False,
                help='Allow an auth plugin that accepts everyone to listen on other addresses '
                     'than loopback.'),
)
PASTE_DEPLOY = (
    cfg.StrOpt('flavor',
               help='Default of [layers] auth in existing configurations: keystone if the '
                    'flavor contains it, otherwise noauth. Beside keystone, caching, '
                    'cachemanagement, keystone+caching and keystone+cachemanagement, the name of '
                    'a pipeline of your own in the PasteDeploy file, without "glance-api-": then '
                    'the default is what authenticates in this pipeline.'),
    cfg.StrOpt('config_file',
               help='A PasteDeploy file of an existing configuration. Its filters must have '
                    'counterparts here, otherwise the service does not start: add others with '
                    '[layers] middleware and [pipeline] extra.'),
)
PIPELINE = (
    cfg.ListOpt('extra', default=[],
                help='Middleware between authentication and API, the outermost first; see '
                     '[layers] middleware for middleware around both. ' + _CHANGES),
)

STORES = (
    cfg.DictOpt('enabled_backends',
                help='The stores, as comma-separated name:driver pairs. Each has a section of '
                     'its name.'),
    cfg.StrOpt('location_strategy',
               help='Deprecated; use [layers] location.'),
)
GLANCE_STORE = (
    cfg.StrOpt('default_backend',
               help='The store for uploads, one of enabled_backends.'),
    cfg.StrOpt('default_store', default='file',
               help='Deprecated. Driver for uploads if enabled_backends is not set.'),
    cfg.ListOpt('stores', default=['file', 'http'],
                help='Deprecated. Drivers for reading if enabled_backends is not set.'),
)
#: options of every store, beside those of its driver
STORE = (
    cfg.StrOpt('store_description',
               help='Description of this store for users.'),
    cfg.IntOpt('weight', default=0,
               help='With by_weight, locations in stores of higher weight are read first.'),
    cfg.BoolOpt('read_only', default=False,
                help='Do not change the contents of this store: it accepts no data, and '
                     'deleting an image keeps its data here.'),
)
#: names of the stores for the service's own use
RESERVED_STORES = ('os_glance_staging_store', 'os_glance_tasks_store')
RESERVED_STORE = (
    cfg.StrOpt('driver', default='file',
               help='Driver of this store.'),
    cfg.BoolOpt('shared',
                help='All nodes see the same data in this store. Default: false for '
                     'directories, true for servers. Set it to true for a file system that all '
                     'nodes mount.'),
)
IMPORTS = (
    cfg.Opt('enabled_import_methods', BracketedList(),
                default=['glance-direct', 'web-download', 'copy-image'],
                help='Import methods that users may choose: plugins of the layer importer. Glance '
                     'requires brackets around the list; here they may be left out.'),
    cfg.StrOpt('node_staging_uri', default='file:///tmp/staging/',
               help='Directory of the staging area, if enabled_backends is not set. Otherwise the '
                    'store os_glance_staging_store is the staging area.'),
)
#: values of location_strategy -> plugins of the layer ``location``
LOCATION_STRATEGIES = {'location_order': 'as_listed', 'store_type': 'by_weight'}
#: names of Glance for steps of imports -> plugins of the layer ``step``
IMPORT_PLUGINS = {
    'image_conversion': 'conversion', 'image_decompression': 'decompression',
    'inject_image_metadata': 'inject_metadata', 'no_op': None}
IMAGE_IMPORT = (
    cfg.ListOpt('image_import_plugins', default=[],
                help='Glance\'s names of the steps of an import, in this order: '
                     f'{", ".join(IMPORT_PLUGINS)}. [layers] step takes precedence, and can '
                     'name plugins of other packages.'),
)

#: options of Glance that protect something in a way that is not supported here
GUARDS = (
    cfg.StrOpt('property_protection_file',
               help='Not supported. The service does not start if this is set, because '
                    'properties would be unprotected.'),
    cfg.BoolOpt('use_keystone_limits', default=False,
                help='Not supported. The service does not start if this is set, because '
                     'nothing would be limited.'),
    cfg.StrOpt('metadata_encryption_key', secret=True,
               help='Not supported. The service does not start if this is set, because '
                    'encrypted locations could not be read.'),
)

#: section -> options
GROUPS: tuple[tuple[str, Sequence[cfg.Opt]], ...] = (
    ('DEFAULT', (*STORES, *GUARDS)), ('layers', LAYERS), ('pipeline', PIPELINE),
    ('paste_deploy', PASTE_DEPLOY), ('glance_store', GLANCE_STORE), ('DEFAULT', IMPORTS),
    ('image_import_opts', IMAGE_IMPORT))
