"""The web page, one file a tab. Shows and asks; the work is done in the rooms below and in the modules of app."""

__all__: list[str] = []
