"""Small documents that use all features of their format."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

MARKDOWN = """\
---
author: someone
title: "The \\"real\\" title"
# Not a heading: a comment
---

First `code` & *more*
=====================

text

```
# not this one
```

    # nor this

## Second [link](http://x) ##

> # quoted

Third
---
"""


RST = """\
.. unknown-directive:: x

    Inner
    =====

==========
 The *Book*
==========

A :nonsense:`role` and a |missing| one.

.. include:: /etc/passwd

::

    Part
    ----

Part
----

Inner
~~~~~

Part
----
"""


PYTHON = """\
import x

@decorated
@twice
class Outer(Base):
    if True:
        async def method(self):
            def inner(): ...

def last(): return "\\d"
"""


PAGE = """\
<!doctype html><html><head><meta charset="utf-8"><title> The
 page </title><style>p{}</style></head><body>
<nav>menu</nav><header>banner</header>
<main>
<header><h1>Main <em>head</em><br>line<a class="headerlink" href="#x">¶</a></h1></header>
<p>One&nbsp;two   <b>bo</b>ld &amp; <i>it</i><br>next<script>evil()</script></p>loose
<ul><li>first <p>para</p></li><li>second<ul><li>inner</li></ul></li></ul>
<pre>
  def f():
      <b>return</b> 1
</pre>
<table><tr><th>a</th><th>b</th></tr><tr><td>1<br>2</td><td></td><td><p>3</p></td></tr></table>
<dl><dt>term</dt><dd>meaning</dd></dl>
<h2 hidden>no</h2><h2></h2><h2>Two</h2><form><button>Press</button><input type=hidden value=x></form>
<span class="sr-only">no</span><template>no</template><svg><title>no</title></svg><noscript>no</noscript>
</main><aside>side</aside><footer>foot</footer></body></html>"""


def pdf_file(
    pages: list[str],
    *,
    title: str = "",
    outline: Sequence[tuple[str, int]] = (),
    encrypt: str = "",
    compress: bool = False,
) -> bytes:
    """Return a PDF of hand-written objects: one line of Helvetica for each line of a page, and a flat outline."""
    first_entry = 4 + 2 * len(pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    last_entry = first_entry + len(outline) - 1
    outlines = f"/Outlines {last_entry + 1} 0 R" if outline else ""
    objects = [
        f"<</Type/Catalog/Pages 2 0 R{outlines}>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, page in enumerate(pages):
        lines = "".join(f"({line}) Tj 0 -20 Td " for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 50 700 Td {lines} ET"
        if compress:
            stream = zlib.compress(stream.encode("latin-1"), 1).decode("latin-1")
        objects.append(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>"
            f"/Contents {5 + 2 * number} 0 R>>"
        )
        coding = "/Filter/FlateDecode" if compress else ""
        objects.append(f"<<{coding}/Length {len(stream)}>>stream\n{stream}\nendstream")
    for number, (name, page_number) in enumerate(outline):
        following = f"/Next {first_entry + number + 1} 0 R" if number + 1 < len(outline) else ""
        before = f"/Prev {first_entry + number - 1} 0 R" if number else ""
        page_object = 4 + 2 * page_number
        objects.append(f"<</Title({name})/Parent {last_entry + 1} 0 R{following}{before}/Dest[{page_object} 0 R/Fit]>>")
    if outline:
        objects.append(f"<</Type/Outlines/First {first_entry} 0 R/Last {last_entry} 0 R/Count {len(outline)}>>")
    objects.append(f"<</Title({title})>>")
    content, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"<</Size {len(objects) + 1}/Root 1 0 R/Info {len(objects)} 0 R{encrypt}>>"
    start = len(content)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    return content + f"{head}{table}trailer{trailer}\nstartxref\n{start}\n%%EOF".encode()
