"""Where the repository and its test files lie, and whether a soak is wanted."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FIXTURES = TESTS / "fixtures"
SOAK = os.environ.get("ECHO_INDEX_SOAK") == "1"
"""Whether tests that try very much shall try all of it, in most of an hour, or samples that take seconds."""
