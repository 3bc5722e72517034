"""One image file: its bytes decoded, and its pixels as RGB."""

import io
import re
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from lib.datasets.storage import DataError

# Formats with a signature of their own. Left out on purpose: EPS (opening one runs Ghostscript), TGA and other formats
# without a signature (random bytes pass for them).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
MAX_PIXELS = 64_000_000  # a small file can claim any size: beyond this it is not decoded
MAX_BYTES = 256_000_000
JPEG_CHANNELS = {"Gray": 1, "YCbCr": 3, "RGB": 3}
HEIC = re.compile(rb".{4}ftyp.{0,60}he[iv][cmsx]", re.DOTALL)  # how such a file begins


def read_pixels(path: Path, *, at_least: int = 0) -> np.ndarray:
    """Read an image file as an RGB array, whatever its suffix says.

    The first frame is taken, EXIF orientation is left alone, transparent parts lie over black, 16-bit grey keeps its
    upper 8 bits, CMYK is converted.

    Args:
        path: the file.
        at_least: pixels per side that suffice: a JPEG is then decoded at the smallest scale (eighths of its size) at
            which both sides stay at least that long. 0 decodes it at its full size.

    Returns:
        (H, W, 3) uint8 in [0, 255].

    Raises:
        DataError: if the file is missing or is no image that can be decoded; the message names it.
    """
    try:
        data = read_bytes(path)
        jpeg = decode_jpeg(data, at_least=at_least)
        return jpeg[0] if jpeg else np.asarray(to_rgb(decode(data)))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def decode_jpeg(data: bytes, *, at_least: int) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    """(H, W, 3) uint8 of a flawless JPEG, at least so many pixels per side, and its whole width, height and channels.

    The interpreter's lock is not held. Every coefficient is read, so a cut is found at any scale; at an eighth of the
    size it takes a third to a fifth of the time. None where Pillow is to decide: another format, CMYK, too large or not
    readable. Pillow takes no notice of damage in the middle of a JPEG and fills up with grey: that is refused here.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if height * width > MAX_PIXELS:
            return None
        channels = JPEG_CHANNELS.get(colours)
        space = "RGB" if channels else "CMYK"
        pixels = simplejpeg.decode_jpeg(data, space, min_height=at_least, min_width=at_least)
        return (pixels, (width, height, channels)) if channels else None
    except ValueError as error:  # what the decoder warns of is an error here
        if str(error).startswith("Corrupt JPEG data"):
            raise DataError(f"damaged image: {error}") from error
        return None


def read_bytes(path: Path) -> bytes:
    """The bytes of an image file, unless it is too large to be one."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"larger than {MAX_BYTES / 1e6:.0f} MB")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error


def decode(data: bytes) -> Image.Image:
    """Decode every pixel of the first frame, in the file's own mode; the error says why without the file's name.
    `verify()` would let a file through that is cut in half.
    """
    if not data:
        raise DataError("zero bytes")
    Image.init()
    try:
        image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"too large: {image.width} x {image.height} pixels")
        image.load()
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        if HEIC.match(data):
            raise DataError(
                "a HEIC photo, which is not read here: save it as JPEG in a photo program, or convert it "
                "(macOS: sips -s format jpeg, Linux: heif-convert)"
            ) from error
        raise DataError("not an image, or damaged from its first bytes on") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"too large: more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # on damaged files Pillow raises OSError, SyntaxError, struct.error, IndexError and more
        raise DataError(f"damaged image: {error}") from error
    return image


def count_channels(image: Image.Image) -> int:
    """Channels that a file holds: 1 grey, 2 grey + alpha, 3 colour (palettes too), 4 colour + alpha or CMYK."""
    if image.mode in ("P", "PA"):
        return 4 if image.has_transparency_data else 3
    return len(image.getbands())


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a decoded image to mode RGB; floating-point pixels, for example, cannot be."""
    if image.mode.startswith("I"):  # 16-bit grey, which older Pillow versions hold in 32 bits
        image = Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise DataError("floating-point pixels, which have no fixed range")
    try:
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError as error:
        raise DataError(f"cannot be converted to RGB from mode {image.mode}") from error
