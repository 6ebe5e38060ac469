"""Files of keys and values (JSON, YAML, TOML): where the keys stand, and what of them are headings."""
