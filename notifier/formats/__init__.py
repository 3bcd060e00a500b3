"""Show times to operators in one format everywhere, to the second."""
