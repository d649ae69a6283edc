"""What every plugin is, and the narrow window it has back into the service."""

from __future__ import annotations

import abc
import datetime
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from glancelite.contract.values import NOTHING, Usage

if TYPE_CHECKING:
    from glancelite.contract.credential import CredentialSource
    from glancelite.contract.key_manager import KeyManager

#: The version of this treaty.  It grows by methods with defaults and keyword
#: parameters with defaults; anything else makes a new number.
CONTRACT = 1


class Host(Protocol):
    """What the service offers to its plugins."""

    @property
    def node(self) -> str:
        """Name of this machine, the same for all its processes."""

    def now(self) -> datetime.datetime:
        """The time, aware, in UTC."""

    @property
    def key_manager(self) -> KeyManager:
        """Where certificates and keys are; not yet in ``__init__``."""

    def usage(self, project: str) -> Usage:
        """What a project holds at this moment; asks the database, so not in ``__init__``."""

    def credential(self, name: str, section: str,
                   options: Mapping[str, object] = NOTHING) -> CredentialSource:
        """The plugin ``name`` of the layer ``credential``; the service closes it in the end.

        :param section: where its options are, usually the name of the store that asks;
            ``[backend_defaults]`` and then ``[credential:<name>]`` have what it lacks.
        :param options: go before those of the section.
        :raises Misconfigured: it is not installed, or its options do not do.
        """


class Plugin(abc.ABC):
    """The base of all layers' classes; a plugin subclasses its layer's class.

    A service has several processes, perhaps on several machines.  Each of them
    has its own instances, built after the fork, of which each is used by many
    threads at once.  Before that, the first process builds all, to see that
    they can be, and closes them.  So what an instance keeps in its memory is
    known to one process only.

    Class attributes, all optional:

    ``CONTRACT``
        version of the treaty the plugin was written for.
    ``OPTS``
        ``oslo.config`` options; their values arrive as attributes of
        ``self.options``.
    ``SECTION``
        configuration section of ``OPTS`` where one has a name by tradition;
        otherwise ``<layer>:<plugin>``, or a store's own name.
    ``FOREIGN_OPTS``
        functions which take a ``ConfigOpts`` and register the options of a
        library that insists on sections of its own.  Such a plugin
        gets the ``ConfigOpts`` as ``self.conf``; others have None there.
    ``CAPABILITIES``
        optional abilities; what is not declared is never asked for.  The words are those
        of the layer's class; so far only ``Store`` has any.

    The module of a plugin must import without the plugin's own optional
    library (import that in ``__init__``), so that its options can be
    documented anywhere.
    """

    LAYER: ClassVar[str]
    CONTRACT: ClassVar[int] = CONTRACT
    OPTS: ClassVar[Sequence[Any]] = ()
    SECTION: ClassVar[str | None] = None
    FOREIGN_OPTS: ClassVar[Sequence[Callable[[Any], None]]] = ()
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset()
    #: for each layer: ability -> the methods that whoever declares it has to bring
    DEMANDS: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

    def __init__(self, options: Any, host: Host, *, name: str = '', conf: Any = None):
        """Set up; do not talk to the backend yet where that can wait.

        :param options: values of ``OPTS`` by name, as attributes.
        :param name: what the operator calls this instance: the name of a store, otherwise
            that of the entry point.
        :param conf: see ``FOREIGN_OPTS``.
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
        """Ask the backend whether it is well.

        :returns: a few words for the operator, such as a version.
        :raises Error: it is not; the text says why.
        """
        return 'ok'

    def close(self) -> None:  # noqa: B027  many have nothing to close
        """Let go of connections and threads; called once, at the end.

        What still waits to be passed on is passed on, within a few seconds.
        """
