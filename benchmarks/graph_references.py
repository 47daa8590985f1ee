"""Reference figures of searches on NAS-Bench-Graph, made once with other code and other random numbers, 100 seeds.

The networks are chosen by validation score. random: uniform encodings, no network twice. evolution: population and
tournament; 10/3 with repeats counted, 20/10 without a network seen before. conservative: one decision of the best
changed, with repeats counted, or to an unseen network. local search: the first better neighbour, with restarts.
"""

from __future__ import annotations

REFERENCE_SEEDS = 100

TEST_REGRET = {
    "random": {
        "cora": "3.29 3.23 3.10 2.82",
        "citeseer": "2.70 2.55 2.49 2.49",
        "pubmed": "2.23 2.10 2.09 2.08",
        "cs": "1.18 1.12 1.03 .95",
        "physics": "1.66 1.66 1.63 1.43",
        "photo": "1.32 1.18 1.17 1.17",
        "computers": "3.07 2.84 2.29 2.26",
        "arxiv": ".68 .57 .50 .44",
        "proteins": "1.69 1.72 1.84 1.84",
    },
    "evolution 10/3": {
        "cora": "3.19 3.31 2.97 2.61",
        "citeseer": "2.64 2.45 2.22 1.99",
        "pubmed": "2.27 2.09 1.99 2.01",
        "cs": "1.12 .90 .86 .71",
        "physics": "1.73 1.54 1.26 .96",
        "photo": "1.17 1.07 1.00 1.01",
        "computers": "3.23 2.50 2.44 2.22",
        "arxiv": ".55 .46 .39 .35",
        "proteins": "1.75 1.92 2.21 2.47",
    },
    "evolution 20/10, unseen": {
        "cora": "3.22 3.10 2.62 2.41",
        "citeseer": "2.50 2.26 2.11 1.86",
        "pubmed": "2.25 2.09 2.03 2.08",
        "cs": "1.01 .95 .80 .70",
        "physics": "1.53 1.34 1.07 .90",
        "photo": "1.19 1.02 1.04 1.12",
        "computers": "2.48 2.34 2.12 2.12",
        "arxiv": ".49 .34 .34 .31",
        "proteins": "1.98 2.41 2.83 3.07",
    },
    "conservative": {
        "cora": "3.09 3.06 3.08 3.06",
        "citeseer": "2.61 2.51 2.45 2.42",
        "pubmed": "2.85 2.76 2.65 2.54",
        "cs": "1.15 1.09 1.08 1.05",
        "physics": "2.18 2.13 2.00 1.95",
        "photo": "1.37 1.31 1.25 1.18",
        "computers": "3.91 3.52 3.27 3.18",
        "arxiv": ".48 .40 .37 .38",
        "proteins": "1.80 1.91 1.97 1.99",
    },
    "conservative, unseen": {
        "cora": "3.12 3.13 2.94 2.82",
        "citeseer": "2.48 2.43 2.21 2.19",
        "pubmed": "2.63 2.32 2.26 2.29",
        "cs": "1.06 .98 .93 .82",
        "physics": "2.01 1.73 1.55 1.38",
        "photo": "1.29 1.14 1.09 1.21",
        "computers": "3.47 2.46 2.21 2.06",
        "arxiv": ".44 .35 .36 .37",
        "proteins": "1.98 2.34 2.54 2.55",
    },
    "local search": {
        "cora": "3.06 2.94 2.54 2.27",
        "citeseer": "2.55 2.31 2.01 1.94",
        "pubmed": "2.58 2.39 2.34 2.15",
        "cs": "1.09 .98 .85 .70",
        "physics": "1.85 1.62 1.43 1.11",
        "photo": "1.35 1.16 1.12 1.14",
        "computers": "2.93 2.48 2.21 2.09",
        "arxiv": ".48 .39 .37 .39",
        "proteins": "1.88 2.34 2.84 3.13",
    },
}
"""Mean test regret in points after 50, 100, 200 and 400 evaluations."""

VALIDATION_REGRET = {
    "random": ".820 1.151 .842 .565 1.155 .586 .992 .436 .345",
    "evolution 20/10, unseen": ".499 .364 .577 .161 .553 .128 .404 .082 .016",
    "local search": ".591 .553 .579 .248 .818 .226 .556 .095 .004",
}
"""Mean validation regret in points after 400 evaluations; the data sets in the order above."""
