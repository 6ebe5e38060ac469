"""Tests of the web page in a browser, with the default model: what docs/web-interface.md promises."""
