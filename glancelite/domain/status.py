"""Which status may follow which, and in which statuses an image may be worked on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from glancelite.contract import errors
from glancelite.contract.values import Image

#: status -> statuses that may follow it
TRANSITIONS: Mapping[str, frozenset[str]] = MappingProxyType({
    'queued': frozenset({'saving', 'uploading', 'importing', 'active', 'deleted'}),
    'saving': frozenset({'active', 'killed', 'deleted', 'queued'}),
    'uploading': frozenset({'importing', 'queued', 'deleted'}),
    'importing': frozenset({'active', 'queued', 'deleted'}),
    'active': frozenset({'deactivated', 'pending_delete', 'deleted'}),
    'deactivated': frozenset({'active', 'deleted'}),
    'killed': frozenset({'deleted'}),
    'pending_delete': frozenset({'deleted', 'active'}),
    'deleted': frozenset(),
})

LIVE = frozenset(TRANSITIONS) - {'deleted', 'pending_delete'}

#: operation -> statuses it may start from; what is not listed may be done to any live image
STARTS_FROM: Mapping[str, frozenset[str]] = MappingProxyType({
    'upload': frozenset({'queued'}),
    'stage': frozenset({'queued'}),
    'glance-direct': frozenset({'uploading'}),
    'web-download': frozenset({'queued'}),
    'glance-download': frozenset({'queued'}),
    'copy-image': frozenset({'active'}),
    'add_location': frozenset({'queued'}),
    'set_locations': frozenset({'queued', 'active'}),
    'remove_location': frozenset({'active'}),
    'delete_copy': frozenset({'active'}),
    'deactivate': frozenset({'active', 'deactivated'}),
    'reactivate': frozenset({'active', 'deactivated'}),
})

_ACTIONS = frozenset({'deactivate', 'reactivate'})
_BEFORE_DATA = frozenset({'queued', 'uploading'})
_DATA = frozenset({'saving', 'importing', 'active'})
_UNKNOWN_SIZE: Mapping[str, object] = MappingProxyType({'size': None, 'virtual_size': None})


def require(operation: str, image: Image) -> None:
    """Is ``image`` in a status from which ``operation`` starts?

    ``deactivate`` and ``reactivate`` also start from the status they lead to;
    there they change nothing.

    :param operation: a key of ``STARTS_FROM``.
    :raises Conflict: it is not; ``details`` hold its ``status``.
    :raises Forbidden: it is not, and the operation is an action.

    Source: Image API v2, "Image status transitions".
    """
    if image.status in STARTS_FROM[operation]:
        return
    kind = errors.Forbidden if operation in _ACTIONS else errors.Conflict
    raise kind(f"Image {image.id} has the status '{image.status}'; {operation} needs an image "
               f'that is {_either(STARTS_FROM[operation])}.', status=image.status)


def check(old: str, new: str) -> None:
    """May ``new`` follow ``old``?

    :raises Conflict: it may not; ``details`` hold the present ``status``.
    """
    if new not in TRANSITIONS[old]:
        raise errors.Conflict(f'An image that is {old} cannot become {new}.', status=old)


def move(image: Image, new: str) -> dict[str, object]:
    """The changes that bring ``image`` into another status.

    :returns: field of ``Image`` -> new value: ``status``, and in ``queued``
        the sizes, which are unknown again.
    :raises Conflict: ``new`` may not follow the present status.
    :raises Invalid: data are to come and a format is not set.
    """
    check(image.status, new)
    if image.status in _BEFORE_DATA and new in _DATA and (missing := missing_formats(image)):
        raise errors.Invalid(f'{" and ".join(missing)} must be set before image {image.id} '
                             'can get data.')
    return {'status': new, **(_UNKNOWN_SIZE if new == 'queued' else {})}


def missing_formats(image: Image) -> tuple[str, ...]:
    """Names of the format fields that are unset; without them an image takes no data."""
    return tuple(name for name in ('disk_format', 'container_format')
                 if getattr(image, name) is None)


def _either(statuses: frozenset[str]) -> str:
    return ' or '.join(sorted(statuses))
