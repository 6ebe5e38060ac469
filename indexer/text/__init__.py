"""Text analysis for lexical search: terms, languages and stop words."""
