"""The embedding of single queries without torch, which takes longer to load than a query takes to embed."""
