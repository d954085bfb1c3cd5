"""What went wrong with one injected source, as bits: no source ever stops an injection."""

from ..data.flags import Bits

FLAG = INJECTION_BITS = Bits(
    {
        0: ("OFF_IMAGE", "its light does not reach the image; not injected"),
        1: ("PARTLY_OFF", "part of its light falls outside of the image"),
        2: ("MASKED_CENTRE", "its centre lies on a pixel without data; injected, no target"),
        3: ("TOO_BRIGHT", "it saturates pixels, which are masked; injected, no target"),
        4: ("BAD_PARAMETERS", "no such profile exists or can be drawn; not injected"),
        5: ("DRAW_FAILED", "drawing it failed; not injected"),
        6: ("ON_BRIGHT_NEIGHBOUR", "its centre lies on the footprint of a brighter real source"),
    }
)
NOT_INJECTED = FLAG.OFF_IMAGE | FLAG.BAD_PARAMETERS | FLAG.DRAW_FAILED
INJECTED_IDS = 20_000_000
"""``source_id`` of an injected source is this plus its ``injection_id``."""
NO_TARGET = NOT_INJECTED | FLAG.MASKED_CENTRE | FLAG.TOO_BRIGHT
