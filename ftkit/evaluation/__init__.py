"""A model and a split -> predictions -> scores -> comparison with the base."""
