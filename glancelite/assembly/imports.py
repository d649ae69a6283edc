"""Builds what imports need: their methods and steps, and the staging area."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from glancelite import contract, loader
from glancelite.assembly import lists
from glancelite.assembly import options as opts
from glancelite.contract import Misconfigured
from glancelite.services.import_options import ImportOptions
from glancelite.services.staging import StagingArea
from glancelite.services.stores import ConfiguredStore, Stores

Load = Callable[..., Any]

#: name of the store that is the staging area
STAGING = 'os_glance_staging_store'


def importers(conf: cfg.ConfigOpts, load: Load) -> Mapping[str, contract.Importer]:
    """Return the enabled import methods by name."""
    names = list(dict.fromkeys(name.strip() for name in conf.enabled_import_methods))
    return {name: load('importer', name) for name in names if name}


def steps(conf: cfg.ConfigOpts, load: Load) -> Sequence[contract.Step]:
    """Return the steps of every import, in order."""
    return [load('step', name) for name in lists.steps(conf)]


def staging(conf: cfg.ConfigOpts, load: Load, stores: Stores, node: str) -> StagingArea:
    """Return the staging area; its store is built when it is used.

    :raises Misconfigured: ``node_staging_uri`` is no directory.
    """
    options = loader.read_options(conf, opts.RESERVED_STORE, STAGING)
    store = stores.reserved.get(STAGING) or _store(conf, load, stores, options.driver)
    shared = options.shared
    if shared is None:
        shared = not store.kind.NODE_LOCAL
    return StagingArea(store, node=None if shared else node, part_size=conf.worker.part_size << 20)


def _store(conf: cfg.ConfigOpts, load: Load, stores: Stores, driver: str) -> ConfiguredStore:
    driver = driver if stores.multi else 'file'
    kind: Any = loader.find('store', driver).kind
    if stores.multi:
        given = kind.reserved_defaults(STAGING, loader.read_options(conf, kind.OPTS, STAGING))
    else:
        given = {'filesystem_store_datadir': _directory(conf.node_staging_uri)}
    return ConfiguredStore(STAGING, kind, lambda: load(
        'store', driver, instance=STAGING, given=given), driver_name=driver)


def notices(conf: cfg.ConfigOpts) -> Iterator[str]:
    """What an operator should know about ``node_staging_uri``."""
    if not conf.enabled_backends:
        if re.match('file:/+(var/)?tmp/', conf.node_staging_uri):
            yield (f'[DEFAULT] node_staging_uri = {conf.node_staging_uri}: staged data may not '
                   'survive a restart there, and services with PrivateTmp of systemd do not '
                   'share it; set it to a directory such as file:///var/lib/glance/staging')
    elif (found := conf.get_location('node_staging_uri')) and found.location.is_user_controlled:
        yield ('[DEFAULT] node_staging_uri is not used, since enabled_backends is set; the '
               'staging area is the store in [os_glance_staging_store]')


def _directory(uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    path = urllib.parse.unquote(parts.path)
    if parts.scheme != 'file' or parts.netloc or not path.startswith('/'):
        raise Misconfigured(f'[DEFAULT] node_staging_uri = {uri}: it must be a URI like '
                            'file:///var/lib/glance/staging')
    return path


def options(conf: cfg.ConfigOpts) -> ImportOptions:
    """Return the options of imports.

    :raises Misconfigured: ``work_dir`` depends on where the process was started.
    """
    worker, work_dir = conf.worker, conf.task.work_dir
    if work_dir and not os.path.isabs(work_dir):
        raise Misconfigured(f'[task] work_dir = {work_dir}: it must be an absolute path, such as '
                            '/var/lib/glance/work')
    return ImportOptions(
        hashing_algorithm=conf.hashing_algorithm, md5_checksum=conf.md5_checksum,
        max_parallel_stores=conf.image_import_opts.max_parallel_stores,
        retries=worker.retries, retry_pause=worker.retry_pause,
        longest_pause=worker.longest_retry_pause, staged_time=worker.staged_time * 3600,
        work_dir=work_dir or None)
