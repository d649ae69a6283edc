"""The layer ``database``: the records of images, of tasks and of metadata definitions.

Each method is atomic and no transaction spans two methods, so that SQL, memory and a
remote registry can behave alike.  Arguments and results are values.

Atomic means: for all instances with the same options, in any process on any host.  What a
method wrote is durable when it returns, and every later read includes it.

All times that a method sets are ``Host.now()``.  Names are compared exactly: case, accents
and blanks count.  So are image ids, but ``ImageRecords.get`` finds them in lower and upper
case too.  Ids and names that the backend cannot store (too long, or with NUL) are not found.
Every method raises ``Unavailable`` if the backend does not answer.
"""

from __future__ import annotations

import abc

from glancelite.contract.database.images import ImageRecords
from glancelite.contract.database.members import MemberRecords
from glancelite.contract.database.metadefs import MetadefRecords
from glancelite.contract.database.tasks import TaskRecords
from glancelite.contract.plugin import Plugin

__all__ = ['Database', 'ImageRecords', 'MemberRecords', 'MetadefRecords', 'TaskRecords']


class Database(Plugin):
    """All records, and the maintenance of their schema."""

    LAYER = 'database'
    #: True if only this instance knows the records, and they are lost with it.  A service
    #: with such a database has one process.
    VOLATILE: bool = False

    @property
    @abc.abstractmethod
    def images(self) -> ImageRecords:
        """The images."""

    @property
    @abc.abstractmethod
    def members(self) -> MemberRecords:
        """The memberships."""

    @property
    @abc.abstractmethod
    def tasks(self) -> TaskRecords:
        """The tasks."""

    @property
    @abc.abstractmethod
    def metadefs(self) -> MetadefRecords:
        """The metadata definitions."""

    def wait(self) -> None:
        """Wait for a backend that is starting, as long as the options say.

        The service calls it at its start.  All other methods ask the backend once.

        :raises Unavailable: the backend does not answer yet.
        """

    def sync(self) -> str:
        """Bring the schema to the version that this plugin needs.

        :returns: what was done, in a few words.
        """
        return 'nothing to do'

    def version(self) -> str:
        """The version of the schema; '' if there is none."""
        return ''

    def behind(self) -> bool:
        """Return whether ``sync`` must run before the service can."""
        return False
