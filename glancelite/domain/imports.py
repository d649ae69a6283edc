"""The properties in which an image shows its import, and the rules of their changes.

``os_glance_import_task`` is the lock: it holds the id of the task that may change the data of
the image.  The lists of stores stay on the image, possibly empty, since clients poll for that.

Source: Image API contract, interoperable import.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

LOCK = 'os_glance_import_task'
TO_STORES = 'os_glance_importing_to_stores'
FAILED = 'os_glance_failed_import'
#: where the staged data is; never shown
STAGED = 'os_glance_staged'
#: which node of Glance has a file with the staged data; never shown
STAGE_HOST = 'os_glance_stage_host'

#: in the journal of a task whose secrets were removed
_FORGOTTEN = 'forgotten'

#: the most characters of a reason for users
REASON_LIMIT = 1000

Properties = Mapping[str, str]


def lock_of(properties: Properties) -> str | None:
    """Return the id of the task that has locked the image; None if there is none."""
    return properties.get(LOCK)


def locked(properties: Properties, task_id: str) -> dict[str, str]:
    """Return the properties with the lock of a task."""
    return {**properties, LOCK: task_id}


def unlocked(properties: Properties) -> dict[str, str]:
    """Return the properties without a lock."""
    return _except(properties, LOCK)


def stores_in(properties: Properties, name: str) -> list[str]:
    """Return the names of stores in one of the two lists."""
    return [store for store in properties.get(name, '').split(',') if store]


def begun(properties: Properties, stores: Iterable[str]) -> dict[str, str]:
    """Return the properties when an import into these stores begins."""
    stores = list(stores)
    failed = [store for store in stores_in(properties, FAILED) if store not in stores]
    return {**properties, TO_STORES: ','.join(stores), FAILED: ','.join(failed)}


def stored(properties: Properties, store: str) -> dict[str, str]:
    """Return the properties when a store has got the data."""
    return {**properties, TO_STORES: _without(properties, store)}


def failed(properties: Properties, stores: Iterable[str]) -> dict[str, str]:
    """Return the properties when these stores will not get the data."""
    names = stores_in(properties, FAILED)
    for store in stores:
        properties = {**properties, TO_STORES: _without(properties, store)}
        if store not in names:
            names.append(store)
    return {**properties, FAILED: ','.join(names)}


def _except(properties: Properties, removed: str) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name != removed}


def _without(properties: Properties, store: str) -> str:
    return ','.join(name for name in stores_in(properties, TO_STORES) if name != store)


def has_begun(properties: Properties) -> bool:
    """Return whether an import of the image has begun, now or before."""
    return TO_STORES in properties


def with_staged(properties: Properties, staged: Mapping[str, object]) -> dict[str, str]:
    """Return the properties with where the staged data is (JSON-ready)."""
    return {**properties, STAGED: json.dumps(staged)}


def with_leftovers(properties: Properties) -> dict[str, str]:
    """Return the properties of an image whose import has left data in stores.

    The staged data stays when the recovery has discarded that.
    """
    return with_staged(properties, {**(staged_of(properties) or {}), 'leftovers': True})


def adopted(properties: Properties, staged: Mapping[str, object]) -> dict[str, str]:
    """Return the properties of an image whose data Glance has staged."""
    return _except(with_staged(properties, staged), STAGE_HOST)


def without_staged(properties: Properties) -> dict[str, str]:
    """Return the properties of an image without staged data."""
    return _except(properties, STAGED)


def staged_of(properties: Properties) -> Mapping[str, object] | None:
    """Return where the staged data is; None if there is none.

    With a ``pending`` part the data is not complete.
    """
    try:
        found = json.loads(properties.get(STAGED, 'null'))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def is_staged(properties: Properties) -> bool:
    """Return whether all of the data was staged, and is not just being discarded."""
    staged = staged_of(properties)
    return staged is not None and not (staged.get('pending') or staged.get('abandoned'))


def reason_for_users(error: BaseException) -> str:
    """Return the text of an error of the contract as a message of a task."""
    text = ' '.join(str(error).split())[:REASON_LIMIT]
    # it may have a part of the data, such as what controls a terminal
    return ''.join(each if each.isprintable() else '?' for each in text) or type(error).__name__


def missing(wanted: Iterable[str], present: Iterable[str]) -> Sequence[str]:
    """Return those stores that are not present, in their order."""
    found = set(present)
    return [store for store in wanted if store not in found]


def without_secrets(journal: Mapping[str, Any],
                    secrets: Collection[str] | None) -> Mapping[str, Any] | None:
    """Return the journal of a task without the secrets of its request; None if it has none.

    The task cannot be tried again then: see ``has_forgotten``.

    :param secrets: names of arguments; None if it is not known which are secret.
    """
    arguments = journal.get('arguments') or {}
    kept = {name: value for name, value in arguments.items()
            if secrets is not None and name not in secrets}
    if len(kept) == len(arguments):
        return None
    return {**journal, 'arguments': kept, _FORGOTTEN: True}


def has_forgotten(journal: Mapping[str, Any]) -> bool:
    """Return whether secrets of the request are missing in the journal of a task."""
    return bool(journal.get(_FORGOTTEN))
