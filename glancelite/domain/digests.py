"""What users say of the hashes of data that they have put into a store themselves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from glancelite.contract import errors
from glancelite.contract.values import Image

#: names that ``os_hash_algo`` may have where a user gives it
ALGORITHMS = ('sha1', 'sha256', 'sha512', 'md5')
HASHES = ('checksum', 'os_hash_algo', 'os_hash_value')
_HEX = re.compile('(?:[0-9A-Fa-f]{2})*')


def check(algorithm: str, value: str, name: str = 'os_hash_value') -> str:
    """A hash value that a user gives, as it is kept.

    :raises Invalid: it is none of this algorithm.

    Source: Image API v2, "Add location".
    """
    if _HEX.fullmatch(value) is None:
        raise errors.Invalid(f'{name} ({value}) is not a valid hexadecimal value')
    wanted = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(value) != 2 * wanted:
        raise errors.Invalid(f'{name}: ({value}) is not the correct size for '
                             f'({algorithm}) (should be ({wanted}) bytes)')
    return value.lower()


def news(image: Image, given: Sequence[Mapping[str, str]], algorithm: str) -> dict[str, str]:
    """What the ``validation_data`` of locations says that the image does not know yet.

    :param algorithm: the one of this service.
    :raises Conflict: they contradict each other or the image, or come too late, or
        are no hashes.

    Source: Image API v2, "Update image", validation data.
    """
    said: dict[str, str] = {}
    for each in given:
        for name, value in each.items():
            if said.setdefault(name, value) != value:
                raise errors.Conflict(f'Conflicting values for {name}')
    found = {}
    for name, value in said.items():
        known = getattr(image, name)
        if known and value != known:
            raise errors.Conflict(f'{name} is already set with a different value')
        if not known:
            found[name] = value
    if not found:
        return {}
    if image.status != 'queued':
        raise errors.Conflict(f'New value(s) for {", ".join(found)} may only be provided when '
                              "image status is 'queued'")
    if found.get('os_hash_algo') != algorithm:
        raise errors.Conflict(f'os_hash_algo must be {algorithm}, not '
                              f'{found.get("os_hash_algo")}')
    try:
        if 'checksum' in found:
            found['checksum'] = check('md5', found['checksum'], 'checksum')
        found['os_hash_value'] = check(algorithm, found.get('os_hash_value', ''))
    except errors.Invalid as error:
        raise errors.Conflict(str(error)) from None
    return found
