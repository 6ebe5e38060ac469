"""What the command line and the web page say in the same words."""

from __future__ import annotations

from echo_index.app.services.formatting import failure_lines


def test_many_files_that_fail_for_one_reason_have_one_line() -> None:
    photos = [(f"{number}.jpg", "OCR finds no text in it.") for number in range(20)]
    few = [("a.pdf", "It is empty."), ("b.pdf", "It is empty.")]
    assert failure_lines([few[0], *photos, few[1]]) == [
        "a.pdf: It is empty.",
        "b.pdf: It is empty.",
        "0.jpg, 1.jpg, 2.jpg and 17 others: OCR finds no text in it.",
    ]
