"""Options of the Image API itself."""

from oslo_config import cfg

from glancelite.api import json_body

OPTS = (
    cfg.URIOpt('public_endpoint', schemes=['http', 'https'],
               help='Base URL in the list of API versions; by default that of the request.'),
    cfg.IntOpt('limit_param_default', default=25, min=1,
               help='Images per page of a list if the request has no limit.'),
    cfg.IntOpt('api_limit_max', default=1000, min=1,
               help='Maximum number of images per page of a list.'),
    cfg.IntOpt('max_json_size', default=json_body.DEFAULT_SIZE, min=1024,
               help='Maximum size of a JSON body in bytes. In a body that is ASCII only, '
                    'escapes count as the bytes that they stand for. The data of images is '
                    'limited by image_size_cap instead.'),
    cfg.BoolOpt('show_image_direct_url', default=False,
                help='Show the URL of the data (direct_url) to all who see the image, so that '
                     'Nova and Cinder can clone it; the policy get_image_location can narrow '
                     'this.'),
    cfg.BoolOpt('show_multiple_locations', default=False,
                help='Show all locations of the data to all who see the image (the policy '
                     'get_image_location can narrow this), and let callers with the policy '
                     'set_image_location change them. These callers can point an image to any '
                     'data in the stores whose URL they know, so grant that policy to users in '
                     'private clouds only.'),
)
