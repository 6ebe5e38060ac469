"""Files of keys and values (JSON, YAML, TOML, XML): where the keys stand, and what of them are headings."""
