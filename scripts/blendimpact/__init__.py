"""Impact of source blending on LSST science, by stage: the study's library.

The library never imports Snakemake: it can be used and tested by itself. Imports run one way: ``stages`` -> ``cases``,
``report`` -> ``ladder``, ``detect``, ``deblend``, ``subtract``, ``search``, ``measure`` -> ``sky``, ``populations``,
``fitting`` -> ``data``, ``stats``, ``config``. ``stages.trial.simulated`` makes a patch to play with.
"""

__version__ = "0.1.0"
