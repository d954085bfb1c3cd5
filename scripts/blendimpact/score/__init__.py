"""From measurements to figures of merit per block of sky, and from those to intervals."""
