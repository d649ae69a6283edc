"""The attributes of members: the projects with which an image is shared."""

from glancelite.contract import values
from glancelite.schema.fields import UUID, Field, Resource

FIELDS = (
    Field('member_id', description='The project that the image is shared with.', value='member'),
    Field('image_id', description='The image that is shared.', rules={'pattern': UUID}),
    Field('created_at', description='When the image was shared.'),
    Field('updated_at', description='When the membership was last changed.'),
    Field('status', description='Whether the project has accepted the image.',
          enum=values.MEMBER_STATUSES),
    Field('schema', read_only=True, value=None),
)

RESOURCE = Resource('member', FIELDS)
