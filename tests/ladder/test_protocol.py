"""Both ladders climb the same steps, and a case's ladder is chosen from its settings alone."""

import inspect

import pytest
from blendimpact.config.settings import roles
from blendimpact.ladder.base import ID_COLUMNS, Ladder
from blendimpact.ladder.kinds import LADDERS, ladder_of
from blendimpact.ladder.rungs import COLOURS, ORDER, REFERENCE, RUNGS
from measured import asked
from visit_maker import SETTINGS

STEPS = ("detect", "separate", "measure", "panel")


@pytest.mark.parametrize("kind", LADDERS.values())
def test_a_ladder_has_every_step_of_the_protocol(kind):
    assert not kind.__abstractmethods__
    for step in STEPS:
        assert step in vars(kind), step  # its own, not the protocol's
        assert inspect.signature(getattr(kind, step)) == inspect.signature(getattr(Ladder, step))


@pytest.mark.parametrize(
    "subtractor, family, finder, separator",
    [(None, "deblend", "sep", "sep"), ("zogy", "subtract", "matched_filter", "zogy")],
)
def test_the_ladder_follows_from_the_settings(subtractor, family, finder, separator):
    settings = {**SETTINGS, "subtractor": subtractor, "measure": asked()}
    ladder = ladder_of(settings, seed=1)
    assert type(ladder) is LADDERS[family] and roles(settings)["separate"].package == family
    assert (ladder.finder.name, ladder.separator.name) == (finder, separator)
    for columns in ladder.tables.values():
        assert list(columns)[: len(ID_COLUMNS)] == list(ID_COLUMNS)
        assert all(text for _, text in columns.values())


def test_there_is_one_table_of_rungs():
    assert ORDER == (REFERENCE, *RUNGS) == tuple(COLOURS) and len(set(COLOURS.values())) == len(COLOURS)
