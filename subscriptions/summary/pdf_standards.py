"""What a PDF still needs, after WeasyPrint 70 has made it, to be PDF/A-3a and PDF/UA-1 at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

import pydyf

_ATTEMPTS = 3

# XMP of PDF/UA-1, which WeasyPrint writes instead of PDF/A's, not beside it; with the description of its schema that
# PDF/A asks for (ISO 19005-3, 6.6.2.3; PDF Association TechNote 0010).
_UA_METADATA = b"""
<rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/"><pdfuaid:part>1</pdfuaid:part>\
</rdf:Description>
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" \
xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">\
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">\
<pdfaSchema:schema>PDF/UA Universal Accessibility Schema</pdfaSchema:schema>\
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>\
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">\
<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>\
<pdfaProperty:category>internal</pdfaProperty:category>\
<pdfaProperty:description>Indicates, which part of ISO 14289 standard is followed</pdfaProperty:description>\
</rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>
"""


class _Written(pydyf.Object):  # type: ignore[misc] # pydyf has no types
    """A stream in the bytes that the file will have: made once, where pydyf makes them for each time they are read."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.number = stream.number
        self._data = stream.data
        # A reader that looks for the end of the line takes a last CR of the data for part of it: ISO 19005-3, 6.1.7.1.
        if self._data.endswith(b"\r\nendstream"):
            self._data = self._data.removesuffix(b"\nendstream") + b"\r\nendstream"

    @property
    def data(self) -> bytes:
        return bytes(self._data)

    @property
    def compressible(self) -> bool:
        return False


def finish(pdf: Any) -> None:
    """Mend a ``pydyf.PDF`` just before it is written."""
    metadata = pdf.objects[int(pdf.catalog["Metadata"].split()[0])]
    metadata.compress = False  # ISO 19005-3, 6.6.2.1: no filter
    metadata.stream = [part.replace(b"</rdf:RDF>", _UA_METADATA + b"</rdf:RDF>") for part in metadata.stream]
    for at, thing in enumerate(pdf.objects):
        if not isinstance(thing, pydyf.Stream):
            continue
        if b"begincmap" in thing.stream:
            # Half of a Thai SARA AM, say: both standards want every glyph to have a character (here a word joiner).
            thing.stream = [
                line.replace(b" <>", b" <2060>") if line.endswith(b" <>") else line for line in thing.stream
            ]
        pdf.objects[at] = _Written(thing)
    pdf.write = _writer(pdf)


def _writer(pdf: Any) -> Callable[..., None]:
    """What writes the file, once more with an object of no use in it where the first one ends in doubt."""
    objects, write = list(pdf.objects), pdf.write

    def write_without_doubt(output: BinaryIO, *options: Any) -> None:
        for useless in range(_ATTEMPTS):
            pdf.objects, pdf.current_position = list(objects), 0
            for _number in range(useless):
                pdf.add_object(pydyf.Dictionary())
            content = io.BytesIO()
            write(content, *options)
            if not _ends_in_doubt(content.getvalue()):
                break
        output.write(content.getvalue())

    return write_without_doubt


def _ends_in_doubt(content: bytes) -> bool:
    """Whether a stream that pydyf itself adds last (one in a hundred files) ends in a CR; see ``_Written``."""
    return content.count(b"\r\nendstream") != content.count(b"\r\r\nendstream")
