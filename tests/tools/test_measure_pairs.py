import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
table = runpy.run_path(str(ROOT / "tools" / "measure_pairs.py"))["table"]


def row(pair, seed, **miou):
    return {"pair": pair, "run": "default", "seed": seed, "minutes": 2.0, "miou": miou}


def test_a_pair_whose_source_was_not_scored_shows_no_gain():
    rows = [row("P2b", 0, baseline=61.2, **{"adapt-1": 60.4}), row("P2", 0, source=58.7, baseline=63.0)]
    rows.append(row("P2", 1, source=58.7, baseline=65.0))
    assert table(rows).splitlines()[2:] == [
        "| P2 | default | 58.7 | 64.0 ± 1.4 | 64.0 ± 1.4 | +5.3 | 0, 1 | 2 |",
        "| P2b | default | - | 61.2 | 60.4 | - | 0 | 2 |",
    ]
