"""What populations share.

A population is one file of this package with a class under ``@POPULATIONS.register("name")``. It can be drawn on
simulated sky (`Population.scatter`), injected (`Population.draw`), or both. What it declares:

* ``inputs``: fetched packages (entries of ``config/inputs.yaml``) that ``build`` makes its table of, once for all
  studies;
* ``uses``: other populations whose tables ``draw`` reads, beside its own;
* ``columns``: truth columns of its own;
* the arguments of ``__init__``: its options, which stand beside ``kind`` under ``population`` in the configuration, or
  under ``inject``.
"""

import numpy as np

from ..config.files import Problem
from ..config.sky import Inject
from ..config.surveys import SOURCE_BANDS
from ..data import catalogues
from ..data.missing_inputs import mark
from ..data.whole import whole
from ..errors import StudyError
from . import POPULATIONS

BANDS = SOURCE_BANDS
"""Bands that the built populations have magnitudes in: LSST's."""


class Population:
    """Base of all populations.

    Attributes
    ----------
    inputs : tuple of str
        What ``build`` needs, by the names of ``config/inputs.yaml``; empty: there is nothing to build.
    uses : tuple of str
        Populations whose tables ``draw`` reads.
    follows : tuple of str
        Populations whose tables ``draw`` reads where simulated stars are drawn from them too.
    ending : str
        Of the file that is built: "parquet", a table, or "fits", an image.
    limits : (float, float)
        Magnitudes that are drawn on simulated sky by default.
    transient : bool
        Whether its sources are there in one epoch alone.
    visited : bool
        Whether its sources can be injected into several visits of one block of sky.
    packing : float
        How many targets fit, relative to a lattice.
    columns : dict of str to (str or None, str)
        Unit and description of each truth column that only this population has.
    """

    inputs = ()
    uses = ()
    follows = ()
    ending = "parquet"
    transient = False
    visited = False
    packing = 1.0
    limits = (-np.inf, np.inf)
    columns = {}

    @classmethod
    def build(cls, folders):
        """Return the table (or the HDU) that is drawn from.

        Parameters
        ----------
        folders : dict of str to pathlib.Path
            Folder of each of ``inputs``.
        """
        what = f"the population {cls.name!r} has inputs, and no method `build`"
        raise StudyError(what, cls.__module__, "return the table that is made of them, or leave `inputs` empty")

    @classmethod
    def without_inputs(cls, reason):
        """Return what stands in place of the table where an input is not to be had, or None: nothing can."""
        return None

    @classmethod
    def read(cls, path):
        """Return what ``build`` made, as ``draw`` takes it."""
        return catalogues.read(path)

    def problems(self, settings):
        """Yield each `config.files.Problem` of a case with this population, its key counted from the case.

        Parameters
        ----------
        settings : config.case.Settings
        """
        if type(self).draw is Population.draw:
            yield Problem(
                ("inject", "population"),
                f"{self.name!r} cannot be injected",
                "it is drawn on simulated patches: see `population`",
            )
        inject = settings.inject
        side = (settings.patch.size or np.inf) * (settings.pixel_scale or np.inf)  # what lacks is said elsewhere
        if inject.per_patch > max((side / max(inject.separation, 1e-9)) ** 2 * self.packing, 1):
            yield Problem(
                ("inject", "per_patch"),
                f"{inject.per_patch} targets {inject.separation} arcsec apart do not fit",
                "ask for fewer, for a smaller separation, or for larger patches",
            )
        if inject.beside and self.transient:
            yield Problem(("inject", "beside"), "is not for transients, whose kinds say where they lie", "remove it")
        if inject.beside and (settings.shear or settings.patch.visits > 1):
            yield Problem(
                ("inject", "beside"),
                "is for patches that are seen once: of another twin or visit the sources lie elsewhere",
                "remove it, or set shear: 0 and patch.visits: 1",
            )
        if settings.patch.visits > 1 and not self.visited:
            yield Problem(
                ("patch", "visits"),
                "is for artificial stars: other targets would count once per visit",
                "remove it, or set inject.population: stars",
            )

    def sky_problems(self, settings, block):
        """Yield each `config.files.Problem` of a case whose sky it is drawn on, its key counted from the block.

        Parameters
        ----------
        settings : config.case.Settings
        block : config.sky.Drawn
            What the configuration says of this population: ``kind``, ``density``, ``mag_min``, ``mag_max``.
        """
        if type(self).scatter is Population.scatter:
            yield Problem(("kind",), f"{self.name!r} cannot be drawn on simulated sky", "set inject.population to it")
        low, high = (own if given is None else given for given, own in zip((block.mag_min, block.mag_max), self.limits))
        if not low < high:
            yield Problem((), f"has no magnitude between {low} and {high}", "give mag_min < mag_max")

    def scatter(self, field, tables):
        """Return the sources of one simulated patch.

        Parameters
        ----------
        field : drawn.Field
            The patch: size, bands, density and magnitude limits; gives positions and random numbers.
        tables : dict of str to Table
            What was built, by the name of the population: this one's, and of those that it ``uses``.

        Returns
        -------
        dict of str to (N,) array
            As of `drawn.placed`, with ``mag_<band>`` of each band, and where they are known ``redshift`` and
            ``evolution``. Galaxies have ``hlr_disk`` (arcsec, circularised), ``n_disk``, ``g1_disk``, ``g2_disk``; if
            they are not one Sersic profile also the same of the bulge, and ``bulge_fraction_<band>``. Also the columns
            of ``columns``.
        """
        what = f"the population {self.name!r} cannot be drawn on simulated sky: it has no method `scatter`"
        raise StudyError(what, type(self).__module__, "return the sources of a patch, or choose another population")

    def draw(self, settings, patch, truth, seed, case, block, realisation, tables):
        """Return the targets of one patch.

        Parameters
        ----------
        settings : dict
            Of the case and scenario: ``inject`` has ``per_patch``, ``mag``, ``separation`` (arcsec) and so on, and
            ``bands``, ``shape_band``.
        patch, truth : Patch, Table
            Before the injection.
        seed, case, block, realisation : int, str, int, int
            Name the random streams (`stats.streams.stream`). Of a simulated patch the realisation is 0.
        tables : dict of str to Table
            What was built, by the name of the population: this one's, and of those that it ``uses``.

        Returns
        -------
        Table
            As `catalogue.read_catalogue` returns it, with ``x`` and ``y`` (pixels, before shear) if they are known
            better than by ``ra`` and ``dec``; the columns of ``columns`` are copied into the truth.
        """
        what = f"the population {self.name!r} cannot be injected: it has no method `draw`"
        raise StudyError(what, type(self).__module__, "return the targets of a patch, or choose another population")


def own_options(inject):
    """Return those of the settings under ``inject`` that are the population's own."""
    return {key: value for key, value in inject.items() if key not in Inject.model_fields}


def injected(settings):
    """Return the population that a case injects, made with its options."""
    return POPULATIONS.create(settings["inject"]["population"], own_options(settings["inject"]))


def prepare(name, folders, path, cards=None, meta=None, missing=None):
    """Build what a population is drawn from and write it.

    Parameters
    ----------
    name : str
        Of the population.
    folders : dict of str to path-like
        Folder of each of its inputs.
    path : path-like
        The table (Parquet), or the image (FITS).
    cards, meta : dict, optional
        Provenance for a FITS header and for a table.
    missing : str, optional
        Why an input is not to be had. The file then says so, and what needs it is left out.
    """
    population = POPULATIONS.member(name)
    made = population.without_inputs(missing) if missing else population.build(folders)
    if made is None:
        mark([path], missing)
    elif population.ending == "fits":
        made.header.update(cards or {})
        with whole(path) as part:
            made.writeto(part)
    else:
        catalogues.write(made, path, meta)
