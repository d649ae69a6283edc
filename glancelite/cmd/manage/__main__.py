"""Runs ``glancelite-manage`` with ``python -m glancelite.cmd.manage``."""

import sys

from glancelite.cmd.manage import main

if __name__ == '__main__':
    sys.exit(main())
