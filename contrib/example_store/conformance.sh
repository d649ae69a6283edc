#!/bin/sh
# The one command that proves the store, with nothing left out.
exec python -m pytest --pyargs glancelite.testing.conformance \
    --layer store --driver sqlite --config conformance.conf \
    --config-broken conformance-broken.conf --large \
    --leftovers 'python -m glancelite_sqlite_store "$CONFORMANCE_DIR"/*.sqlite' \
    --backend "SQLite $(python -c 'import sqlite3; print(sqlite3.sqlite_version)')" \
    --conformance-report conformance.json "$@"
