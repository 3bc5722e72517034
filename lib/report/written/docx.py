"""The look of Word documents: A4, a serif face, page numbers, ruled tables. Pandoc's own style sheet, changed."""

import io
import re
import zipfile

FONT = "Cambria"
SIZES = {"56": "36", "40": "28", "32": "24", "28": "24", "24": "22"}  # half points: title, headings, subtitle, text
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
FOOTER = (
    f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:ftr xmlns:w="{WORDS}"><w:p>'
    '<w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    '<w:r><w:instrText xml:space="preserve"> PAGE </w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p></w:ftr>'
)
PAGE = (  # A4, margins of 2.5 cm, in twentieths of a point
    f'<w:sectPr><w:footerReference xmlns:r="{RELATIONS}" w:type="default" r:id="rIdFooter"/>'
    '<w:footnotePr><w:numRestart w:val="eachSect"/></w:footnotePr><w:pgSz w:w="11906" w:h="16838"/>'
    '<w:pgMar w:top="1418" w:right="1418" w:bottom="1418" w:left="1418" w:header="709" w:footer="709" w:gutter="0"/>'
    "</w:sectPr>"
)
RULES = '<w:tblBorders><w:top w:val="single" w:sz="8"/><w:bottom w:val="single" w:sz="8"/></w:tblBorders><w:tblCellMar>'


def reference(default: bytes) -> bytes:
    """Pandoc's default document with this project's look, to take styles, page and footer from.

    Args:
        default: `pandoc --print-default-data-file=reference.docx`.
    """
    changes = {
        "word/styles.xml": _styles,
        "word/theme/theme1.xml": lambda text: re.sub(r'(<a:latin typeface=")Aptos[^"]*', rf"\g<1>{FONT}", text),
        "word/document.xml": lambda text: re.sub(r"<w:sectPr>.*?</w:sectPr>", PAGE, text, flags=re.DOTALL),
        "word/_rels/document.xml.rels": lambda text: text.replace(
            "</Relationships>",
            f'<Relationship Id="rIdFooter" Type="{RELATIONS}/footer" Target="footer1.xml"/></Relationships>',
        ),
        "[Content_Types].xml": lambda text: text.replace(
            "</Types>",
            '<Override PartName="/word/footer1.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            'wordprocessingml.footer+xml"/></Types>',
        ),
    }
    with zipfile.ZipFile(io.BytesIO(default)) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    parts |= {name: change(parts[name].decode()).encode() for name, change in changes.items()}
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in (parts | {"word/footer1.xml": FOOTER.encode()}).items():
            target.writestr(zipfile.ZipInfo(name), content)  # of 1980: no time of making
    return result.getvalue()


def _styles(text: str) -> str:
    text = re.sub(r'<w:color w:val="(?!4F81BD)[^>]*>', "", text)  # headings in black; links keep their colour
    text = re.sub(r'(<w:szC?s? w:val=")(\d+)"', lambda found: f'{found[1]}{SIZES.get(found[2], found[2])}"', text)
    text = text.replace('w:val="en-US"', 'w:val="en-GB"')
    return text.replace("<w:tblCellMar>", RULES, 1) if "<w:tblBorders>" not in text else text
