"""A node group as a part of a larger run: its datasets, their versions, and the hooks that provide them."""
