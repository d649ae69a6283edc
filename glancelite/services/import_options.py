"""The options of the use cases that run imports."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of imports.

    :ivar max_parallel_stores: stores that are written from one read of the data; 0 for all.
    :ivar retries: tries without progress, after a backend did not answer.
    :ivar retry_pause: seconds before the second try; each later pause is twice as long.
    :ivar longest_pause: seconds of the longest pause.
    :ivar staged_time: seconds after which staged data that was not imported is discarded.
    :ivar work_dir: where steps may have files.
    """

    hashing_algorithm: str = 'sha512'
    md5_checksum: bool = True
    max_parallel_stores: int = 0
    retries: int = 10
    retry_pause: float = 1.0
    longest_pause: float = 60.0
    staged_time: float = 86400.0
    work_dir: str | None = None

    def pause(self, tries: int) -> float:
        """Return the seconds to wait after so many tries that have failed."""
        # with a bound, as a thousand tries would be too many for a float
        return min(self.retry_pause * 2 ** min(tries - 1, 60), self.longest_pause)
