"""The data of an import on its way into the stores, and its hashes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.services.import_job import ImportJob
from glancelite.services.import_options import ImportOptions
from glancelite.services.layers import Layers
from glancelite.services.recovery import owner_context
from glancelite.services.staged_hashes import StagedHashes, keeps_data
from glancelite.services.stream import Digests, Exact, Unchanged, inspect

#: chunks that wait to be hashed while a part of the staged data is made durable
AHEAD = 16


def source(layers: Layers, job: ImportJob, *, copies: bool) -> Iterator[bytes]:
    """Return the data that is to be stored.

    :param copies: it is in a store already.
    """
    if not copies:
        return job.read_views()
    ctx = job.ctx if job.ctx.token else owner_context(job.image)
    chunks = layers.stores.read(job.image, offset=0, length=job.image.size or 0, ctx=ctx,
                                prefer=[layers.stores.default])
    if chunks is None:
        raise contract.NotFound(f'No store has the data of image {job.image.id}.')
    return chunks


def reported(job: ImportJob, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks, and report progress; end with the job."""
    done, total = 0, job.image.size
    for chunk in chunks:
        job.check()
        yield chunk
        done += len(chunk)
        job.report(done, total)


def inspections(layers: Layers, job: ImportJob, options: ImportOptions, *,
                copies: bool) -> list[contract.Inspection]:
    """Return the inspections of data that is stored."""
    image, ctx = job.image, job.ctx
    if copies:
        return [Unchanged(image)] if image.os_hash_value or image.checksum else []
    found: list[contract.Inspection] = [
        Unchanged(image) if image.os_hash_value else _hashed(job, options)]
    with contextlib.ExitStack() as opened:
        for inspector in layers.inspectors:
            inspection = inspect(inspector, image, ctx)
            if inspection is not None:
                opened.callback(inspection.close)
                found.append(inspection)
        opened.pop_all()
    return found


def _hashed(job: ImportJob, options: ImportOptions) -> contract.Inspection:
    """Return what finds out the hashes, if they are not known already."""
    known = job.hashes
    names = {'size', 'os_hash_algo', 'os_hash_value'} | (
        {'checksum'} if options.md5_checksum else set())
    # a record that is of use otherwise must not end an import
    if (isinstance(known, Mapping) and known.keys() == names
            and known['os_hash_algo'] == options.hashing_algorithm
            and known['size'] == job.staged_size
            and all(isinstance(known[name], str) for name in names - {'size'})):
        return _Known(known)
    return new_digests(options)


class _Known(Exact):
    """Requires data to have the size that it had when it was hashed."""

    def __init__(self, facts: Mapping[str, Any]):
        super().__init__(facts['size'])
        self._facts = facts

    def finish(self) -> Mapping[str, object]:
        return {**self._facts, **super().finish()}


def new_digests(options: ImportOptions, *, ahead: int = 0) -> Digests:
    """Return what hashes data as the options require; ``ahead`` as in ``Digests``."""
    return Digests(options.hashing_algorithm, checksum=options.md5_checksum, ahead=ahead)


def early_hashes(layers: Layers, options: ImportOptions) -> StagedHashes | None:
    """Return what hashes data while it is staged; None if it will be replaced."""
    return StagedHashes(lambda: new_digests(options, ahead=AHEAD)) if keeps_data(layers) else None


def formats(image: contract.Image) -> Mapping[str, object]:
    """Return the attributes of an image for which its data is inspected."""
    return {name: getattr(image, name) for name in ('disk_format', 'container_format')}


def is_left_behind(layers: Layers, job: ImportJob, location: contract.Location) -> bool:
    """Return whether nothing else will discard the data of a location that was not written.

    The database may have written it without an answer, or be about to; then others have found
    the data.  Otherwise the end of this attempt, or the next one, discards it.

    :raises Unavailable: the database does not answer.
    """
    try:
        image = layers.database.images.get(job.image.id, viewer=None)
    except contract.NotFound:
        return True
    return image.attempt != job.image.attempt and not has_url(image, location.url)


def has_url(image: contract.Image, url: str) -> bool:
    return any(location.url == url for location in image.locations)
