"""Subtract the template from every patch of one chunk, once: detection and measurement read the result."""

from ..data.chunk import Chunk, PatchStore
from ..ladder.kinds import ladder_of
from ..measure.sky import estimate_sky


def run(settings, seed, images, truth, differences_out, options=None, meta=None):
    """Make the difference of every patch and write it (HDF5).

    Parameters
    ----------
    settings : dict
        Of the case and scenario.
    seed : int
    images, truth : path-like
    differences_out : path-like
    options : dict, optional
        Of the subtraction engine.
    meta : dict, optional
        Provenance.
    """
    ladder = ladder_of(settings, seed, separating=options)
    with Chunk(images, truth) as chunk, PatchStore(differences_out, meta) as store:
        for data in chunk.patches("subtract"):
            data.sky = estimate_sky(data.patch, settings["measure"].get("sky"))
            ladder.separate(data, store.group(data.patch))
