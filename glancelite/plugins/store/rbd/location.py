"""URLs of images: ``rbd://FSID/POOL/IMAGE/SNAPSHOT``, in the short form ``rbd://IMAGE``."""

from __future__ import annotations

import urllib.parse
from typing import NamedTuple

from glancelite.contract import store_rules

SCHEME = 'rbd'


class Location(NamedTuple):
    """The parts of a URL; the short form has only ``image``."""

    fsid: str | None
    pool: str | None
    image: str
    snapshot: str | None


def parse_url(url: str) -> Location:
    """
    :raises Invalid: the URL has neither form.
    """
    scheme, _, rest = url.partition('://')
    parts = [urllib.parse.unquote(part) for part in rest.split('/')]
    # unprintable names are refused, because librbd reads names only up to the first NUL
    if scheme == SCHEME and all(part and part.isprintable() for part in parts):
        if len(parts) == 4:
            return Location(*parts)
        if len(parts) == 1:
            return Location(None, None, parts[0], None)
    raise store_rules.foreign_url()


def format_url(fsid: str, pool: str, image: str, snapshot: str) -> str:
    parts = (fsid, pool, image, snapshot)
    return f'{SCHEME}://' + '/'.join(urllib.parse.quote(part, safe='') for part in parts)
