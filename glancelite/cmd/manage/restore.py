"""``glancelite-manage restore``: undoes the pending deletion of an image."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from glancelite.cmd.manage.core import service
from glancelite.domain import encryption
from glancelite.services.undelete import undelete


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        'restore', help='Restore a deleted image whose data is still kept (delayed_delete).')
    parser.add_argument('image_id', help='ID of the image.')
    parser.set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    with service(conf) as core:
        image = undelete(core.layers, conf.verb.image_id)
        print(f'{image.id} is {image.status} again')
        if encryption.key_to_delete(image):
            print('its volume was encrypted, and the key was deleted together with the image')
    return 0
