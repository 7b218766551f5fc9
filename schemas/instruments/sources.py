"""Sources that several instruments share."""

from __future__ import annotations

from schemas.instruments.model import Prior, Scale, Source

ARITHMETIC = Source("from the items' ranges and the total rule", "computed")
NO_CODE = Source("search of loinc.org found none: a code of ours", "verified")
OWN_CODE = Source("a code of ours beside the published one", "assumed")
SEVERITY_PRIOR = Source("assumed wide until 200 clients of a clinic are fitted", "assumed")
ALLIANCE_PRIOR = Source("SRS simulation carried over by span (.925, .09, .06): refit at 200 clients", "simulated")


def alliance_prior(total: Scale) -> Prior:
    """The SRS's prior carried over to another alliance scale by its span.

    >>> prior = alliance_prior(Scale(12, 60, 1, ARITHMETIC))
    >>> prior.mu0, prior.sb, prior.sw
    (56.4, 4.32, 2.88)
    """
    mu0 = total.low + 0.925 * total.span
    return Prior(round(mu0, 6), round(0.09 * total.span, 6), round(0.06 * total.span, 6), ALLIANCE_PRIOR)


def wide_prior(total: Scale) -> Prior:
    """For symptom scales: the middle of the scale, clients anywhere on it.

    >>> prior = wide_prior(Scale(0, 40, 1, ARITHMETIC))
    >>> prior.mu0, prior.sb, prior.sw
    (20.0, 10.0, 4.0)
    """
    middle = (total.low + total.high) / 2
    return Prior(middle, round(0.25 * total.span, 6), round(0.1 * total.span, 6), SEVERITY_PRIOR)
