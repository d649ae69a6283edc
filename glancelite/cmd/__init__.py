"""Programs: what an operator starts."""
