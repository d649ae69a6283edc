"""The fixed limits of the configuration file."""

from __future__ import annotations

import re
from typing import Any

from oslo_config import cfg

from glancelite import contract

UNITS = {'': 1, 'B': 1, 'KB': 1 << 10, 'MB': 1 << 20, 'GB': 1 << 30, 'TB': 1 << 40}
#: actions whose bytes are not uploaded, so that ``image_size_cap`` does not apply
LOCATIONS = frozenset({'set_image_location', 'add_image_location'})
#: actions whose answer limits the data
DATA = frozenset({'upload_image', 'stage_image', 'import_image'})


class Limits(contract.QuotaEnforcer):
    """Counts per image, the size of an image, and the bytes of a project.

    The bytes of a project are exact without a lock: each upload first records its
    reservation and then checks the quota, so of two concurrent uploads at least the later
    check sees both reservations.  Both may be refused where one alone would fit; both are
    never accepted where only one fits.  An upload of unknown size may use what remains at
    that moment, and checks again when the size is known.
    """

    SECTION = 'DEFAULT'
    OPTS = (
        cfg.IntOpt('image_property_quota', default=128,
                   help='Maximum number of custom properties of an image; negative for no limit.'),
        cfg.IntOpt('image_tag_quota', default=128,
                   help='Maximum number of tags of an image; negative for no limit.'),
        cfg.IntOpt('image_member_quota', default=128,
                   help='Maximum number of members of an image; negative for no limit.'),
        cfg.IntOpt('image_location_quota', default=10,
                   help='Maximum number of locations of an image; negative for no limit.'),
        cfg.IntOpt('image_size_cap', default=1 << 40, min=1, max=1 << 63,
                   help='Maximum size of an uploaded image in bytes.'),
        cfg.StrOpt('user_storage_quota', default='0',
                   help='Maximum size of all images of a project, with one of the units B, KB, '
                        'MB, GB, TB (powers of 1024); 0 for no limit.'),
    )

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        self._storage = _bytes(options.user_storage_quota)
        self._counts = (
            ('properties', 'image properties', options.image_property_quota),
            ('tags', 'image tags', options.image_tag_quota),
            ('members', 'image members', options.image_member_quota),
            ('locations', 'image locations', options.image_location_quota),
        )

    def check(self, ctx: contract.Context, request: contract.QuotaRequest) -> int | None:
        for field, what, limit in self._counts:
            attempted = getattr(request, field)
            if attempted is not None and attempted > limit >= 0:
                raise contract.QuotaExceeded(
                    f'The limit has been exceeded on the number of allowed {what}. '
                    f'Attempted: {attempted}, Maximum: {limit}',
                    what=field, attempted=attempted, limit=limit)
        if request.action in DATA or request.bytes is not None:
            return self._available_bytes(request)
        return None

    def _available_bytes(self, request: contract.QuotaRequest) -> int:
        """Return how many bytes this upload may have in total."""
        cap = self.options.image_size_cap
        if request.bytes is not None and request.bytes > cap and request.action not in LOCATIONS:
            raise contract.QuotaExceeded(
                f'The size of the image, {request.bytes} bytes, exceeds the maximum of {cap} '
                'bytes',
                what='image_size_cap', attempted=request.bytes, limit=cap)
        if not self._storage or request.project is None:
            return cap
        reserved = request.bytes or 0
        remaining = self._storage - self.host.usage(request.project).bytes + reserved
        if remaining < reserved or (request.bytes is None and remaining <= 0):
            raise contract.QuotaExceeded(
                'The image exceeds the remaining storage quota of the project: '
                f'{max(remaining, 0)} bytes of {self._storage}',
                what='user_storage_quota', limit=self._storage, left=max(remaining, 0))
        return min(cap, remaining)


def _bytes(text: str) -> int:
    match = re.fullmatch(r'\s*(\d+)\s*([KMGT]?B)?\s*', text or '', re.IGNORECASE | re.ASCII)
    if not match:
        raise contract.Misconfigured(
            f'user_storage_quota is {text!r}; it must be a whole number, with or '
            'without one of the units B, KB, MB, GB, TB')
    return int(match[1]) * UNITS[(match[2] or '').upper()]
