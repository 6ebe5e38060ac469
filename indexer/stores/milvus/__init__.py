"""An index in Milvus: publish generations to it, and search it."""
