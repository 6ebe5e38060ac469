"""How fast are texts embedded, and how true? Our engine beside the plain way and its peers, interleaved in one run."""
