"""Translates errors of the operating system."""

from __future__ import annotations

import errno
import logging

from glancelite import contract
from glancelite.plugins.store.file.watchdog import DirectoryTimeout

LOG = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR,
            errno.ENAMETOOLONG}


def translate_error(store: str, error: OSError) -> contract.Error:
    """Translate an error of a write, and log its details.

    :param store: the name of the store, for the log.
    """
    if not isinstance(error, DirectoryTimeout):     # the watchdog has logged it
        LOG.error('store %s: %s', store, error)
    if error.errno in _FULL:
        return contract.TooLarge('The store is full.')
    return contract.Unavailable('The store cannot be used now.')


def is_missing(error: OSError) -> bool:
    """Return whether the error means that there is no such file."""
    return error.errno in _MISSING


def translate_delete_error(store: str, error: OSError, path: str) -> contract.Error:
    """Translate an error of the deletion of ``path``."""
    if isinstance(error, DirectoryTimeout):
        return translate_error(store, error)
    LOG.error('store %s: cannot delete %s: %s', store, path, error.strerror)
    if error.errno in _FORBIDDEN:
        return contract.Forbidden('The store does not allow the deletion of the data.')
    return contract.Unavailable('The data cannot be deleted now.')


def not_our_file(store: str, path: str) -> contract.Forbidden:
    """The error for the deletion of a link, a pipe or a directory in the place of data."""
    LOG.error('store %s: %s is not a file of this service and stays', store, path)
    return contract.Forbidden('What is in the place of the data does not belong to the service, '
                              'and is not deleted.')
