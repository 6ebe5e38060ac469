"""Where an index can be read: the folder that builds it, or a store that it is published to."""
