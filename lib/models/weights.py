"""A published file of weights: who made it, where it lies here or comes from, and whether it is that file."""

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lib.config import Config, paths
from lib.config.files import checksum, locked


class WeightsError(ValueError):
    """Weights that cannot be had or used; the message says which, why, and what to do about it.

    Whoever catches it can go on with `lite0`, whose weights are installed with the project.
    """


@dataclass(frozen=True)
class Weights(Config):
    """One published file; it comes with a Python package, or from an address."""

    file: str
    size: int  # bytes
    digest: str  # "md5:..." or "sha256:..." of the file
    licence: str
    trained_by: str
    address: str = ""
    package: str = ""

    def find(self) -> Path:
        """The file: in its package, in `data/weights`, in `$COURSEWORK_WEIGHTS`, else downloaded to `data/weights`.

        Raises:
            WeightsError: if it cannot be had, or the file found is another one.
            FolderError: if `data/weights` is full or protected.
        """
        found = self.find_here()
        if found is None:
            self._download(paths.WEIGHTS / self.file)
            found = paths.WEIGHTS / self.file
        method, _, expected = self.digest.partition(":")
        try:
            received = checksum(found, method)
        except OSError as error:
            raise WeightsError(f"{found} cannot be read: {error.strerror or error}.") from error
        if received != expected:
            raise WeightsError(
                f"{found} has the {method} sum {received} instead of {expected}: it is damaged or another file and was "
                "not opened."
            )
        return found

    def find_here(self) -> Path | None:
        """The file on this machine, not checked yet; None where there is none."""
        for folder in paths.weights_folders():
            if folder != paths.WEIGHTS and not folder.exists():
                raise WeightsError(f"COURSEWORK_WEIGHTS names what does not exist: {folder}")
            file = folder if folder.name == self.file else folder / self.file
            if file.is_file():
                return file
        try:
            listed = metadata.files(self.package) if self.package else None
        except metadata.PackageNotFoundError:
            listed = None
        inside = (Path(file.locate()) for file in listed or () if file.name == self.file)
        return next((file for file in inside if file.is_file()), None)

    def _download(self, target: Path) -> None:
        from lib.datasets.fetch.download import download
        from lib.datasets.storage import DataError, writing

        if not self.address:
            raise WeightsError(
                f"{self.file} is not installed: it comes with the Python package {self.package}, which "
                "requirements.txt lists."
            )
        method, _, expected = self.digest.partition(":")
        with writing(target.parent), locked(target.with_name(f"{target.name}.lock"), title=self.file):
            if target.is_file():  # another process was faster
                return
            try:
                md5 = expected if method == "md5" else ""
                download(self.address, target, size=self.size, md5=md5)
            except DataError as error:
                raise WeightsError(f"{self.file} cannot be had. {error}") from error
        if checksum(target, method) != expected:
            target.unlink()
            raise WeightsError(f"{self.address} sent another file than {self.file}: its {method} sum is wrong.")


def of_keras(application, *, top: bool, size: int, md5: str, **facts: str) -> Weights:
    """The file of a network of `keras.applications`, whose module knows the address; other facts as in `Weights`."""
    source = sys.modules[application.__module__]
    address = source.WEIGHTS_PATH if top else source.WEIGHTS_PATH_NO_TOP
    return Weights(file=address.rpartition("/")[2], size=size, digest=f"md5:{md5}", address=address, **facts)
