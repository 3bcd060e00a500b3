"""How times look to operators: to the second, and the same everywhere."""
