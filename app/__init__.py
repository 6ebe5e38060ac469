"""The command line. Knows how to ask and how to print; the work is done in the rooms below."""

__all__: list[str] = []
