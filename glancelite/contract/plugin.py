"""The base of all plugins, and what the service offers to them."""

from __future__ import annotations

import abc
import datetime
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar

from glancelite.contract.values import EMPTY, Usage

#: Version of the contract.  Methods with defaults and keyword parameters with
#: defaults may be added within a version; any other change makes a new one.
CONTRACT = 1

PluginT = TypeVar('PluginT', bound='Plugin')


class Host(Protocol):
    """What the service offers to its plugins."""

    @property
    def node(self) -> str:
        """Name of this node; the same in all its processes."""

    @property
    def looks_only(self) -> bool:
        """True in a tool that only looks at the service: a plugin changes nothing then."""

    def now(self) -> datetime.datetime:
        """The current time, aware, in UTC."""

    def usage(self, project: str) -> Usage:
        """What a project uses now.  Asks the database; not available in ``__init__``."""

    def chosen(self, layer: type[PluginT]) -> PluginT:
        """The plugin that ``[layers]`` chooses; not available in ``__init__``.

        :param layer: class of a layer with one plugin, such as ``KeyManager``.
        """

    def load(self, layer: type[PluginT], name: str, section: str,
             options: Mapping[str, object] = EMPTY) -> PluginT:
        """Load another plugin for the one that asks.  The service closes it in the end.

        :param layer: class of the layer, such as ``CredentialSource``.
        :param name: name of the plugin's entry point.
        :param section: section of its options, usually the name of the store that asks.
            Missing options are read from ``[backend_defaults]`` and
            ``[<layer>:<name>]``.
        :param options: values that take precedence over the configuration.
        :raises Misconfigured: the plugin is not installed, or its options are invalid.
        """


class Plugin(abc.ABC):
    """The base of all layers' classes; a plugin subclasses the class of its layer.

    A service has several processes, possibly on several nodes.  Each worker process
    builds its own instances after the fork, and many threads use an instance at once.
    Before that, the first process builds every plugin and closes it again, as a check
    of the configuration.  So the memory of an instance is known to one process only.

    Class attributes, all optional:

    ``CONTRACT``
        version of the contract that the plugin was written for.
    ``OPTS``
        ``oslo.config`` options; their values are the attributes of
        ``self.options``.
    ``SECTION``
        configuration section of ``OPTS``, if the field has an established name for
        it; otherwise ``<layer>:<plugin>``, or the name of the store.
    ``LIBRARY_OPTS``
        functions that take a ``ConfigOpts`` and register the options of a library
        that uses sections of its own.  Such a plugin gets the ``ConfigOpts`` as
        ``self.conf``; for others ``self.conf`` is None.
    ``EXTRA``
        name of the extra of its package that installs its optional library; errors
        name it.
    ``CAPABILITIES``
        optional features.  The core does not use a feature that is not declared.
        The layer's class lists the words; only ``Store`` has any.

    The module of a plugin must be importable without the plugin's own optional
    library (import that in ``__init__``), so that its options can be
    documented anywhere.
    """

    LAYER: ClassVar[str]
    CONTRACT: ClassVar[int] = CONTRACT
    OPTS: ClassVar[Sequence[Any]] = ()
    SECTION: ClassVar[str | None] = None
    LIBRARY_OPTS: ClassVar[Sequence[Callable[[Any], None]]] = ()
    EXTRA: ClassVar[str | None] = None
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset()
    #: set by a layer's class: capability -> methods that a plugin with it must define
    REQUIRED_METHODS: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

    def __init__(self, options: Any, host: Host, *, name: str = '', conf: Any = None):
        """Set up the plugin; connect to a backend later, if possible.

        :param options: values of ``OPTS``, as attributes.
        :param name: name of this instance: the name of a store, otherwise that of the
            entry point.
        :param conf: see ``LIBRARY_OPTS``.
        :raises Misconfigured: these options cannot work together.
        :raises Error: the backend is needed now and does not answer.
        """
        self.options = options
        self.host = host
        self.name = name
        self.conf = conf

    @classmethod
    def section(cls, name: str) -> str:
        """Configuration section of the instance called ``name``."""
        return cls.SECTION or f'{cls.LAYER}:{name}'

    def health(self) -> str:
        """Check the backend.

        :returns: a few words for the operator, such as a version.
        :raises Error: the backend does not work; the text says why.
        """
        return 'ok'

    def close(self) -> None:  # noqa: B027  many have nothing to close
        """Release connections and threads; called once, at the end.

        Send what is still queued, within a few seconds.
        """
