"""Text analysis for lexical search: terms, sentences, languages and stop words."""
