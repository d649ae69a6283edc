"""The options of the core, and the list of everybody's options for the sample."""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any

from oslo_config import cfg
from oslo_log import log

from glancelite import contract, embedded, loader

#: libraries that tell more than an operator wants to know
LOG_LEVELS = [*log.get_default_log_levels(), 'alembic=WARN', 'barbicanclient=WARN', 'boto3=WARN',
              'botocore=WARN', 'castellan=WARN', 'swiftclient=WARN', 'urllib3=WARN']

DISK_FORMATS = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop']
CONTAINER_FORMATS = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed']

DEFAULT = (
    cfg.URIOpt('public_endpoint', schemes=['http', 'https'],
               help='Base URL in the list of API versions; by default that of the request.'),
    cfg.IntOpt('limit_param_default', default=25, min=1,
               help='Images on a page of a list when the caller does not say.'),
    cfg.IntOpt('api_limit_max', default=1000, min=1,
               help='Most images on a page of a list, whatever the caller says.'),
    cfg.StrOpt('hashing_algorithm', default='sha512',
               help='Algorithm of os_hash_value: a name that hashlib of Python knows.'),
    cfg.BoolOpt('md5_checksum', default=True,
                help='Compute the md5 of image data as well, as checksum, by which old clients '
                     'verify what they download. Without it uploads cost less.'),
    cfg.BoolOpt('verify_downloads', default=False,
                help='Hash what is downloaded as a whole, and break off before the last bytes '
                     'if it is not what was stored. Downloads cost as much as uploads then.'),
    cfg.BoolOpt('show_image_direct_url', default=False,
                help='Show the address of the data to callers who may get_image_location.'),
    cfg.BoolOpt('show_multiple_locations', default=False,
                help='Show all addresses of the data to callers who may get_image_location, and '
                     'let those who may set_image_location change them: to any data in a store '
                     'that they can name, so let others than services do it in a private '
                     'cloud only.'),
    cfg.BoolOpt('do_secure_hash', default=True,
                help='Read the data of locations that users add, to know its hash.'),
    cfg.IntOpt('http_retries', default=3, min=1,
               help='How often reading the data of an added location is tried.'),
    cfg.IntOpt('upload_lease', default=120, min=1, advanced=True,
               help='Seconds after which an upload is given up whose process has died: the '
                    'image is queued again, and its bytes are removed. The clocks of all '
                    'hosts must agree much better than that.'),
    cfg.BoolOpt('delayed_delete', default=False,
                help='Keep the data of what is deleted for scrub_time, and remove it in the '
                     'background then; until then, glancelite-manage restore brings an image '
                     'back.'),
    cfg.IntOpt('scrub_time', default=0, min=0, max=10 * 366 * 24 * 3600,
               help='Seconds that data is kept with delayed_delete; two and a half times '
                    'upload_lease at least.'),
    cfg.StrOpt('location_strategy', help='Retired; use [layers] location.'),
    cfg.DictOpt('enabled_backends',
                help='The stores: comma-separated name:driver. Each has a section of its name.'),
    cfg.StrOpt('default_publisher_id', default='image.localhost',
               help='What events say of who tells them.'),
    cfg.ListOpt('disabled_notifications', default=[],
                help='Event types, or dotted beginnings of them, that are not sent.'),
    cfg.StrOpt('property_protection_file',
               help='Rules about single properties are not available here: where this is set, '
                    'the service does not start rather than leave properties unprotected.'),
    cfg.BoolOpt('use_keystone_limits', default=False,
                help='Limits that Keystone keeps are not available here: where this is set, '
                     'the service does not start rather than grant everything.'),
    cfg.StrOpt('metadata_encryption_key', secret=True,
               help='Encrypted locations are not available here: where this is set, the '
                    'service does not start rather than find no data.'),
)
#: options that protect something in Glance, which nobody would protect here
GUARDS = ('property_protection_file', 'use_keystone_limits', 'metadata_encryption_key')
GLANCE_STORE = (
    cfg.StrOpt('default_backend',
               help='The store, out of enabled_backends, that takes uploads.'),
    cfg.StrOpt('default_store', default='file',
               help='Driver that takes uploads where enabled_backends is not set; deprecated.'),
    cfg.ListOpt('stores', default=['file', 'http'],
                help='Drivers that data is read with where enabled_backends is not set; '
                     'deprecated.'),
)
IMAGE_FORMAT = (
    cfg.ListOpt('disk_formats', default=DISK_FORMATS, deprecated_name='disk_formats',
                deprecated_group='DEFAULT',
                help='Values of disk_format that images may have.'),
    cfg.ListOpt('container_formats', default=CONTAINER_FORMATS,
                deprecated_name='container_formats', deprecated_group='DEFAULT',
                help='Values of container_format that images may have.'),
)
PASTE_DEPLOY = (
    cfg.StrOpt('flavor',
               choices=['keystone', 'caching', 'cachemanagement', 'keystone+caching',
                        'keystone+cachemanagement', ''],
               help='Read as a default for [layers] auth: keystone, or noauth without it.'),
    cfg.StrOpt('config_file',
               help='There is no PasteDeploy here; use [layers] middleware and [pipeline] extra '
                    'instead.'),
)
PIPELINE = (
    cfg.ListOpt('extra', default=[],
                help='Middleware between the authentication and the API, the outermost first; '
                     'what is to be around both is in [layers] middleware.'),
)
STORE = (
    cfg.StrOpt('store_description', help='What users read about this store.'),
    cfg.IntOpt('weight', default=0,
               help='A copy in a store of higher weight is read first, with by_weight.'),
    cfg.BoolOpt('read_only', default=False,
                help='Leave what is in this store as it is: it takes no images, and those that '
                     'are deleted leave their data there.'),
)
#: stores of the service's own, whose names are reserved
RESERVED_STORES = ('os_glance_staging_store', 'os_glance_tasks_store')
RESERVED_STORE = (
    cfg.StrOpt('driver', default='file', help='The driver of this store.'),
)
#: ways to order copies that Glance had once -> the plugins that do it
LOCATION_STRATEGIES = {'location_order': 'as_listed', 'store_type': 'by_weight'}


def layer_opts() -> tuple[cfg.Opt, ...]:
    """``[layers]``: which plugins are chosen."""
    return (
        cfg.StrOpt('auth', help='Who is calling; by default keystone, or noauth with no '
                                'configuration file at all.'),
        cfg.ListOpt('policy', default=['ownership', 'oslo'],
                    help='Who may do what: all must agree.'),
        cfg.ListOpt('quota', default=['limits'], help='What fits in: all must grant.'),
        cfg.ListOpt('notifier', default=[], help='Who is told what has happened.'),
        cfg.StrOpt('location', default='by_weight',
                   help='Which copy of an image is read first.'),
        cfg.ListOpt('inspector', default=['format', 'signature'],
                    help='Who looks into the content of uploads: all must be content.'),
        cfg.StrOpt('key_manager', default='castellan',
                   help='Where certificates of signatures, and keys of encrypted volumes, are: '
                        'castellan asks what [key_manager] backend names.'),
        cfg.StrOpt('database', default='sql', help='Where images are recorded.'),
        cfg.BoolOpt('sync_database', default=False,
                    help='Bring the database into the form of this version at every start, '
                         'instead of glancelite-manage db sync.'),
        cfg.ListOpt('middleware',
                    default=['healthcheck', 'cors', 'proxy_headers', 'request_id'],
                    help='What is around the API, the outermost first.'),
        cfg.BoolOpt('allow_insecure_bind', default=False,
                    help='Let an auth plugin that lets everybody in listen on other '
                         'addresses than loopback.'),
    )


GROUPS: tuple[tuple[str, Sequence[cfg.Opt]], ...] = (
    ('DEFAULT', DEFAULT), ('glance_store', GLANCE_STORE), ('image_format', IMAGE_FORMAT),
    ('paste_deploy', PASTE_DEPLOY), ('pipeline', PIPELINE), ('layers', layer_opts()))


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options of the core known to ``conf``."""
    for section, opts in GROUPS:
        conf.register_opts(opts, group=None if section == 'DEFAULT' else section)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Options of the core, the server and every installed plugin, by section.

    For ``oslo-config-generator``; a plugin of another package appears
    here without any registration of its own.
    """
    from glancelite import server
    from glancelite.support import outbound
    sections: dict[str, dict[str, cfg.Opt]] = {}
    for section, opts in (*GROUPS, ('DEFAULT', server.OPTS),
                          (outbound.SECTION, outbound.OPTS), *_plugin_opts()):
        sections.setdefault(section, {}).update((opt.dest, opt) for opt in opts)
    return [(section, list(opts.values())) for section, opts in sections.items()]


def _plugin_opts() -> Iterator[tuple[str, Sequence[cfg.Opt]]]:
    for layer in contract.LAYERS:
        for plugin in loader.installed(layer).values():
            if plugin.kind is not None and not loader.violation(layer, plugin.kind):
                opts: list[Any] = [*plugin.kind.OPTS]
                if layer == 'store':
                    opts = [*STORE, *opts]
                if opts:
                    yield plugin.kind.section(plugin.name), opts


def load(argv: Sequence[str] = (), *, prog: str = 'glancelite-api',
         cli_opts: Sequence[cfg.Opt] = (), tool: bool = False) -> cfg.ConfigOpts:
    """Read the configuration.

    Files: those named with ``--config-file``; else the project's own or, where
    there is none, that of a Glance; else the embedded service's.  After them those
    of ``--config-dir``, or of the directory beside ours that is called like it with ``.d``.

    :param argv: arguments of the command line, without the program's name.
    :param tool: it is for a command that ends: only warnings are logged, and what
        it prints is not mixed with them.
    :raises Misconfigured: a file is missing or cannot be read, or an option is wrong.
    """
    from glancelite import server
    conf = cfg.ConfigOpts()
    register(conf)
    server.register(conf)
    conf.register_cli_opts(cli_opts)
    log.register_options(conf)
    log.set_defaults(default_log_levels=[*LOG_LEVELS, *(['glancelite=WARN'] if tool else [])])
    conf.set_default('use_stderr', tool)
    try:
        version = metadata.version('glancelite')
        conf(list(argv), project='glancelite', prog=prog, version=version,
             default_config_files=[], default_config_dirs=[])
        if not conf.config_file:
            files = default_files()
            if not (files or conf.config_dir):
                files = [str(embedded.configuration())]
            beside = [f'{files[-1]}.d'] if files and os.path.isdir(f'{files[-1]}.d') else []
            conf(list(argv), project='glancelite', prog=prog, version=version,
                 default_config_files=files, default_config_dirs=beside)
    except cfg.Error as error:
        raise contract.Misconfigured(str(error).replace('\n', ' ')) from error
    check(conf)
    return conf


def set_up_logging(conf: cfg.ConfigOpts) -> None:
    """Log as ``conf`` says from now on, whatever was before.

    :raises Misconfigured: what it says cannot be done.
    """
    before = list(logging.getLogger().handlers)
    try:
        log.setup(conf, 'glancelite')
    except Exception as error:  # whatever the handlers of a file of one's own do
        raise contract.Misconfigured(
            f'the log cannot be written as configured: {str(error) or type(error).__name__}'
        ) from error
    for handler in before:  # of a file that was moved away, the last handle
        if handler not in logging.getLogger().handlers:
            handler.close()


def default_files() -> list[str]:
    """Configuration files of this machine, the later winning; none for most newcomers."""
    own = pathlib.Path(os.environ.get('GLANCELITE_CONFIG_DIR', '/etc/glancelite'))
    glance = pathlib.Path(os.environ.get('OS_GLANCE_CONFIG_DIR', '/etc/glance'))
    for folder, names in ((own, ['glancelite-api.conf']),
                          (glance, ['glance-image-import.conf', 'glance-api.conf'])):
        found = [str(folder / name) for name in names if (folder / name).is_file()]
        if found and found[-1].endswith('-api.conf'):
            return found
    return []


def unused(conf: cfg.ConfigOpts) -> list[str]:
    """Options of the files that nobody has registered, as ``[section] name``.

    To be called when all plugins are loaded.
    """
    known = {(group.name if group else 'DEFAULT', name)
             for info, group in conf._all_opt_infos() for name in _names(info['opt'])}
    known |= {(old.group or (group.name if group else 'DEFAULT'),
               _plain(old.name or info['opt'].name))
              for info, group in conf._all_opt_infos() for old in info['opt'].deprecated_opts}
    found: dict[tuple[str, str], None] = {}
    for path in (*(conf.config_file or ()), *_files_in(folders(conf))):
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        found |= {(section, name): None for section, options in sections.items()
                  for name in options if (section, _plain(name)) not in known}
    return [f'[{section}] {name}' for section, name in found]


def folders(conf: cfg.ConfigOpts) -> list[str]:
    """The directories of ``--config-dir``, or the one that stands for them."""
    # config_dirs: all of the command line; config_dir: its last one, or the default
    return list(dict.fromkeys((*conf.config_dirs, *(conf.config_dir or ()))))


def _files_in(folders: Iterable[str]) -> Iterator[str]:
    for folder in folders:
        yield from sorted(map(str, pathlib.Path(folder).glob('*.conf')))


def _names(opt: cfg.Opt) -> set[str]:
    return {opt.dest, _plain(opt.name)}


def _plain(name: str) -> str:
    return name.replace('-', '_')


def check(conf: cfg.ConfigOpts) -> None:
    """Refuse what cannot be right whichever plugins are chosen.

    :raises Misconfigured: with what would have been right.
    """
    for name in conf:  # a value is looked at when it is read, so read them all
        found = loader.value(conf, 'DEFAULT', name)
        if isinstance(found, cfg.ConfigOpts.GroupAttr):
            for option in found:
                loader.value(found, name, option)
    if not _hashes(conf.hashing_algorithm):
        raise contract.Misconfigured(
            f'[DEFAULT] hashing_algorithm = {conf.hashing_algorithm} is unknown; known: '
            f'{", ".join(filter(_hashes, sorted(hashlib.algorithms_guaranteed)))}')
    if conf.paste_deploy.config_file:
        raise contract.Misconfigured(
            '[paste_deploy] config_file: there is no PasteDeploy here; name the filters in '
            '[layers] middleware, or [pipeline] extra if they want to know the caller, and the '
            'authentication in [layers] auth')
    for name in GUARDS:
        if conf[name]:
            raise contract.Misconfigured(f'[DEFAULT] {name} is not available here, and what it '
                                         'protects would not be protected; unset it if that is '
                                         'as it should be')
    for name in conf.enabled_backends or ():
        if name.startswith('os_glance_'):
            raise contract.Misconfigured(
                f'[DEFAULT] enabled_backends: {name}: names beginning with os_glance_ are '
                'reserved')


def _hashes(algorithm: str) -> bool:
    """Not all that ``hashlib`` lists: some need OpenSSL's leave, some the length of the hash."""
    try:
        hashlib.new(algorithm, usedforsecurity=False).hexdigest()
    except (TypeError, ValueError):
        return False
    return True
