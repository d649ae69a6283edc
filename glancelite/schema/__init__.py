"""One field table per resource: validation, documents, filters, sort keys."""
