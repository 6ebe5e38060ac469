"""A decoder-only transformer over packed texts, in float32, bfloat16 or int8."""
