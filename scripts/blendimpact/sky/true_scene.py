"""The exact deblender: what a deblender that knew every source would return.

For a detection d with the truth sources A(d) assigned to it, the child image is the sum of the
noiseless sources of A(d) plus the noise of the scene. Under the truth detector A(d) is one
source. Under a real detector an unrecognised blend has several, so the merged light is charged
to detection.
"""

import numpy as np

from ..data.children import BITS, Children
from ..data.stamps import cut as cut_stamps
from ..data.stamps import origins, reaches_outside
from ..stats.streams import stream
from .profiles import add_stamp, cut, draw_source, photon_noise


class TruthScene:
    """Every known source of one patch, drawn again from its row on demand.

    Parameters
    ----------
    patch : Patch
        With the planes ``MODEL`` and ``NOISE``; a real image with injected sources also has
        ``BASE`` and ``SEG``.
    truth : Table
        Rows of this patch and twin.
    seed, case : int, str
        Name the streams of the photon noise.
    photons : bool
        Whether injected sources were given photon noise.
    stamps : dict, optional
        Where drawn stamps and their photon noise are kept; scenes that differ in the sign of their noise
        alone can share it.
    """

    def __init__(self, patch, truth, seed, case, stamps=None, photons=True):
        self.patch, self.truth, self.seed, self.case = patch, truth, seed, case
        names = truth.colnames
        columns = [np.asarray(truth[name]).tolist() for name in names]
        self.rows = {row[names.index("source_id")]: dict(zip(names, row)) for row in zip(*columns)}
        self.real = any("BASE" in image.planes for image in patch.bands.values())
        self._injected_photons = photons
        self._stamps = {} if stamps is None else stamps

    def stamp(self, source_id, band):
        """Return the noiseless stamp of one source, the bytes that the scene was made of."""
        key = source_id, band
        if key not in self._stamps:
            self._stamps[key] = draw_source(self.rows[source_id], self.patch.bands[band], self.patch.shear)
        return self._stamps[key]

    def _photons(self, source_id, band):
        stamp, key = self.stamp(source_id, band), (source_id, band, "photons")
        if key not in self._stamps:  # twins of opposite noise share the deviates as they share the light
            rng = stream(self.seed, self.case, self.patch.index, int(source_id), band, "photons")
            self._stamps[key] = photon_noise(stamp, self.patch.bands[band].gain, rng)
        return type(stamp)(self._stamps[key] * self.patch.noise_sign, stamp.x0, stamp.y0)

    def _injected(self, source_id):
        return self.rows[source_id].get("injection_id", -1) >= 0

    def _sum(self, members, band, x0, y0, size, photons):
        """Return the light of ``members`` in a window, with their photon noise if asked for."""
        total = np.zeros((size, size))
        image = self.patch.bands[band]
        for source_id in members:
            if self.rows[source_id]["role"] == "context":
                own = image.planes["SEG"] == source_id
                light = np.where(own, image.planes["BASE"], 0)
                total += cut_stamps(light, [x0], [y0], size)[0]
                continue
            total += cut(self.stamp(source_id, band), x0, y0, size)
            if photons and (self._injected_photons or not self._injected(source_id)):
                total += cut(self._photons(source_id, band), x0, y0, size)
        return total

    def _children(self, det_ids, x, y, members, size, background, photons):
        x0, y0 = origins(x, y, size)
        status = np.where(reaches_outside(x0, y0, size, self.patch.shape), BITS.EDGE, 0).astype(np.int32)
        on_image = cut_stamps(np.ones(self.patch.shape, np.float32), x0, y0, size)
        stamps = np.empty((len(det_ids), len(self.patch.bands), size, size), np.float32)
        for b, band in enumerate(self.patch.bands):
            noise = (
                cut_stamps(background[band], x0, y0, size)
                if background
                else np.zeros((len(det_ids), size, size), np.float32)
            )
            for k, ids in enumerate(members):
                stamps[k, b] = noise[k] + self._sum(ids, band, x0[k], y0[k], size, photons)
            stamps[:, b] *= on_image
        return Children(np.asarray(det_ids, np.int64), x0, y0, stamps, status)

    def _positions(self, source_ids):
        return ([self.rows[i]["x"] for i in source_ids], [self.rows[i]["y"] for i in source_ids])

    def noiseless(self, source_ids, size):
        """Return each source alone without any noise (`Children`)."""
        x, y = self._positions(source_ids)
        return self._children(source_ids, x, y, [[i] for i in source_ids], size, None, False)

    def isolated(self, source_ids, size):
        """Return each source alone with its own photon noise and the sky's, sky known."""
        x, y = self._positions(source_ids)
        noise = {band: image.planes["NOISE"] for band, image in self.patch.bands.items()}
        return self._children(source_ids, x, y, [[i] for i in source_ids], size, noise, True)

    def alone(self, source_ids, x, y, size, noisy, band):
        """Return (N, S, S): one band of sources alone about any centres, with the noise of `isolated` or with none."""
        x0, y0 = origins(x, y, size)
        noise = self.patch.bands[band].planes["NOISE"]
        stamps = cut_stamps(noise, x0, y0, size) if noisy else np.zeros((len(x0), size, size), np.float32)
        for k, source_id in enumerate(source_ids):
            stamps[k] += self._sum([source_id], band, x0[k], y0[k], size, noisy)
        return stamps * cut_stamps(np.ones(self.patch.shape, np.float32), x0, y0, size)

    def plane(self, source_ids, band, photons=False):
        """Return (ny, nx): light of sources in one band on the whole image, with their photon noise if asked for."""
        total = np.zeros(self.patch.shape)
        for source_id in source_ids:
            add_stamp(total, self.stamp(source_id, band))
            if photons and (self._injected_photons or not self._injected(source_id)):
                add_stamp(total, self._photons(source_id, band))
        return total

    def deblended(self, det_ids, x, y, members, size, sky, faint=(), base_sky=None):
        """Return the exact child of each detection.

        Parameters
        ----------
        det_ids, x, y : (N,) sequences
            Detections, positions in pixels.
        members : list of list of int
            A(d): the truth sources assigned to each detection; may be empty (spurious).
        size : int
            Side of the stamps in pixels, odd.
        sky : dict of str to (ny, nx) array
            Estimated sky, subtracted as in every rung on the full scene; zeros where it is known.
        faint : sequence of int, optional
            Sources that no child is of and whose light stays in all, as it stays in an estimated sky.
        base_sky : dict of str to (ny, nx) array, optional
            Sky estimated alike on a real image before anything was injected.

        Returns
        -------
        Children
            On a simulated patch: scene minus every source that is neither in A(d) nor faint, so that the
            photon noise of all neighbours stays. On a real image the neighbours' light is not
            known: the sources of A(d) with their photons on a draw of the image's noise, which has no sky but by how
            much the estimate changed as sources were injected.
        """
        background = {}
        for band, image in self.patch.bands.items():
            if self.real:
                background[band] = image.planes["NOISE"] - (sky[band] - (base_sky[band] if base_sky else 0))
            else:
                background[band] = image.science - image.planes["MODEL"] - sky[band]
                if len(faint):
                    background[band] += self.plane(faint, band).astype(np.float32)
        return self._children(det_ids, x, y, members, size, background, self.real)


def injects_photons(settings):
    """Return whether the settings give injected sources photon noise."""
    return (settings.get("inject") or {}).get("photon_noise", True)
