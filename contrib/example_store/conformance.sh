#!/bin/sh
# Runs all conformance suites. The command that lists the leftovers runs twice for each test, so
# Python starts without what it does not need (-S -E).
exec python -m pytest --pyargs glancelite.testing.conformance \
    --layer store --driver sqlite --config conformance.conf \
    --config-broken conformance-broken.conf --large \
    --leftovers 'python -S -E glancelite_sqlite_store/__main__.py "$CONFORMANCE_DIR"/*.sqlite' \
    --root-away 'cd "$CONFORMANCE_DIR" && mkdir away && mv fast.sqlite* away' \
    --root-back 'mv "$CONFORMANCE_DIR"/away/* "$CONFORMANCE_DIR"' \
    --backend "SQLite $(python -c 'import sqlite3; print(sqlite3.sqlite_version)')" \
    --conformance-report conformance.json "$@"
