"""Queries for listings of images and of tasks.

``matches`` and ``ordered`` define what a query means.  A database translates an
``ImageQuery`` into its own language; the conformance kit compares the result with these
functions on random data.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from glancelite.contract.values import Image, Task


def id_forms(image_id: str) -> tuple[str, str, str]:
    """Return the ids that this one may mean, in the order of precedence.

    An id is a UUID.  The service stores it in lower case; Glance stores it as given.
    """
    return image_id, image_id.lower(), image_id.upper()


def whole_seconds(value: Any) -> Any:
    """Return a time without its fraction of a second, which is not shown; others as given."""
    return value.replace(microsecond=0) if isinstance(value, datetime.datetime) else value


#: bytes of the properties, tags and locations of the images of a page; a page with more ends
#: early, unless it has one image only
PAGE_SIZE = 4 << 20
SORT_KEYS = ('name', 'status', 'container_format', 'disk_format', 'size', 'id',
             'created_at', 'updated_at')

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    'eq': operator.eq, 'neq': operator.ne, 'gt': operator.gt, 'gte': operator.ge,
    'lt': operator.lt, 'lte': operator.le,
}
OPERATORS = (*_OPERATORS, 'in')


@dataclasses.dataclass(frozen=True, slots=True)
class Where:
    """One condition on a field of ``Image`` that is a string, a number, a boolean or a time.

    ``operator`` is one of ``OPERATORS``; for ``in`` the value is a tuple.  An unset
    field satisfies no condition, not even ``neq``.  Strings are compared by code point;
    case counts.  Times are compared in whole seconds, as they are shown.
    """

    field: str
    operator: str
    value: object

    def matches(self, image: Image) -> bool:
        found = whole_seconds(getattr(image, self.field))
        if found is None:
            return False
        value: Any = self.value
        if self.operator == 'in':
            return found in map(whole_seconds, value)
        return _OPERATORS[self.operator](found, whole_seconds(value))


@dataclasses.dataclass(frozen=True, slots=True)
class Viewer:
    """The project for which records are read; ``project`` None is the anonymous caller."""

    project: str | None = None
    is_admin: bool = False

    def may_see(self, image: Image) -> bool:
        """Return whether the viewer may see an image with the viewer's own ``membership``.

        Source: Image API v2, "Image visibility".
        """
        return (self.is_admin or image.owner is None
                or image.visibility in ('public', 'community')
                or (self.project is not None and image.owner == self.project)
                or (image.visibility == 'shared' and image.membership is not None))


@dataclasses.dataclass(frozen=True, slots=True)
class ImageQuery:
    """A page of images.

    :param viewer: the project that lists images.
    :param visibility: None for the default set, ``all``, or one visibility.
    :param member_status: member status of shared images of other projects in the list;
        ``all`` for any.
    :param hidden: the value that ``os_hidden`` must have.
    :param where: conditions; all must match.
    :param tags: tags that the image must have.
    :param properties: custom properties that must have exactly these values.
    :param sort: ``(key, 'asc' | 'desc')`` pairs, keys of ``SORT_KEYS``, complete with
        the tie-breakers ``created_at`` and ``id``.
    :param after: the last image of the previous page.
    :param limit: most images on the page; None for all.
    """

    viewer: Viewer
    visibility: str | None = None
    member_status: str = 'accepted'
    hidden: bool = False
    where: tuple[Where, ...] = ()
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sort: tuple[tuple[str, str], ...] = (('created_at', 'desc'), ('id', 'desc'))
    after: Image | None = None
    limit: int | None = None


def matches(query: ImageQuery, image: Image) -> bool:
    """Return whether ``image`` is in the listing, on any page.

    ``image.membership`` must be that of the viewer's project.
    """
    if image.deleted_at is not None or image.status in ('deleted', 'pending_delete', 'killed'):
        return False
    return (_in_scope(query, image)
            and image.os_hidden == query.hidden
            and all(where.matches(image) for where in query.where)
            and query.tags.issubset(image.tags)
            and all(image.properties.get(name) == value
                    for name, value in query.properties.items()))


def _in_scope(query: ImageQuery, image: Image) -> bool:
    viewer = query.viewer
    if query.visibility not in (None, 'all') and image.visibility != query.visibility:
        return False
    own = viewer.project is not None and image.owner == viewer.project
    if image.visibility == 'community':
        return own or query.visibility is not None
    if viewer.is_admin or own or image.visibility == 'public':
        return True
    return (image.visibility == 'shared' and image.membership is not None
            and query.member_status in ('all', image.membership))


def ordered(query: ImageQuery, images: Iterable[Image]) -> list[Image]:
    """Return ``images`` in the order of the query.

    An unset value sorts below all others.  Strings sort by code point.
    """
    return sorted(images, key=functools.cmp_to_key(functools.partial(compare, query)))


class Sorted(Protocol):
    """A query with an order: an ``ImageQuery``, ``TaskQuery`` or ``NamespaceQuery``."""

    @property
    def sort(self) -> tuple[tuple[str, str], ...]: ...


def compare(query: Sorted, one: Any, other: Any) -> int:
    """Return a negative number, zero or a positive one: ``one`` before, with, after ``other``."""
    for key, direction in query.sort:
        mine, theirs = getattr(one, key), getattr(other, key)
        if mine == theirs:
            continue
        less = mine is None or (theirs is not None and mine < theirs)
        return -1 if less == (direction == 'asc') else 1
    return 0


#: fields by which tasks are filtered and sorted
TASK_KEYS = ('id', 'type', 'status', 'owner', 'image_id', 'user_id', 'request_id',
             'created_at', 'updated_at', 'expires_at')


@dataclasses.dataclass(frozen=True, slots=True)
class TaskQuery:
    """A page of tasks.

    :param now: tasks that have expired by then are not listed.
    :param owner: the project whose tasks are listed; None for all.
    :param types: types that the tasks may have.
    :param equal: field of ``TASK_KEYS`` -> the value that it must have.
    :param sort: ``(key, 'asc' | 'desc')`` pairs, keys of ``TASK_KEYS``, complete with the
        tie-breaker ``id``.
    :param after: the last task of the previous page.
    :param limit: most tasks on the page; None for all.
    """

    now: datetime.datetime
    owner: str | None = None
    types: tuple[str, ...] = ()
    equal: Mapping[str, object] = dataclasses.field(default_factory=dict)
    sort: tuple[tuple[str, str], ...] = (('created_at', 'desc'), ('id', 'desc'))
    after: Task | None = None
    limit: int | None = None


def task_matches(query: TaskQuery, task: Task) -> bool:
    """Return whether ``task`` is in the listing, on any page.

    Times are compared in whole seconds.
    """
    return (not (task.expires_at is not None and task.expires_at <= query.now)
            and query.owner in (None, task.owner)
            and task.type in query.types
            and all(whole_seconds(getattr(task, name)) == whole_seconds(value)
                    for name, value in query.equal.items()))
