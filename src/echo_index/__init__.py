"""Local search and question answering over your own documents, with echo embeddings (arXiv 2402.15449).

`__init__.pyi` lists the public names. Each is imported at first use, because torch takes a second to load and not every
program needs it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
