"""All use cases of the service, wired together."""

from __future__ import annotations

import dataclasses
import functools

from glancelite.services.discovery import Discovery
from glancelite.services.download import Downloads
from glancelite.services.hashing import Hashing
from glancelite.services.images import Images
from glancelite.services.import_data import new_digests
from glancelite.services.import_options import ImportOptions
from glancelite.services.importing import Importing
from glancelite.services.imports import Imports
from glancelite.services.layers import Layers
from glancelite.services.locations import Locations
from glancelite.services.members import Members
from glancelite.services.metadefs import (
    Namespaces,
    Objects,
    Properties,
    ResourceTypes,
)
from glancelite.services.metadefs import Tags as MetadefTags
from glancelite.services.recovery import Recovery
from glancelite.services.stage import Stages
from glancelite.services.tags import Tags
from glancelite.services.task_import import METHOD, TaskImport
from glancelite.services.tasks import Tasks
from glancelite.services.upload import Uploads
from glancelite.services.work import Work


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """The options of the use cases, with the names and defaults of the configuration."""

    hashing_algorithm: str = 'sha512'
    md5_checksum: bool = True
    verify_downloads: bool = False
    show_multiple_locations: bool = False
    do_secure_hash: bool = True
    http_retries: int = 3
    imports: ImportOptions = dataclasses.field(default_factory=ImportOptions)
    task_lease: float = 30
    task_time_to_live: float = 48
    abandon_after: float = 3600


@dataclasses.dataclass(frozen=True, slots=True)
class UseCases:
    """What the API can do, and the recovery of what was interrupted."""

    images: Images
    uploads: Uploads
    downloads: Downloads
    members: Members
    tags: Tags
    locations: Locations
    discovery: Discovery
    recovery: Recovery
    stages: Stages
    imports: Imports
    importing: Importing
    tasks: Tasks
    work: Work
    metadef_namespaces: Namespaces
    metadef_objects: Objects
    metadef_properties: Properties
    metadef_tags: MetadefTags
    metadef_resource_types: ResourceTypes

    @classmethod
    def build(cls, layers: Layers, options: Options | None = None) -> UseCases:
        """Build all use cases on the same layers; call ``close`` in the end."""
        options = options or Options()
        algorithm, checksum = options.hashing_algorithm, options.md5_checksum
        recovery = Recovery(layers)
        work = Work(layers, lease=options.task_lease, time_to_live=options.task_time_to_live)
        stages = Stages(layers, recovery, staged_time=options.imports.staged_time,
                        abandon_after=options.abandon_after,
                        new_digests=functools.partial(new_digests, options.imports))
        recovery.register_chore(work.purge)
        recovery.register_chore(work.end_cancelled)
        recovery.register_chore(lambda: work.abandon(options.abandon_after))
        importing = Importing(layers, work, options.imports)
        images = Images(layers, recovery, stages, work, hashing_algorithm=algorithm,
                        patches_locations=options.show_multiple_locations)
        hashing = Hashing(layers.stores, tries=options.http_retries, checksum=checksum)
        return cls(
            images=images,
            uploads=Uploads(layers, recovery, hashing_algorithm=algorithm, checksum=checksum),
            downloads=Downloads(layers, verify=options.verify_downloads),
            members=Members(layers),
            tags=Tags(layers, images),
            locations=Locations(layers, recovery, images, hashing=hashing,
                                hashing_algorithm=algorithm, secure_hash=options.do_secure_hash),
            discovery=Discovery(layers),
            recovery=recovery,
            stages=stages,
            imports=Imports(layers, work, work_dir=options.imports.work_dir),
            importing=importing,
            tasks=Tasks(layers, work, TaskImport(
                layers, work, images, importing, layers.importers.get(METHOD))),
            work=work,
            metadef_namespaces=Namespaces(layers),
            metadef_objects=Objects(layers),
            metadef_properties=Properties(layers),
            metadef_tags=MetadefTags(layers),
            metadef_resource_types=ResourceTypes(layers))

    def close(self) -> None:
        """Stop the recovery and the work in the background."""
        self.work.close()
        self.recovery.close()
        self.locations.close()
