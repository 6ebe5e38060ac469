"""How large a file may be that is read."""

from __future__ import annotations

from echo_index.indexer.storage.safe_open import MEGABYTE

FILE_BYTES = 64 * MEGABYTE
"""Of a document."""
ARCHIVE_BYTES = 1024 * MEGABYTE
"""Of an archive."""
