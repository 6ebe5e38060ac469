"""Build the equations of RTF, whose control words are the names of Office's XML behind an "m"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import full_names

if TYPE_CHECKING:
    from lxml.etree import _Element

EQUATION = "moMath"
"""The word of the group of an equation."""

ELEMENTS = frozenset(
    """
    mr mf mfPr mtype mnum mden mrad mradPr mdegHide mdeg me msSup msSub msSubSup msPre msup msub mnary mnaryPr mchr
    md mdPr mbegChr mendChr msepChr mfunc mfName mlimLow mlimUpp mlim mm mmr meqArr macc maccPr mbar mbarPr mpos
    mbox mborderBox mgroupChr mphant mphantPr mshow
    """.split()
)
"""The words of the groups in an equation of which the text depends."""

_RUN = "mr"


def new_element(word: str, parent: _Element | None) -> _Element:
    """Return the element for a word, in its parent if there is one."""
    from lxml import etree

    tag = full_names(f"m:{word[1:]}")[0]
    return etree.Element(tag) if parent is None else etree.SubElement(parent, tag)


def set_text(element: _Element, text: str, *, word: str) -> None:
    """Put the text of a group into its element: of a run it is seen, of others it is their value."""
    if word == _RUN:
        new_element("mt", element).text = "".join(filter(str.isprintable, text))
    elif text.strip():
        element.set(full_names("m:val")[0], "".join(filter(str.isprintable, text.strip())))
