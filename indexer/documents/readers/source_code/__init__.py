"""Source code: where its classes and functions stand, by the grammar of its language."""
