"""Which evidence ordinary courses reach by chance: from simulated courses to the `rates` of a configuration.

`python -m services.lab.calibrate` writes those of the instruments' own priors into `services/scoring/domain/rates.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.instruments import Instrument, catalogue
from services.lab.ordinary import Floats, Ordinary, courses, stayed, usual_lengths
from services.scoring.domain import rupture
from services.scoring.domain.config import DEFAULT, rupture_config, upwards

SHARES: Final = (0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)
AUTOCORRELATION: Final = 0.35
"""Of the state from session to session (RI-CLPM literature .2 to .4, recalled)."""
GROWTH_SHARE: Final = 0.0075
AT_START: Final = 2.0
"""A first rating is held against two points less than the mean level: the scale's end hides the rest."""
CLIENTS: Final = 40_000
SEED: Final = 20261
Rates = tuple[tuple[float, float], ...]


def rates(config: rupture.Config, rows: Floats, ordinary: NDArray[np.bool_], lengths: NDArray[np.int64]) -> Rates:
    """For each share, the evidence that so many of all ordinary sessions reach, first sessions included."""
    given = np.arange(rows.shape[1]) < lengths[:, None]
    found = np.sort(evidence(config, rows, lengths)[ordinary[given]])[::-1]
    return tuple((share, round(float(found[int(share * found.size)]), 4)) for share in SHARES)


def evidence(config: rupture.Config, rows: Floats, lengths: NDArray[np.int64]) -> Floats:
    """Of every session, client after client, in nats; first ones have none (minus infinity)."""
    return np.fromiter(_evidence(config, rows, lengths), float, int(lengths.sum()))


def _evidence(config: rupture.Config, rows: Floats, lengths: NDArray[np.int64]) -> Iterator[float]:
    for row, length in zip(rows.tolist(), lengths.tolist(), strict=True):
        state = rupture.start(config)
        for score in row[:length]:
            state, seen = rupture.step(config, state, score)
            yield -np.inf if seen is None else seen.log_ratio


def of_prior(instrument: Instrument, clients: int = CLIENTS) -> Rates:
    """The rates of an instrument under the prior that is shipped."""
    config, prior = rupture_config(DEFAULT, instrument, instrument.prior), instrument.prior
    rng = np.random.default_rng(SEED)
    lengths = usual_lengths(rng, clients)
    clinic = Ordinary(
        mean=upwards(instrument, prior.mu0),
        between_sd=prior.sb,
        within_sd=prior.sw,
        spread_sd=0.0,
        autocorrelation=AUTOCORRELATION,
        growth=GROWTH_SHARE * instrument.total.span,
        rupture_hazard=DEFAULT.change.onset_chance,
    )
    rows, ordinary = courses(rng, clinic, instrument, lengths)
    return rates(config, rows, ordinary, stayed(rng, rows, instrument.total, lengths, clinic.mean - AT_START))


def page(found: Iterable[tuple[str, Rates]]) -> str:
    """The module that ships them."""
    rows = "".join(f'    "{key}": (\n{_lines(each)}    ),\n' for key, each in found)
    return (
        '"""Which evidence so many ordinary sessions reach: simulated under the shipped priors.\n\n'
        "Written by `python -m services.lab.calibrate`; made anew when a prior or the detector changes.\n"
        '"""\n\nfrom __future__ import annotations\n\nfrom typing import Final\n\n'
        f"RATES: Final[dict[str, tuple[tuple[float, float], ...]]] = {{\n{rows}}}\n"
        '"""By instrument: (share of ordinary sessions, evidence in nats that so many reach)."""\n'
    )


def _lines(each: Rates) -> str:
    return "".join(f"        ({share}, {evidence}),\n" for share, evidence in each)


def main(path: Path) -> None:
    found = []
    for instrument in catalogue():
        if instrument.family == "alliance":
            sys.stderr.write(f"{instrument.key} ...\n")
            found.append((instrument.key, of_prior(instrument)))
    path.write_text(page(found))


if __name__ == "__main__":
    main(Path("services/scoring/domain/rates.py"))
