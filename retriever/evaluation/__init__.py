"""How good is the search? Collections of questions, ranked in several ways. Knows nothing of command lines."""
