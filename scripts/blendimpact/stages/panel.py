"""Draw what a chunk shows of its case through all rungs."""

from ..data.chunk import Chunk
from ..ladder.kinds import ladder_of
from ..report.figures import save
from ..report.panel import draw


def run(settings, seed, images, truth, detections, assignments, sky, separated, figure_out):
    """Draw one blend, or some transients; the parameters are paths as in `stages.measure`."""
    ladder = ladder_of(settings, seed)
    with Chunk(images, truth, detections, assignments, sky, separated) as chunk:
        save(draw(ladder.panel(chunk)), figure_out)
