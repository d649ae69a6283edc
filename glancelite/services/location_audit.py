"""Setting right what is recorded of the locations of all images.

Old databases name no stores, or stores that were renamed since, and hold the
passwords of Swift and S3 in URLs.  Reading copes with both; this writes it down.
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
    """What is wrong with one image, in words without secrets; ``done`` if it is right now."""

    image_id: str
    text: str
    done: bool


def repair(layers: Layers, *, write: bool) -> Iterator[Finding]:
    """Look at every image that is not deleted.

    :param write: correct what can be; otherwise only tell of it.
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
    texts = []
    for location in image.locations:
        better, text = _location(layers.stores, location)
        corrected.append(better)
        if text:
            texts.append((text, better != location))
    if not texts:
        return
    done = False
    if write and any(can for _, can in texts):
        try:
            layers.database.images.update(image, {'locations': tuple(corrected)})
            done = True
        except (contract.Conflict, contract.NotFound):
            texts.append(('somebody is changing it; run this again', False))
    for text, can in texts:
        yield Finding(image.id, text, done and can)


def _location(stores: Stores, location: Location) -> tuple[Location, str]:
    """The location as it should be, and what was wrong; '' if nothing."""
    found = stores.find(location)
    if found is None:
        return location, f'no store here has what is at {stores.placed(location).url}'
    texts = []
    better = location
    if stores.multi and location.store != found.name:
        better = dataclasses.replace(better, metadata={**better.metadata, 'store': found.name})
        texts.append(f'the store is {found.name}, not {location.store or "recorded"}')
    bare = stores.placed(location).url
    if bare != location.url:
        try:
            url = found.reader().adopt(location.url)
        except contract.Error:
            url = location.url
        if url != location.url and stores.placed(Location(url)).url == url:
            better = dataclasses.replace(better, url=url)
            texts.append(f'there are secrets in the URL of {url}')
        else:
            texts.append(f'there are secrets in the URL of {bare}, and the store {found.name} '
                         'is not configured to do without')
    return better, '; '.join(texts)
