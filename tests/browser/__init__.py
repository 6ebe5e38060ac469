"""The page in a browser, on the default model: what docs/web-page.md promises."""
