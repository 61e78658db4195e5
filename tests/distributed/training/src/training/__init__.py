"""One pipeline that is run for several countries at once."""
