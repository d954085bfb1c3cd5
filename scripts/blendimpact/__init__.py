"""Impact of source blending on LSST science, by stage: the study's library.

The library never imports Snakemake: it can be used and tested by itself.
Imports run one way: ``compare``, ``cases`` and ``matrix`` -> ``score`` -> stages (``measure``, ``deblend``,
``subtract``, ``detect``, ``inject``, ``adopt``, ``simulate``) -> ``ladder`` -> ``core``.
"""

__version__ = "0.1.0"
