"""One zip to hand in. The same files give the same bytes."""

import hashlib
import io
import json
import re
import unicodedata
import zipfile
from pathlib import Path

from lib import briefs
from lib.config import paths
from lib.config.files import write_bytes
from lib.report import results, written
from lib.report.hand_in import contents
from lib.report.notebooks import freshness
from lib.training import device

MANIFEST = "MANIFEST.json"
FORMAT = 1
LONGEST_NAME = 60  # characters: file systems end at 255 bytes


def write_submission(brief: str, student: str) -> Path:
    """Pack a finished report with the code that made it.

    Args:
        brief: name of the brief.
        student: name or number of whoever hands it in; part of file names.

    Returns:
        The zip, `reports/<student>_<brief>.zip`.

    Raises:
        ValueError: if the name cannot be part of a file name, or the report is not finished, or was made with other
            code than there is now.
    """
    student = file_name_of(student)
    folder = paths.report(brief)
    if not (folder / "index.html").is_file():
        raise ValueError(f"The report of {brief} is not finished: run `make report BRIEF={brief}` first.")
    _check_code(brief)
    files = {**contents.project_files(), **contents.report_files(brief), **contents.made_files(brief, student)}
    files = {name: file.read_bytes() if isinstance(file, Path) else file for name, file in files.items()}
    files[MANIFEST] = _manifest(files, brief=brief, student=student)
    target = paths.reports() / f"{student}_{brief}.zip"
    write_bytes(target, zip_bytes(files))
    return target


def doubts(brief: str) -> list[str]:
    """What whoever hands a report in should know first, one sentence each; nothing if all is well."""
    folder, spec = paths.report(brief), briefs.load(brief)
    said = []
    if any(entry["profile"] == "smoke" for entry in results.read_values(folder).values()):
        said.append(
            f"This is a smoke run, which says nothing about the method: make report BRIEF={brief} PROFILE=quick"
        )
    faults = written.check_reports(spec)
    if faults:
        said.append(f"The written reports have {len(faults)} fault(s), the first: {faults[0]}")
    if contents.test_predictions(brief) is None:
        said.append("The report holds no predictions on test.")
    return said


def file_name_of(student: str) -> str:
    """A student's name or number as part of a file name: spaces become underscores, apostrophes are left out.

    Args:
        student: letters and digits of any script, with . - _ or spaces between them.

    Raises:
        ValueError: if there is anything else in it, such as a path.
    """
    name = re.sub(r"\s+", "_", re.sub("['\u2019]", "", unicodedata.normalize("NFC", student)).strip())
    parts = re.split(r"[-_.]+", name)
    plain = all(part and all(unicodedata.category(letter)[0] in "LMN" for letter in part) for part in parts)
    if not plain or len(name) > LONGEST_NAME:
        raise ValueError(
            f"STUDENT must be a name or number of at most {LONGEST_NAME} letters and digits, with - _ . or spaces only "
            f"between them. Received: {student!r}"
        )
    return name


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """Files as a zip that does not depend on the time, the order or the system it is made on."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16  # as on Unix, whatever this is
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, files[name], compresslevel=6)
    return buffer.getvalue()


def _check_code(brief: str) -> None:
    """A hand-in whose code is not that which made the report could not be made again."""
    folder = paths.report(brief)
    for entry in results.read_values(folder).values():
        record = freshness.read_record(entry["notebook"], folder)
        if record and record["made_from"].get("the code in lib") != freshness.code():
            raise ValueError(
                f"The report of {brief} was made with other code than is in lib now: run `make report BRIEF={brief}` "
                "again, which keeps what still holds."
            )


def _manifest(files: dict[str, bytes], *, brief: str, student: str) -> bytes:
    values = results.read_values(paths.report(brief))
    content = {
        "format": FORMAT,
        "student": student,
        "brief": brief,
        "profile": next((entry["profile"] for entry in values.values()), None),
        **device.git_state(),
        "machine": contents.machine_facts(paths.report(brief)),
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
