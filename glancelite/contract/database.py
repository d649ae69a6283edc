"""The layer ``database``: what is known about images.

Each method is atomic and nothing spans methods, so that SQL, memory and a
remote registry can be equal.  Values go in and come out.

Atomic means: for all instances on the same options, in whichever process or
on whichever machine.  What was written is durable when a method returns, and
the next question of anybody is answered with it.

All times that a method sets are ``Host.now()``.  Ids and names are compared
exactly; those which the backend could never keep (too long, with NUL) are
simply not found.  Every method raises ``Unavailable`` if the backend does not
answer.
"""

from __future__ import annotations

import abc
import datetime
from collections.abc import Collection, Mapping, Sequence

from glancelite.contract.plugin import Plugin
from glancelite.contract.query import ImageQuery, Viewer
from glancelite.contract.values import Image, Member, Page, Usage


class ImageRecords(abc.ABC):
    """Images with their properties, tags and locations."""

    @abc.abstractmethod
    def add(self, image: Image) -> Image:
        """Keep a new image.

        ``created_at``, ``updated_at`` and ``revision`` (at which it starts is up to the
        backend) are set here.

        :returns: the image as kept, with the rest as given; tags are a set and come back sorted.
        :raises Conflict: the id is taken, or was once.
        """

    @abc.abstractmethod
    def get(self, image_id: str, *, viewer: Viewer | None) -> Image:
        """One image that is not deleted.

        :param viewer: ``membership`` of the result is this project's; None
            looks without eyes: no visibility check, no membership.
        :raises NotFound: none, or ``viewer`` may not see it.
        """

    @abc.abstractmethod
    def list(self, query: ImageQuery) -> Page[Image]:
        """One page.

        The whole listing are the images for which ``glancelite.contract.query.matches``,
        in the order of ``glancelite.contract.query.ordered``, each with the
        ``membership`` of ``query.viewer``.  The page are the first ``query.limit`` that
        ``glancelite.contract.query.compare`` puts after ``query.after``, which may have
        been changed or removed since it was read.
        """

    @abc.abstractmethod
    def update(self, image: Image, changes: Mapping[str, object], *,
               status: Collection[str] | None = None) -> Image:
        """Write ``changes`` if the image is still what the caller saw.

        One statement decides, so two writers can never both win.  ``revision`` grows by
        one, also if ``changes`` are empty.

        :param image: as the caller has read it.
        :param changes: field of ``Image`` -> new value; ``properties``,
            ``tags`` and ``locations`` are replaced as a whole.  ``id``,
            ``revision``, ``membership`` and the times but ``lease_until`` are no fields here.
        :param status: statuses the change may start from; None for any.
        :returns: the image as written; ``membership`` as in ``image``.
        :raises TypeError: a name in ``changes`` is no field here.
        :raises NotFound: there is no such image any more.
        :raises Conflict: it has another revision by now, or a status outside ``status``;
            ``details`` hold the present ``status`` and ``revision``.
        """

    @abc.abstractmethod
    def remove(self, image: Image, *, pending: bool) -> Image:
        """Delete, whatever has been written meanwhile except protection and another removal.

        With all that belongs to it; its id stays taken.  The bytes are not our business.

        :param pending: True leaves the status ``pending_delete`` (and so
            that of its locations), for ``scrubbed`` to follow; False ``deleted``.
        :returns: the image as it was removed, with locations and ``deleted_at``.
        :raises NotFound: it is deleted already.
        :raises Conflict: it is ``protected``, which ``image`` as read was not.
        """

    @abc.abstractmethod
    def restore(self, image: Image, *, status: str = 'active') -> Image:
        """Take back a pending removal: everything, members included, is as before it.

        The revision goes on: whoever has read the image before its removal has lost.

        :param image: what ``remove`` returned.
        :param status: what it had before.
        :returns: the live image; its locations are ``active``.
        :raises Conflict: it is not pending any more.
        """

    @abc.abstractmethod
    def scrubbed(self, image: Image) -> None:
        """The bytes of an image that was removed as pending are gone: finish.

        What is not pending (any more) stays as it is.
        """

    @abc.abstractmethod
    def renew(self, image_ids: Collection[str], *, until: datetime.datetime) -> None:
        """Move ``lease_until`` of images that have an earlier one; no new revision.

        Others, and unknown ids, are passed over.
        """

    @abc.abstractmethod
    def unfinished(self, *, now: datetime.datetime, removed_before: datetime.datetime,
                   limit: int = 100, after: Image | None = None) -> Sequence[Image]:
        """What a server that died has left behind.

        Images whose ``lease_until`` is not after ``now``, whatever their status (never those
        without one), and images ``pending_delete`` since before ``removed_before``,
        with their locations.

        :param after: one of them, as it was found: goes on behind it.
        :returns: at most ``limit`` of them: first those with a lease, the one that ran out
            first in front, then the others, the first removed in front.
        """

    @abc.abstractmethod
    def usage(self, project: str) -> Usage:
        """What a project holds; one aggregate, whatever the number of images."""


class MemberRecords(abc.ABC):
    """With which projects an image is shared."""

    @abc.abstractmethod
    def add(self, image_id: str, member: str, *, status: str = 'pending') -> Member:
        """Share; a member that was removed may come again, anew.

        :raises Conflict: it is a member already.
        :raises NotFound: no such image.
        """

    @abc.abstractmethod
    def list(self, image_id: str) -> Sequence[Member]:
        """Members in the order in which they came; empty if there is no such image."""

    @abc.abstractmethod
    def update(self, image_id: str, member: str, *, status: str) -> Member:
        """Change the status.

        :raises NotFound: no such member.
        """

    @abc.abstractmethod
    def remove(self, image_id: str, member: str) -> Member:
        """Stop sharing.

        :returns: the member as removed, with ``deleted_at``.
        :raises NotFound: no such member.
        """


class Database(Plugin):
    """All records, and the care of where they are kept."""

    LAYER = 'database'
    #: known to this instance only and forgotten with it: a service with such a
    #: database has one process
    VOLATILE: bool = False

    @property
    @abc.abstractmethod
    def images(self) -> ImageRecords:
        """The images."""

    @property
    @abc.abstractmethod
    def members(self) -> MemberRecords:
        """The memberships."""

    def sync(self) -> str:
        """Bring what is kept into the form that this version needs.

        :returns: what was done, in a few words.
        """
        return 'nothing to do'

    def version(self) -> str:
        """The form of what is kept, such as the revision of a schema; '' if it has none."""
        return ''

    def behind(self) -> bool:
        """Must ``sync`` run before the service may?"""
        return False
