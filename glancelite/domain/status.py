"""The statuses of an image: allowed transitions, and the statuses that operations require."""

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

#: operation -> statuses it may start from; other operations accept any live image
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
_WITHOUT_DATA = frozenset({'queued', 'uploading'})
_WITH_DATA = frozenset({'saving', 'importing', 'active'})
_UNKNOWN_SIZE: Mapping[str, object] = MappingProxyType({'size': None, 'virtual_size': None})


def check_operation(operation: str, image: Image) -> None:
    """Check that ``operation`` may start from the status of ``image``.

    ``deactivate`` and ``reactivate`` also start from the status they lead to, and
    then change nothing.

    :param operation: a key of ``STARTS_FROM``.
    :raises Conflict: it may not; ``details`` hold the present ``status``.
    :raises Forbidden: it may not, and is ``deactivate`` or ``reactivate``.

    Source: Image API v2, "Image status transitions".
    """
    if image.status in STARTS_FROM[operation]:
        return
    kind = errors.Forbidden if operation in _ACTIONS else errors.Conflict
    raise kind(f"Image {image.id} has the status '{image.status}'; {operation} requires the "
               f'status {_either(STARTS_FROM[operation])}.', status=image.status)


def transition(image: Image, new: str) -> dict[str, object]:
    """Return the changes that give ``image`` another status.

    :returns: field of ``Image`` -> new value: ``status``, and for ``queued`` also the
        sizes, which become unknown.
    :raises Conflict: ``new`` may not follow the present status; ``details`` hold the
        present ``status``.
    :raises Invalid: the image would receive data, and a format is not set.
    """
    old = image.status
    if new not in TRANSITIONS[old]:
        raise errors.Conflict(f'The status of an image cannot change from {old} to {new}.',
                              status=old)
    if old in _WITHOUT_DATA and new in _WITH_DATA and (missing := _missing_formats(image)):
        raise errors.Invalid(f'{" and ".join(missing)} must be set before image {image.id} '
                             'can receive data.')
    return {'status': new, **(_UNKNOWN_SIZE if new == 'queued' else {})}


def _missing_formats(image: Image) -> tuple[str, ...]:
    """Return the format fields that are not set; an image needs them to receive data."""
    return tuple(name for name in ('disk_format', 'container_format')
                 if getattr(image, name) is None)


def _either(statuses: frozenset[str]) -> str:
    return ' or '.join(sorted(statuses))
