"""The fixed limits of the configuration file."""

import re

from oslo_config import cfg

from glancelite import contract

UNITS = {'': 1, 'B': 1, 'KB': 1 << 10, 'MB': 1 << 20, 'GB': 1 << 30, 'TB': 1 << 40}
#: actions whose bytes are no upload, so that ``image_size_cap`` is not about them
LOCATIONS = frozenset({'set_image_location', 'add_image_location'})


class Limits(contract.QuotaEnforcer):
    """Counts per image, the size of an image, and the bytes of a project.

    The bytes of a project are exact although nothing is locked: each upload
    first writes what it promises and asks afterwards, so of two that race at
    least the later one to ask sees both.  Together they may be refused where
    one alone would have had room; they never pass together where only one
    has.  An upload of unknown size may take what is left at that moment, and
    asks again when it knows.
    """

    SECTION = 'DEFAULT'
    OPTS = (
        cfg.IntOpt('image_property_quota', default=128,
                   help='Most custom properties of one image; negative for any number.'),
        cfg.IntOpt('image_tag_quota', default=128,
                   help='Most tags of one image; negative for any number.'),
        cfg.IntOpt('image_member_quota', default=128,
                   help='Most projects that one image is shared with; negative for any number.'),
        cfg.IntOpt('image_location_quota', default=10,
                   help='Most locations of one image; negative for any number.'),
        cfg.IntOpt('image_size_cap', default=1 << 40, min=1, max=1 << 63,
                   help='Most bytes of one uploaded image.'),
        cfg.StrOpt('user_storage_quota', default='0',
                   help='Most bytes that the images of one project may hold, with one of the '
                        'units B, KB, MB, GB, TB (powers of 1024); 0 for any amount.'),
    )

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._storage = _bytes(options.user_storage_quota)
        self._counts = (
            ('properties', 'image properties', options.image_property_quota),
            ('tags', 'image tags', options.image_tag_quota),
            ('members', 'image members', options.image_member_quota),
            ('locations', 'image locations', options.image_location_quota),
        )

    def check(self, ctx, request):
        for field, what, limit in self._counts:
            wanted = getattr(request, field)
            if wanted is not None and wanted > limit >= 0:
                raise contract.QuotaExceeded(
                    f'The limit has been exceeded on the number of allowed {what}. '
                    f'Attempted: {wanted}, Maximum: {limit}',
                    what=field, attempted=wanted, limit=limit)
        if request.action == 'upload_image' or request.bytes is not None:
            return self._room(request)
        return None

    def _room(self, request):
        """The most bytes this upload may have in all."""
        cap = self.options.image_size_cap
        if request.bytes is not None and request.bytes > cap and request.action not in LOCATIONS:
            raise contract.QuotaExceeded(
                f'The size of the image, {request.bytes} bytes, exceeds the maximum of {cap} '
                'bytes',
                what='image_size_cap', attempted=request.bytes, limit=cap)
        if not self._storage or request.project is None:
            return cap
        promised = request.bytes or 0
        left = self._storage - self.host.usage(request.project).bytes + promised
        if left < promised or (request.bytes is None and left <= 0):
            raise contract.QuotaExceeded(
                'The image exceeds what is left of the storage quota of the project: '
                f'{max(left, 0)} bytes of {self._storage}',
                what='user_storage_quota', limit=self._storage, left=max(left, 0))
        return min(cap, left)


def _bytes(text):
    found = re.fullmatch(r'\s*(\d+)\s*([KMGT]?B)?\s*', text or '', re.IGNORECASE | re.ASCII)
    if not found:
        raise contract.Misconfigured(
            f'user_storage_quota is {text!r}; it must be a whole number, followed by '
            'nothing or by one of B, KB, MB, GB, TB')
    return int(found[1]) * UNITS[(found[2] or '').upper()]
