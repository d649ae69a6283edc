"""``build(conf)``: loads the chosen plugins and builds the service from them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import time
from typing import Any

from oslo_config import cfg

from glancelite import config_files, contract, loader, paste_file
from glancelite.assembly import imports, lists
from glancelite.assembly.core import Core, Settings
from glancelite.assembly.host import ServiceHost
from glancelite.assembly.plugins import Plugins
from glancelite.assembly.stores import build as build_stores
from glancelite.contract import Misconfigured
from glancelite.schema.image import ImageSchema
from glancelite.schema.render import documents
from glancelite.schema.views import ImageView
from glancelite.services.chains import NotifierGroup, PolicyChain, QuotaChain
from glancelite.services.events import Events
from glancelite.services.layers import Layers
from glancelite.services.leases import Leases
from glancelite.services.retention import Retention
from glancelite.services.use_cases import Options, UseCases

LOG = logging.getLogger(__name__)

#: seconds that a plugin has to start, even if others have used the time up
SHORTEST_START = 3.0


def build(conf: cfg.ConfigOpts, *, until: float | None = None, announce: bool = False,
          looks_only: bool = False) -> Core:
    """Load the chosen plugins and build the service; close it in the end.

    Call it after the fork, as connections to a database do not survive one.

    :param until: when the plugins should be built, by the monotonic clock: one that takes longer
        counts as failed, but each has ``SHORTEST_START``.  Default: ``loader.START_TIMEOUT``.
    :param announce: log each plugin, with its package.
    :param looks_only: the plugins change nothing.
    :raises Misconfigured: the configuration is invalid.
    """
    def make(layer: str, name: str, **where: Any) -> contract.Plugin:
        seconds = (loader.START_TIMEOUT if until is None
                   else max(SHORTEST_START, round(until - time.monotonic(), 1)))
        plugin = loader.load(conf, host, layer, name, start_timeout=seconds, **where)
        if announce:
            LOG.info('%s: %s is %s (%s)', layer, plugin.name, loader.origin(layer, name),
                     type(plugin).__qualname__)
        return plugin

    plugins = Plugins(make)
    host = ServiceHost(plugins.load, looks_only=looks_only)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(plugins.close)
        core = _build(conf, host, plugins)
        on_failure.pop_all()
        return core


def _build(conf: cfg.ConfigOpts, host: ServiceHost, plugins: Plugins) -> Core:
    load = plugins.load
    layers = _layers(conf, host, plugins)
    stores = layers.stores
    settings = Settings(
        limit_param_default=conf.limit_param_default, api_limit_max=conf.api_limit_max,
        max_json_size=conf.max_json_size, public_endpoint=conf.public_endpoint,
        show_image_direct_url=conf.show_image_direct_url,
        show_multiple_locations=conf.show_multiple_locations,
        multi_store=stores.multi, store_ids=tuple(stores.names))
    schema = ImageSchema(conf.image_format.disk_formats, conf.image_format.container_formats,
                         extra=_extra_schema(conf))
    authenticator = load('auth', auth_name(conf))
    middleware = tuple(load('middleware', name) for name in lists.middleware(conf))
    extra = tuple(load('middleware', name)
                  for name in lists.chosen(conf, 'pipeline', 'extra'))
    return Core(
        settings=settings, layers=layers, authenticator=authenticator, middleware=middleware,
        extra=extra, use_cases=UseCases.build(layers, use_case_options(conf)),
        schema=schema,
        view=ImageView(show_direct_url=conf.show_image_direct_url,
                       show_locations=conf.show_multiple_locations,
                       show_stores=settings.multi_store, locations_of=stores.displayed),
        documents=documents(schema.resource), plugins=plugins)


def use_case_options(conf: cfg.ConfigOpts) -> Options:
    """Return the options of the use cases."""
    grouped = {'imports': imports.options(conf), 'task_lease': conf.worker.lease,
               'task_time_to_live': conf.task.task_time_to_live,
               'abandon_after': conf.worker.abandon_after}
    return Options(**grouped, **{
        field.name: conf[field.name] for field in dataclasses.fields(Options)
        if field.name not in grouped})


def _layers(conf: cfg.ConfigOpts, host: ServiceHost, plugins: Plugins) -> Layers:
    load = plugins.load

    def chain(layer: str) -> list[Any]:
        return [load(layer, name) for name in lists.chosen(conf, 'layers', layer)]

    chosen = conf.layers
    database = host.plugins[contract.Database] = load('database', chosen.database)
    if chosen.sync_database:
        LOG.info('database: %s', database.sync())
    key_manager = host.plugins[contract.KeyManager] = load('key_manager', chosen.key_manager)
    leases = Leases(database, host, seconds=conf.upload_lease)
    stores = build_stores(conf, load, plugins.unload)
    notifiers = NotifierGroup(chain('notifier'), conf.disabled_notifications)
    return Layers(
        policy=PolicyChain(chain('policy')),
        quota=QuotaChain(chain('quota')),
        events=Events(notifiers, host, publisher=conf.default_publisher_id),
        stores=stores,
        database=database,
        inspectors=tuple(chain('inspector')),
        key_manager=key_manager,
        importers=imports.importers(conf, load),
        steps=imports.steps(conf, load),
        executor=load('executor', chosen.executor),
        staging=imports.staging(conf, load, stores, host.node),
        leases=leases,
        retention=Retention(host, leases.duration,
                            delay=conf.scrub_time if conf.delayed_delete else None),
        host=host)


def auth_name(conf: cfg.ConfigOpts) -> str:
    """Return the name of the auth plugin that the configuration chooses."""
    return str(conf.layers.auth or paste_file.default_auth(conf))


def _extra_schema(conf: cfg.ConfigOpts) -> Any:
    config_folders = [os.path.dirname(os.path.abspath(path)) for path in conf.config_file or ()]
    for folder in (*config_folders, *config_files.directories(conf)):
        path = pathlib.Path(folder) / 'schema-image.json'
        if path.is_file():
            try:
                return json.loads(path.read_text())
            except ValueError as error:
                raise Misconfigured(f'{path} is not JSON: {error}') from error
    return None
