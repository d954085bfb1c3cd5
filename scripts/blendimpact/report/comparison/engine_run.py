"""One subtraction engine on the patches of a chunk: what it leaves and what it takes."""

import resource
import time

import numpy as np

from ...ladder.difference_rows import static_sources
from ...ladder.differences import Differences, injected, to_nanojansky
from . import engines


class EngineRun:
    """What one engine leaves of the patches of a sky, one after the other.

    Parameters
    ----------
    ladder : ladder.difference.DifferenceLadder
        Of the sky, with the engine in place of its own.

    Attributes
    ----------
    tables : list of Table
        Columns `engines.ENGINE_COLUMNS`, one for each patch.
    """

    def __init__(self, ladder):
        self.ladder, self.engine, self.tables = ladder, ladder.separator, []
        self._cpu, self._million = [], []

    def add(self, data):
        """Subtract and measure one patch (`data.chunk.PatchData`)."""
        settings, truth, band = self.ladder.settings, data.truth, self.ladder.settings["shape_band"]
        differences = Differences(self.ladder.scene(data), data.sky, settings)
        _ = differences.epochs, differences.static  # what is prepared for all engines is not of this one's time
        begun = time.process_time()
        difference = differences.made_by(self.engine)
        self._cpu.append(round(time.process_time() - begun, 4))
        self._million.append(difference.image.size / 1e6)
        new = injected(truth, band)
        about = {
            "patch": data.patch,
            "image": differences.image,
            "light": differences.static,
            "unit": to_nanojansky(differences.image),
            "targets": truth[new & (truth["role"] == "target") & np.isin(truth["transient"], engines.POINTS)],
            "static": static_sources(truth, data.patch, band, differences.image.pixel_scale),
            "changed": truth[new | np.asarray(truth["variable"], bool)],
        }
        self.tables.append(
            engines.measure(difference, differences.noiseless, differences.exact, about, settings, self.engine.name)
        )

    def cost(self):
        """Return CPU seconds and 1e6 pixels of each patch, and the peak memory of the process in MB."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"cpu": self._cpu, "megapixels": self._million, "peak_mb": round(peak, 1)}
