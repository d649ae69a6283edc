"""Records of images, with their properties, tags and locations."""

from __future__ import annotations

import abc
import datetime
from collections.abc import Collection, Mapping, Sequence

from glancelite.contract.errors import NotFound
from glancelite.contract.query import ImageQuery, Viewer
from glancelite.contract.values import Image, Page, Usage


class ImageRecords(abc.ABC):
    """Images with their properties, tags and locations."""

    @abc.abstractmethod
    def add(self, image: Image) -> Image:
        """Add a new image.

        The backend sets ``created_at``, ``updated_at`` and the first ``revision``, which
        may be any number.

        :returns: the image as recorded, with the other fields as given; tags are a set
            and are returned sorted.
        :raises Conflict: the id is in use, or was used before.
        """

    def is_used(self, image_id: str) -> bool:
        """Return whether an image has this id, or had it before it was deleted.

        The core asks before it adds an image with an id that a caller has chosen.  By default
        deleted images are not found; an override finds them.

        :param image_id: any of the images that ``glancelite.contract.query.id_forms`` names
            counts, since callers would reach one when they mean the other.
        """
        try:
            self.get(image_id, viewer=None)
            return True
        except NotFound:
            return False

    def withdraw(self, image: Image) -> None:
        """Undo ``add``: the id may be used again, if the backend can free it.

        An image that was changed since is deleted.

        :param image: the result of ``add``.
        :raises NotFound: it is deleted already.
        """
        self.delete(image, pending=False)

    @abc.abstractmethod
    def get(self, image_id: str, *, viewer: Viewer | None) -> Image:
        """Return one image that is not deleted.

        :param image_id: of the images that ``glancelite.contract.query.id_forms`` names, the
            first one is returned.  Its own ``id`` may be in another case.
        :param viewer: ``membership`` of the result is that of the viewer's project.
            None is internal access: no visibility check, no membership.
        :raises NotFound: there is no such image, or ``viewer`` may not see it; the text is
            the same: ``No image found with ID <id>``.
        """

    @abc.abstractmethod
    def list(self, query: ImageQuery) -> Page[Image]:
        """Return one page of a listing.

        The listing consists of the images that ``glancelite.contract.query.matches``
        accepts, in the order of ``glancelite.contract.query.ordered``, each with the
        ``membership`` of ``query.viewer``.  The page consists of the first ``query.limit``
        of them that ``glancelite.contract.query.compare`` puts after ``query.after``,
        which may have been changed or deleted since it was read.

        Properties, tags and locations may be large.  A page with more than
        ``glancelite.contract.query.PAGE_SIZE`` bytes of them ends early, with ``more``, after
        at least one image, and the driver reads no more of them than that.  A driver whose
        clients are remote should also limit what concurrent calls read together;
        ``glancelite.support.memory`` does it.
        """

    @abc.abstractmethod
    def update(self, image: Image, changes: Mapping[str, object], *,
               status: Collection[str] | None = None) -> Image:
        """Write ``changes`` if the image still has the revision that the caller read.

        One statement decides, so two writers can never both succeed.  ``revision`` grows
        by one, even if ``changes`` is empty.

        :param image: the image as the caller has read it.
        :param changes: field of ``Image`` -> new value.  ``properties``, ``tags`` and
            ``locations`` are replaced as a whole.  ``id``, ``revision``, ``membership``
            and the times other than ``lease_until`` cannot be changed here.
        :param status: statuses that the image may have before the change; None for any.
        :returns: the image as written, with ``membership`` as in ``image``.
        :raises TypeError: ``changes`` has a name that cannot be changed here.
        :raises NotFound: the image does not exist any more.
        :raises Conflict: it has another revision, or a status outside ``status``;
            ``details`` has the present ``status`` and ``revision``.
        """

    @abc.abstractmethod
    def delete(self, image: Image, *, pending: bool) -> Image:
        """Delete an image with its members, tags, properties and locations.

        This ignores changes since ``image`` was read, except protection and another
        deletion.  The id stays in use.  The data in stores is not touched.

        :param pending: True sets the status ``pending_delete`` (also of the locations),
            until ``complete_delete``, and keeps the present status for ``undelete``; False
            sets ``deleted``.
        :returns: the image as deleted, with locations and ``deleted_at``.
        :raises NotFound: it is deleted already.
        :raises Conflict: it is ``protected`` now, and was not in ``image``.
        """

    @abc.abstractmethod
    def pending_deletion(self, image_id: str) -> tuple[Image, str]:
        """Return an image that is pending deletion.

        :param image_id: as in ``get``.
        :returns: the image as ``delete`` returned it, without membership, and the status that
            it had before; ``active`` if another service has deleted it.
        :raises NotFound: there is no such image, or it is not pending deletion.
        """

    @abc.abstractmethod
    def undelete(self, image: Image, *, status: str | None = None) -> Image:
        """Undo a pending deletion; everything, members included, is as before.

        The revision grows: a writer that read the image before its deletion loses.

        :param image: the result of ``delete``.
        :param status: None is the one that ``pending_deletion`` returns.
        :returns: the image; its locations are ``active``.
        :raises Conflict: it is not pending deletion any more.
        """

    @abc.abstractmethod
    def complete_delete(self, image: Image) -> None:
        """Set ``deleted`` on an image in ``pending_delete``, whose data is gone now.

        An image in another status stays as it is.
        """

    @abc.abstractmethod
    def renew_leases(self, image_ids: Collection[str], *, until: datetime.datetime) -> None:
        """Set ``lease_until`` of images that have an earlier one, without a new revision.

        Other images and unknown ids are ignored.
        """

    @abc.abstractmethod
    def unfinished(self, *, now: datetime.datetime, deleted_before: datetime.datetime,
                   limit: int = 100, after: Image | None = None) -> Sequence[Image]:
        """Return images whose work was interrupted, with their locations.

        These are images with a ``lease_until`` that is not after ``now``, in any status
        (images without a lease never), and images that have been ``pending_delete`` since
        before ``deleted_before``.

        :param after: one image of an earlier result: continue behind it.  Its ``id``,
            ``lease_until`` and ``deleted_at`` are unchanged; it may lack the rest.
        :returns: at most ``limit`` images: first those with a lease, by ``lease_until``,
            then the others, by ``deleted_at``.  There may be fewer, but at least one, as in
            ``list``; only an empty result means that there are no more.
        """

    @abc.abstractmethod
    def usage(self, project: str) -> Usage:
        """Return what a project uses, with one aggregate for any number of images."""
