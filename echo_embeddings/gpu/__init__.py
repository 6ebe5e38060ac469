"""What is decided about GPUs: how many tokens they run at once, and whether the decoder is right on them."""
