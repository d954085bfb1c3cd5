"""Run the deblender that is under study on true and on detected centres."""

from ..data.chunk import Chunk, PatchStore
from ..ladder.kinds import ladder_of


def run(settings, images, truth, detections, sky, children_out, options=None, meta=None):
    """Deblend every patch of a chunk twice, write the children that will be measured (HDF5).

    Parameters
    ----------
    settings : dict
        Of the case and scenario.
    images, truth, detections, sky : path-like
    children_out : path-like
    options : dict, optional
        Of the deblender.
    meta : dict, optional
        Provenance.
    """
    ladder = ladder_of(settings, separating=options)
    with Chunk(images, truth, detections, sky=sky) as chunk, PatchStore(children_out, meta) as store:
        for data in chunk.patches("deblend"):
            ladder.separate(data, store.group(data.patch))
