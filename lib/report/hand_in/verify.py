"""Checking a zip that was handed in: the marker's tool.

Nothing is run at first: the files must be those of the manifest, and everything in them must agree. If asked, the
report is then made again from the code and the notebooks in the zip, and compared number by number.
"""

import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from lib import briefs
from lib.config import PROFILES
from lib.config.files import checksum, read_json
from lib.config.names import printable
from lib.datasets.fetch import archives
from lib.report.hand_in import again, claims, compare, pack, shown
from lib.report.hand_in.pack import FORMAT, MANIFEST, file_name_of
from lib.report.results import NAME

PROVES = """== what this can show: that these files agree with each other and with the manifest. The manifest is not
   signed: it tells damage and careless changes, and not who wrote it, nor that its numbers were ever computed."""
FURTHER = "   RERUN=1 computes them again."
TRUSTED = """== code of the hand-in was run: the numbers are what that code gives. Whether they mean what their names
   say, only reading the files named above tells."""


def verify_submission(archive: Path, *, rerun: bool = False, trust: bool = False, data: str = "") -> bool:
    """Check a zip made by `write_submission`, print what was found, and return whether everything holds.

    Args:
        archive: the zip; one of another kind, or one that is not safe to open, is refused with a ValueError.
        rerun: whether to make the report again and to compare. Files of code that are the same as in this copy are
            taken from here.
        trust: whether code of the hand-in that is not the same may run, as this user and on this machine. A rerun that
            needs it is refused without.
        data: folder of images, for the brief `folder`.
    """
    if not archive.is_file():
        raise ValueError(f"ZIP must be a file. Received: {str(archive)!r}")
    with tempfile.TemporaryDirectory(prefix="hand-in-") as folder, tempfile.TemporaryDirectory() as work:
        root, manifest = _unpack(archive, Path(folder) / "opened")
        brief, profile = manifest["brief"], manifest["profile"]
        commit = f"{manifest['commit'] or 'unknown'}{' with uncommitted changes' if manifest['dirty'] else ''}"
        _say(f"{archive.name}: {manifest['student']}, brief {brief}, profile {profile}")
        _say(f"made from commit {commit}")
        if brief in briefs.names():
            predictions = [f"{manifest['student']}_test_preds.csv"] * pack.promises_predictions(brief)
            _say(f"== must hold: {', '.join([*predictions, *pack.must_hold(brief)])}")
        differing = again.differing_code(root)
        try:
            faults = check_files(root, manifest) + claims.check_results(root, manifest)
            same_rules = not any(name.startswith("lib/report/") for name in differing)
            compared = not any(name.startswith("lib/") for name in differing)
            sound = not faults
            faults += shown.check_notebooks(root, brief, profile) if sound and same_rules else []
            faults += shown.check_reports(root, brief, profile) if sound and compared else []
        except Exception as error:  # of any library that meets content it was not written for
            text = " ".join(str(error).split())[:300]
            raise ValueError(f"{archive.name} cannot be checked ({type(error).__name__}): {printable(text)}") from error
        for fault in faults:
            _say(f"  {fault}")
        _say(f"== files: {len(manifest['files'])} listed, {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")
        _say(f"== code: {'differs from this copy in ' * bool(differing)}{', '.join(differing) or 'that of this copy'}")
        if not faults and not compared:
            what = "written reports" if same_rules else "notebooks and written reports"
            _say(f"== {what}: not compared with the results, as that takes the code that differs (RERUN=1 TRUST=1)")
        print(PROVES if rerun else f"{PROVES}\n{FURTHER}")
        if faults and rerun:
            _say("== not made again: first the faults above must be gone")
        if faults or not rerun:
            return not faults
        foreign = [name for name in differing if name.startswith(("lib/", "notebooks/")) and (root / name).is_file()]
        if foreign and not trust:
            raise ValueError(
                f"RERUN=1 would run code of this hand-in as you, on this machine: {len(foreign)} of the files named "
                "above. Read them, and choose the machine; then TRUST=1 lets it run. Nothing of it was run"
            )
        return _compare_again(root, manifest, Path(work), data=data, compared=compared, trusted=bool(foreign))


def _say(text: str) -> None:
    print(printable(text), flush=True)


def _unpack(archive: Path, folder: Path) -> tuple[Path, dict]:
    """The folder of the manifest, and the manifest; it may lie one folder down, as after unpacking and packing again.

    `extract` refuses links, devices, names twice, paths that lead out of the folder and what grows beyond reason.
    """
    if not zipfile.is_zipfile(archive):
        raise ValueError(f"{archive} is not a zip")
    archives.extract(archive, folder)
    found = [file for file in (folder / MANIFEST, *folder.glob(f"*/{MANIFEST}")) if file.is_file()]
    if not found:
        raise ValueError(f"{archive} holds no {MANIFEST}: it was not made by `make submission`")
    try:
        manifest = read_json(found[0])
        complete = {"student", "brief", "profile", "commit", "dirty", "machine", "files"} <= set(manifest)
        complete &= bool(NAME.fullmatch(manifest["brief"])) and manifest["profile"] in PROFILES
        complete &= file_name_of(manifest["student"]) == manifest["student"] and manifest["format"] == FORMAT
        complete &= isinstance(manifest["machine"], dict) and isinstance(manifest["commit"], str | None)
        complete &= all(isinstance(entry["sha256"], str) for entry in manifest["files"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        complete = False
    if not complete:
        raise ValueError(f"{MANIFEST} is damaged, or of another version of this project")
    return found[0].parent, manifest


def check_files(root: Path, manifest: dict) -> list[str]:
    """What is changed, missing or not listed, one sentence per file."""
    present = {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()} - {MANIFEST}
    listed = manifest["files"]
    faults = [f"missing: {name}" for name in sorted(set(listed) - present)]
    for name in sorted(present):
        if name in listed and checksum(root / name) != listed[name]["sha256"]:
            faults.append(f"changed: {name}")
        elif name not in listed and PurePosixPath(name).name not in claims.SYSTEM_FILES:
            faults.append(f"not listed: {name}")
    return faults


def _compare_again(root: Path, manifest: dict, folder: Path, *, data: str, compared: bool, trusted: bool) -> bool:
    brief, profile = manifest["brief"], manifest["profile"]
    made = again.make_again(root, folder, brief=brief, profile=profile, data=data)
    faults = [] if compared else again.check_shown_again(root, folder, brief=brief, profile=profile)
    facts = {name: fact for name, fact in pack.machine_facts(made).items() if fact is not None}
    differing = [name for name, fact in facts.items() if manifest["machine"].get(name) != fact]
    where = f"another machine: {', '.join(differing)} differ" if differing else "the same machine and versions"
    predictions = root / f"{manifest['student']}_test_preds.csv" if pack.promises_predictions(brief) else None
    lines = compare.compare_reports(root / "reports" / brief, made, same_machine=not differing, predictions=predictions)
    _say(f"== made again on {where}")
    for line in [*(f"  {fault}" for fault in faults), *compare.as_text(lines).splitlines()]:
        _say(line)
    count = len(faults) + sum(line.verdict == compare.DIFFERS for line in lines)
    _say(f"== {f'{count} differ that must not' if count else 'nothing differs that must not'}")
    if trusted:
        print(TRUSTED)
    return not count
