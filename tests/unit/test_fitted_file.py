"""The file of fitted parameters: what is written is read back as an engine, and what cannot be is refused by place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.lab.fit import Fitted
from services.lab.fitted_file import BadFittedFile, FittedFile, engine_of, read, write
from services.scoring.domain.config import DEFAULT, ENGINE_VERSION, SeriesConfig, series_config

RATES = ((0.1, 0.3), (0.01, 2.5))
PHQ = Fitted("phq-9@1", 14.0, 5.0, 3.0, RATES, {"clients": 212.0})
SRS = Fitted("srs@3", 34.5, 3.4, 2.6, RATES, {"clients": 412.0})


def test_what_is_written_is_read_as_an_engine(tmp_path: Path) -> None:
    """Parameters on the instrument's own scale, whichever way it runs; other instruments stay as shipped."""
    path = tmp_path / "fitted.json"
    write(path, FittedFile.of([SRS, PHQ]))
    engine = engine_of(path)
    srs, phq, ors = (series_config(engine, key) for key in ("srs@3", "phq-9@1", "ors@3"))
    assert isinstance(srs, SeriesConfig)
    assert isinstance(phq, SeriesConfig)
    assert (srs.rolling.mu0, srs.rolling.sb, srs.rolling.sw, srs.rupture.rates) == (34.5, 3.4, 2.6, RATES)
    assert phq.rolling.mu0 == 13.0, "27 - 14: the scale turned round"
    assert ors == series_config(DEFAULT, "ors@3")
    assert read(path).card["srs@3"] == {"clients": 412.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mu0": "never-echo"}, "parameters.srs@3.mu0"),
        ({"mu0": 400.0}, "parameters.srs@3: mu0: near the scale, 0 to 40"),
        ({"sw": 0.0}, "parameters.srs@3.sw"),
        ({"sb": 80.0}, "sb and sw: at most 40"),
        ({"rates": [[0.01, 2.5], [0.1, 0.3]]}, "rates: shares fall and evidence rises"),
    ],
)
def test_what_cannot_be_is_refused_by_place(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """The place and the expectation, never the value."""
    path = tmp_path / "fitted.json"
    write(path, FittedFile.of([SRS]))
    text = json.loads(path.read_text("utf-8"))
    text["parameters"]["srs@3"] |= change
    path.write_text(json.dumps(text), "utf-8")
    with pytest.raises(BadFittedFile) as refused:
        engine_of(path)
    assert said in str(refused.value)
    assert "never-echo" not in str(refused.value)


def test_another_engines_rates_are_not_tried(tmp_path: Path) -> None:
    """Rates are about one engine's evidence: after a new engine the clinic is fitted again."""
    path = tmp_path / "fitted.json"
    write(path, FittedFile.of([SRS]).model_copy(update={"engine": ENGINE_VERSION + 1}))
    with pytest.raises(BadFittedFile, match="fitted with engine"):
        engine_of(path)
    with pytest.raises(BadFittedFile, match="cannot be read"):
        engine_of(tmp_path / "nowhere.json")
