"""Theme, style sheet and scripts of the page; none of them is loaded from another server."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import gradio as gr

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif")
_CODE_FONTS = ("ui-monospace", "SFMono-Regular", "DejaVu Sans Mono", "monospace")


def theme() -> gr.themes.Base:
    """Return the theme: system fonts and one accent colour, in light and dark."""
    return gr.themes.Soft(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="md",
        font=_FONTS,
        font_mono=_CODE_FONTS,
    ).set(
        # The default greys and greens of the theme have too little contrast on white.
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        color_accent="*primary_700",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_600",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_800",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_200",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_title_text_weight="600",
        block_title_padding="0",
        block_shadow="none",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        checkbox_border_color="*neutral_400",
        checkbox_border_color_dark="*neutral_500",
        input_shadow="none",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_600",
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
    )


@cache
def asset(name: str) -> str:
    """Return the text of a style sheet or script in assets/."""
    return (files("echo_index.app.web") / "assets" / name).read_text(encoding="utf-8")


def interactive_html(value: str = "", *, elem_id: str, label: str, script: str = "") -> gr.HTML:
    """Return an HTML component whose buttons trigger the events `open`, `similar`, `back` and `turn`.

    `script` is the name of another script in assets/ that runs when the component is loaded.
    """
    scripts = asset("actions.js") + (asset(script) if script else "")
    return gr.HTML(value, elem_id=elem_id, label=label, js_on_load=scripts, apply_default_css=False)
