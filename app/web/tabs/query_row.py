"""The row with a question and a button at the top of a tab."""

from __future__ import annotations

import gradio as gr

from echo_index.app.defaults import DEFAULTS

ROW_CLASS = "ask-row"


def query_row(button: str, *, elem_id: str, placeholder: str, autofocus: bool = False) -> tuple[gr.Textbox, gr.Button]:
    """Add a row with a text box for a question and a button, and return both."""
    with gr.Row(equal_height=True, elem_classes=ROW_CLASS):
        return query_inputs(button, elem_id=elem_id, placeholder=placeholder, autofocus=autofocus)


def query_inputs(
    button: str,
    *,
    elem_id: str,
    placeholder: str,
    label: str = "Question",
    button_width: int = 110,
    autofocus: bool = False,
) -> tuple[gr.Textbox, gr.Button]:
    """Add a text box for a question and a button to the current row, and return both; the width is in pixels."""
    question = gr.Textbox(
        value="",
        label=label,
        placeholder=placeholder,
        elem_id=elem_id,
        max_length=DEFAULTS.longest_question,
        autofocus=autofocus,
        scale=8,
    )
    return question, gr.Button(button, variant="primary", scale=1, min_width=button_width)
