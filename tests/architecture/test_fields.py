"""The table of fields and the class ``Image`` describe the same image."""

from glancelite.contract import values
from glancelite.schema import image


def test_every_field_of_an_image_is_shown_or_named_internal():
    shown = {field.source for field in image.FIELDS} - {None}

    assert shown.isdisjoint(image.INTERNAL)
    assert shown | {image.CUSTOM} | set(image.INTERNAL) == set(values.IMAGE_FIELDS)
