"""Runs ``glancelite-manage`` with ``python -m glancelite.cmd.manage``."""

from glancelite.cmd.manage import main

if __name__ == '__main__':
    main()
