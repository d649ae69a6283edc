"""Keys of encrypted volumes that images were made of.  Source: Image API contract, 4.4."""

from __future__ import annotations

from glancelite.contract import Image


def key_to_remove(image: Image) -> str | None:
    """Id of the key that goes when the image is deleted; None if there is none."""
    policy = image.properties.get('cinder_encryption_key_deletion_policy')
    key = image.properties.get('cinder_encryption_key_id')
    return key if key and policy == 'on_image_deletion' else None
