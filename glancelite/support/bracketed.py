"""Lists of the configuration that Glance wants in brackets."""

from __future__ import annotations

from typing import Any

from oslo_config import types


class BracketedList(types.List):
    """The type of an option: a list with or without brackets around it, and quotes in it."""

    def __call__(self, value: object) -> Any:
        if isinstance(value, str) and (text := value.strip())[:1] + text[-1:] == '[]':
            value = text[1:-1]
        return [item[1:-1] if isinstance(item, str) and item[:1] in ('"', "'")
                and item[1:].endswith(item[0]) else item for item in super().__call__(value)]
