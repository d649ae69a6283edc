"""The domain controller: use cases that call the blocks in plain order."""
