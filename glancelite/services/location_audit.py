"""Checks and corrects the locations of all images.

Old databases lack the names of stores, or have names of stores that were renamed since, and
have passwords in URLs.  Reads handle both; this corrects the records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from glancelite import contract
from glancelite.contract import Image, ImageQuery, Location, Viewer
from glancelite.services.layers import Layers
from glancelite.services.stores import Stores

PAGE = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one image, without secrets; ``corrected`` is True if it was corrected."""

    image_id: str
    text: str
    corrected: bool


def audit(layers: Layers, *, write: bool) -> Iterator[Finding]:
    """Check every image that is not deleted.

    :param write: correct what can be corrected.
    """
    for hidden in (False, True):
        query = ImageQuery(Viewer(is_admin=True), visibility='all', hidden=hidden, limit=PAGE,
                           sort=(('created_at', 'asc'), ('id', 'asc')))
        more = True
        while more:
            page = layers.database.images.list(query)
            for image in page.items:
                yield from _image(layers, image, write=write)
            more = page.more and bool(page.items)
            if more:
                query = dataclasses.replace(query, after=page.items[-1])


def _image(layers: Layers, image: Image, *, write: bool) -> Iterator[Finding]:
    corrected = []
    faults = []
    for location in image.locations:
        better, text = _location(layers.stores, location)
        corrected.append(better)
        if text:
            faults.append((text, better != location))
    if not faults:
        return
    written = False
    if write and any(correctable for _, correctable in faults):
        try:
            layers.database.images.update(image, {'locations': tuple(corrected)})
            written = True
        except (contract.Conflict, contract.NotFound):
            faults.append(('the image was changed meanwhile; run this again', False))
    for text, correctable in faults:
        yield Finding(image.id, text, written and correctable)


def _location(stores: Stores, location: Location) -> tuple[Location, str]:
    """Return the correct location and the fault, '' if there is none."""
    store = stores.find(location)
    if store is None:
        return location, f'no configured store has {stores.redact(location)}'
    texts = []
    better = location
    if stores.multi and location.store != store.name:
        better = dataclasses.replace(better, metadata={**better.metadata, 'store': store.name})
        recorded = f'names the store {location.store}' if location.store else 'names no store'
        texts.append(f'{recorded}; it is in {store.name}')
    redacted = stores.redact(location)
    if redacted != location.url:
        try:
            url = store.adopt(location.url)
        except contract.Error:
            url = location.url
        if url != location.url and stores.redact(Location(url)) == url:
            better = dataclasses.replace(better, url=url)
            texts.append(f'there are secrets in the URL of {url}')
        else:
            texts.append(f'there are secrets in the URL of {redacted}, and the store '
                         f'{store.name} is not configured to read it without them')
    return better, '; '.join(texts)
