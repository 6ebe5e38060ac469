"""Load pyarrow, which only exports and imports need and which takes a fifth of a second."""

from __future__ import annotations

from types import ModuleType

from echo_index.errors import MissingPackage


def load_pyarrow() -> ModuleType:
    """Return the package pyarrow with its modules `parquet` and `compute`.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackage(
            "pyarrow, which reads and writes Parquet files, is not installed.",
            remedy="Install it: pip install 'echo-index[parquet]'",
        ) from error
    return pyarrow  # type: ignore[no-any-return]
