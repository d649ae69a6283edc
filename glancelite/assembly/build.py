"""``build(conf)``: the one place where everything meets."""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import os
import pathlib
import socket
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, cast

from oslo_config import cfg

from glancelite import config, contract, loader
from glancelite.assembly.stores import build as build_stores
from glancelite.contract import Context, Misconfigured, Usage
from glancelite.contract.plugin import PluginT
from glancelite.schema.image import ImageSchema
from glancelite.schema.render import documents
from glancelite.schema.views import ImageView
from glancelite.services.chains import NotifierGroup, PolicyChain, QuotaChain
from glancelite.services.data import ImageData
from glancelite.services.discovery import Discovery
from glancelite.services.events import Events
from glancelite.services.hashing import Hashing
from glancelite.services.images import Images
from glancelite.services.layers import Layers
from glancelite.services.leases import Leases
from glancelite.services.locations import Locations
from glancelite.services.members import Members
from glancelite.services.tags import Tags

LOG = logging.getLogger(__name__)


class ServiceHost:
    """What plugins may ask of the service.

    :param load: builds a plugin of the service; None if no plugin asks for another one.
    """

    def __init__(self, load: Callable[..., Any] | None = None) -> None:
        self.node = socket.gethostname()
        self.database: contract.Database | None = None
        #: layer -> the plugin that ``[layers]`` chooses, for ``chosen``
        self.plugins: dict[type[contract.Plugin], contract.Plugin] = {}
        self._load = load

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    def usage(self, project: str) -> Usage:
        assert self.database is not None
        return self.database.images.usage(project)

    def chosen(self, layer: type[PluginT]) -> PluginT:
        return cast(PluginT, self.plugins[layer])

    def load(self, layer: type[PluginT], name: str, section: str,
             options: Mapping[str, object] = contract.EMPTY) -> PluginT:
        assert self._load is not None
        return cast(PluginT, self._load(layer.LAYER, name, section=section, given=options))


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the API itself needs to know of the configuration."""

    limit_param_default: int = 25
    api_limit_max: int = 1000
    public_endpoint: str | None = None
    show_image_direct_url: bool = False
    show_multiple_locations: bool = False
    multi_store: bool = True
    store_ids: tuple[str, ...] = ()
    cache: bool = False
    import_methods: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Core:
    """The whole service below its API."""

    settings: Settings
    layers: Layers
    authenticator: contract.Authenticator
    middleware: Sequence[contract.Middleware]
    extra: Sequence[contract.Middleware]
    images: Images
    data: ImageData
    members: Members
    tags: Tags
    locations: Locations
    discovery: Discovery
    schema: ImageSchema
    view: ImageView
    documents: Mapping[str, bytes]
    plugins: Sequence[contract.Plugin]

    def identify(self, environ: MutableMapping[str, Any]) -> Context:
        """The caller of a request, complete.

        :raises Unauthenticated: nobody we know.
        """
        ctx = self.authenticator.identify(environ)
        return dataclasses.replace(ctx, is_admin=bool(self.layers.policy.is_admin(ctx)),
                                   request_id=environ.get('openstack.request_id'))

    def close(self) -> None:
        """Let go of everything; nothing of this core can be used afterwards."""
        self.locations.close()
        self.layers.leases.close()
        for plugin in reversed(self.plugins):
            try:
                plugin.close()
            except Exception:
                LOG.exception('%s %s did not close', plugin.LAYER, plugin.name)


def build(conf: cfg.ConfigOpts) -> Core:
    """Load the chosen plugins and put them together.

    SQL connections do not survive a fork, so this runs after it.

    :raises Misconfigured: with what would have been right.
    """
    plugins: list[contract.Plugin] = []

    def load(layer: str, name: str, **where: Any) -> Any:
        plugin = loader.load(conf, host, layer, name, **where)
        plugins.append(plugin)
        return plugin

    host = ServiceHost(load)

    try:
        return _build(conf, host, load, plugins)
    except BaseException:
        for plugin in reversed(plugins):
            plugin.close()
        raise


def _build(conf: cfg.ConfigOpts, host: ServiceHost, load: Callable[..., Any],
           plugins: list[contract.Plugin]) -> Core:
    chosen = conf.layers
    database = host.database = load('database', chosen.database)
    if chosen.sync_database:
        LOG.info('database: %s', database.sync())
    key_manager = load('key_manager', chosen.key_manager)
    host.plugins[contract.KeyManager] = key_manager
    stores = build_stores(conf, load)
    fan = NotifierGroup([load('notifier', name) for name in chosen.notifier],
                      conf.disabled_notifications)
    leases = Leases(database, stores, host, seconds=conf.upload_lease,
                    delay=conf.scrub_time if conf.delayed_delete else None)
    layers = Layers(
        policy=PolicyChain([load('policy', name) for name in chosen.policy]),
        quota=QuotaChain([load('quota', name) for name in chosen.quota]),
        events=Events(fan, host, publisher=conf.default_publisher_id),
        stores=stores,
        database=database,
        inspectors=tuple(load('inspector', name) for name in chosen.inspector),
        key_manager=key_manager,
        leases=leases,
        host=host)
    settings = Settings(
        limit_param_default=conf.limit_param_default, api_limit_max=conf.api_limit_max,
        public_endpoint=conf.public_endpoint,
        show_image_direct_url=conf.show_image_direct_url,
        show_multiple_locations=conf.show_multiple_locations,
        multi_store=bool(conf.enabled_backends), store_ids=tuple(stores.names))
    schema = ImageSchema(conf.image_format.disk_formats, conf.image_format.container_formats,
                         extra=_extra_schema(conf))
    images = Images(layers, patches_locations=conf.show_multiple_locations,
                    hashing_algorithm=conf.hashing_algorithm)
    return Core(
        settings=settings, layers=layers, authenticator=load('auth', auth_name(conf)),
        middleware=tuple(load('middleware', name) for name in chosen.middleware),
        extra=tuple(load('middleware', name) for name in conf.pipeline.extra),
        images=images,
        data=ImageData(layers, hashing_algorithm=conf.hashing_algorithm,
                       checksum=conf.md5_checksum, verify=conf.verify_downloads),
        members=Members(layers), tags=Tags(layers, images),
        locations=Locations(
            layers, images, hashing_algorithm=conf.hashing_algorithm,
            hashing=Hashing(stores, tries=conf.http_retries, checksum=conf.md5_checksum),
            secure_hash=conf.do_secure_hash),
        discovery=Discovery(layers), schema=schema,
        view=ImageView(show_direct_url=conf.show_image_direct_url,
                       show_locations=conf.show_multiple_locations,
                       show_stores=settings.multi_store, places=stores.shown),
        documents=documents(schema.resource), plugins=plugins)


def auth_name(conf: cfg.ConfigOpts) -> str:
    """The auth plugin that the configuration means."""
    flavor = conf.paste_deploy.flavor
    if conf.layers.auth:
        return str(conf.layers.auth)
    return 'noauth' if flavor and 'keystone' not in flavor else 'keystone'


def _extra_schema(conf: cfg.ConfigOpts) -> Any:
    beside = [os.path.dirname(os.path.abspath(path)) for path in conf.config_file or ()]
    for folder in (*beside, *config.folders(conf)):
        found = pathlib.Path(folder) / 'schema-image.json'
        if found.is_file():
            try:
                return json.loads(found.read_text())
            except ValueError as error:
                raise Misconfigured(f'{found} is not JSON: {error}') from error
    return None
