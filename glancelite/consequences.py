"""What the options of an existing Glance ask for and is missing here, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: (section, option) -> what happens here instead; the option '' stands for all of its section
CONSEQUENCES: Mapping[tuple[str, str], str] = {
    ('DEFAULT', 'image_cache_dir'): 'images are not cached here',
    ('DEFAULT', 'transport_url'): 'no event is sent to a message bus here; [layers] notifier = '
                                  'log writes events to the log',
    ('oslo_messaging_notifications', 'driver'): 'no event is sent to a message bus here; '
                                                '[layers] notifier = log writes events to the log',
}
#: (section, option) -> values that ask for nothing
NOTHING = {
    ('DEFAULT', 'image_cache_dir'): ('',), ('DEFAULT', 'transport_url'): ('',),
    ('oslo_messaging_notifications', 'driver'): ('', 'noop'),
}


def of_option(section: str, name: str, values: Sequence[str]) -> str | None:
    """What is missing because of an option that no code reads; None for other options."""
    text = CONSEQUENCES.get((section, name)) or CONSEQUENCES.get((section, ''))
    given = {value.strip() for value in values}
    return None if given <= set(NOTHING.get((section, name), ())) else text


def of_flavor(flavor: str | None) -> str | None:
    """What is missing because of ``[paste_deploy] flavor``."""
    if not flavor or 'cach' not in flavor:
        return None
    return ('images are not cached here, and the requests that manage a cache answer 404'
            if 'management' in flavor else 'images are not cached here')
