"""What all kinds of transients share: where they may lie, how they look, how bright they are."""

from ..config.files import Problem
from ..errors import StudyError
from .base import Population


class Kind(Population):
    """A kind of transient, drawn by the population ``transients`` with the share that ``inject.kinds`` gives it.

    Attributes
    ----------
    look_first : bool
        Whether its place depends on how it looks.
    any_band : bool
        Whether it can be drawn in one band that nothing has colours in: a narrow band, or one of another telescope.
    """

    look_first = any_band = False

    def problems(self, settings):
        """Yield that it is no population that can be injected by itself."""
        yield Problem(
            ("inject", "population"),
            f"{self.name!r} is a kind of transient",
            f"set population: transients, and kinds: {{{self.name}: 1}}",
        )

    def there(self, tables):
        """Return whether there is what it is drawn from."""
        return True

    def place(self, sky, row, placed, separation, rng):
        """Return where one lies, (x, y) in pixels, or None: no place is left.

        Parameters
        ----------
        sky : static_sky.StaticSky
        row : dict
            Of the transient; where it has a host, that is put into it.
        placed : (N, 2) array
            Places of those that are there already.
        separation : float
            From those, pixels.
        rng : numpy.random.Generator
        """
        return next(iter(sky.free(sky.anywhere(rng), placed, separation)), None)

    def look(self, row, bands, reference, options, tables, rng):
        """Put ``source_type`` and shape into a row; return its magnitudes by band relative to ``reference``.

        Parameters
        ----------
        row : dict
            Columns of the injection catalogue and of `extras.TRANSIENT`.
        bands : sequence of str
        reference : str
        options : dict
            ``exposure`` (s) and ``snr`` (None: not given), of the population ``transients``; of the image ``point`` and
            ``patch``, the AB magnitudes of a point source and of a square arcsec of sky that have a S/N of 1.
        tables : dict
            What was built, by population.
        rng : numpy.random.Generator
        """
        what = f"the kind {self.name!r} has no method `look`"
        raise StudyError(what, type(self).__module__, "give a source its type and shape, return its colours")

    def magnitude(self, row, options, rng):
        """Return its magnitude in the reference band, or None: by its S/N or magnitude, as the population draws it.

        The parameters are those of `look`.
        """
        return None

    def finish(self, row, mag, band):
        """Put what follows from its magnitude in the reference band into a row."""
