"""The configuration of the embedded service, which keeps all its state in one directory."""

from __future__ import annotations

import os
import pathlib

TEMPLATE = """\
# Written by glancelite at every start without a configuration file.
# To change it, copy it elsewhere and pass the copy with --config-file.

[DEFAULT]
bind_host = 127.0.0.1
enabled_backends = file:file

[glance_store]
default_backend = file

[file]
store_description = Files on this machine
filesystem_store_datadir = {state}/images

[os_glance_staging_store]
filesystem_store_datadir = {state}/staging

[task]
work_dir = {state}/work

[database]
connection = sqlite:///{state}/glancelite.sqlite

[layers]
auth = noauth
key_manager = none
sync_database = true
"""


def state_directory() -> pathlib.Path:
    """Directory of everything that the embedded service stores.

    Source: XDG Base Directory Specification, ``$XDG_STATE_HOME``.
    """
    base = os.environ.get('XDG_STATE_HOME') or os.path.expanduser('~/.local/state')
    return pathlib.Path(base) / 'glancelite'


def configuration() -> pathlib.Path:
    """Write the configuration of the embedded service; returns its path."""
    state = state_directory()
    for name in 'images', 'staging':    # other users of the machine must not read the data
        (state / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state / 'embedded.conf'
    partial = path.with_suffix(f'.{os.getpid()}')
    partial.write_text(TEMPLATE.format(state=state))
    partial.rename(path)
    return path
