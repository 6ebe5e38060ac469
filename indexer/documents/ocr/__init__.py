"""Recognize text in pictures: two engines behind one interface, and the reading order of what they find."""
