"""Which configuration files and directories are read."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

from oslo_config import cfg


def default_files() -> list[str]:
    """Configuration files of this machine, later ones take precedence; often none.

    The project's own file or, if there is none, those of Glance.
    """
    own = pathlib.Path(os.environ.get('GLANCELITE_CONFIG_DIR', '/etc/glancelite'))
    glance = pathlib.Path(os.environ.get('OS_GLANCE_CONFIG_DIR', '/etc/glance'))
    for folder, names in ((own, ['glancelite-api.conf']),
                          (glance, ['glance-image-import.conf', 'glance-api.conf'])):
        existing = [str(folder / name) for name in names if (folder / name).is_file()]
        if existing and existing[-1].endswith('-api.conf'):
            return existing
    return []


def directories(conf: cfg.ConfigOpts) -> list[str]:
    """The directories of ``--config-dir``, or the default one if it exists."""
    # config_dirs: all of the command line; config_dir: its last one, or the default
    return list(dict.fromkeys((*conf.config_dirs, *(conf.config_dir or ()))))


def files(conf: cfg.ConfigOpts) -> Iterator[str]:
    """All files that ``conf`` was read from."""
    yield from conf.config_file or ()
    for directory in directories(conf):
        yield from sorted(map(str, pathlib.Path(directory).glob('*.conf')))
