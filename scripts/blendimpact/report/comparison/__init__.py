"""Compare deblenders on the same patches: what each does to every source, and what it costs."""
