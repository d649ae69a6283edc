"""Keys of encrypted volumes that images were made from.  Source: Image API contract, 4.4."""

from __future__ import annotations

from glancelite.contract import Image


def key_to_delete(image: Image) -> str | None:
    """Return the id of the key that is deleted with the image; None if there is none."""
    policy = image.properties.get('cinder_encryption_key_deletion_policy')
    key = image.properties.get('cinder_encryption_key_id')
    return key if key and policy == 'on_image_deletion' else None
