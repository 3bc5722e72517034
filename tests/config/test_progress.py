"""Progress bars show where somebody watches, or where it is asked for, and never where a report is made."""

from lib.config.progress import progress_bar


def test_a_bar_shows_where_it_is_wanted(monkeypatch, capsys):
    for headless, shown, seen in (("", True, True), ("", False, False), ("", None, False), ("1", True, False)):
        monkeypatch.setenv("COURSEWORK_HEADLESS", headless)
        with progress_bar("Reading", shown=shown, total=2, unit=" images") as bar:
            bar.update(2)
        printed = capsys.readouterr().err
        assert "Reading: 100%" in printed if seen else printed == ""
