"""Progress bars show where somebody watches, and never where a report is made."""

from lib.config.progress import progress_bar


def read():
    with progress_bar("Reading", total=2, unit=" images") as bar:
        bar.update(2)


def test_a_bar_shows_in_a_terminal(capsys, terminal):
    read()
    assert "Reading: 100%" in capsys.readouterr().err


def test_no_bar_shows_where_nobody_watches_or_a_report_is_made(capsys, terminal, monkeypatch):
    monkeypatch.setenv("COURSEWORK_HEADLESS", "1")
    read()
    monkeypatch.undo()
    read()
    assert capsys.readouterr().err == ""
