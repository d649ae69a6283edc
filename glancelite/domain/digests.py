"""Rules for the hashes that users give for data that they have put into a store themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glancelite.contract import errors
from glancelite.contract.digests import parse_hash
from glancelite.contract.values import Image

HASH_FIELDS = ('checksum', 'os_hash_algo', 'os_hash_value')


def new_hashes(image: Image, validation_data: Sequence[Mapping[str, str]],
               algorithm: str) -> dict[str, str]:
    """Return the values from the ``validation_data`` of locations that the image lacks.

    :param algorithm: the hash algorithm of this service.
    :raises Conflict: the values contradict each other or the image, are not hashes of
        the algorithm, or are new while the image is not ``queued``.

    Source: Image API v2, "Update image", validation data.
    """
    given: dict[str, str] = {}
    for data in validation_data:
        for name, value in data.items():
            if given.setdefault(name, value) != value:
                raise errors.Conflict(f'Conflicting values for {name}')
    new = {}
    for name, value in given.items():
        present = getattr(image, name)
        if present and value != present:
            raise errors.Conflict(f'{name} is already set with a different value')
        if not present:
            new[name] = value
    if not new:
        return {}
    if image.status != 'queued':
        raise errors.Conflict(f'New value(s) for {", ".join(new)} may only be provided when '
                              "image status is 'queued'")
    if new.get('os_hash_algo') != algorithm:
        raise errors.Conflict(f'os_hash_algo must be {algorithm}, not '
                              f'{new.get("os_hash_algo")}')
    try:
        if 'checksum' in new:
            new['checksum'] = parse_hash('md5', new['checksum'], 'checksum')
        new['os_hash_value'] = parse_hash(algorithm, new.get('os_hash_value', ''))
    except errors.Invalid as error:
        raise errors.Conflict(str(error)) from None
    return new
