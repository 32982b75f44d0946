"""The script that fills and times a record works; its timings are for `python -m bench.record`."""

from __future__ import annotations

from pathlib import Path

from bench.record import main


def test_a_small_record_is_filled_and_timed(tmp_path: Path) -> None:
    out = tmp_path / "RECORD.md"
    size = ["--tag-records=400", "--runs=80", "--tags=50", "--days=2", "--mirrors=2"]
    main([*size, "--rounds=1", f"--out={out}"])
    text = out.read_text(encoding="utf-8")
    assert "| report_delay, whole |" in text
    assert "| mirror report, all | 2 |" in text
    assert "| a tag: tag_ended, 20 blobs |" in text
    assert "| rule run_failed |" in text
    assert "| publish, 50 tags (pages) |" in text
