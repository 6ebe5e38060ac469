"""Plot the results of an evaluation: one bar for each row, grouped by data set."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import EchoIndexError, MissingPackage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from echo_index.retriever.evaluation.results import DatasetResult

PLOT_SUFFIXES = (".svg", ".png")

_COLOURS = (  # of Okabe and Ito, distinguishable with colour blindness, then paler variants
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#999999", "#F0E442",
    "#7FB8D8", "#F2CF80", "#7FCEB9", "#EAAE7F",
)  # fmt: skip
_BAR_WIDTH = 0.16  # inches
_GROUP_GAP = 2.5  # in bar widths
_MIN_WIDTH = 6.0  # inches
_PANEL_HEIGHT = 3.4  # inches


def require_matplotlib() -> None:
    """Check that matplotlib is installed.

    Raises:
        MissingPackage: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingPackage(
            "A plot needs the package matplotlib.", remedy="Install it: pip install 'echo-index[evaluation]'"
        )


def draw_scores(results: Sequence[DatasetResult], path: Path) -> None:
    """Plot the first metric of each row and data set, rankings above similarities; the suffix sets the format.

    Raises:
        MissingPackage: matplotlib is not installed.
        EchoIndexError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    panels = [panel for kind in ("rankings", "similarities") if (panel := _results_of_kind(results, kind))]
    colours = _assign_colours(results)
    bars = max(sum(len(result.rows) + _GROUP_GAP for result in panel) for panel in panels)
    width = max(_MIN_WIDTH, 1.0 + _BAR_WIDTH * bars)
    figure = Figure(figsize=(width, _PANEL_HEIGHT * len(panels) + 0.6), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for panel, axis in zip(panels, axes, strict=True):
        _draw_panel(axis, panel, colours)
        axis.set_xlim(-1, bars - _GROUP_GAP)  # bars of the same width in both panels
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        handles.values(), handles, loc="outside upper left", ncols=max(1, int(width / 1.5)), frameon=False, fontsize=9
    )
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise EchoIndexError(f"{path} cannot be written: {error.strerror}.") from None


def _results_of_kind(results: Sequence[DatasetResult], kind: str) -> list[DatasetResult]:
    return [result for result in results if result.kind == kind]


def _assign_colours(results: Sequence[DatasetResult]) -> dict[str, str]:
    """Return a colour for each row, the same in all groups."""
    names = dict.fromkeys(row.row for result in results for row in result.rows)
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def _draw_panel(axis: Axes, panel: Sequence[DatasetResult], colours: dict[str, str]) -> None:
    [metric, *_] = panel[0].metrics
    left = 0.0
    centres = []
    for result in panel:
        for number, row in enumerate(result.rows):
            axis.bar(left + number, row.scores[metric], width=0.9, color=colours[row.row], label=row.row)
        centres.append(left + (len(result.rows) - 1) / 2)
        left += len(result.rows) + _GROUP_GAP
    lowest = min([0.0, *(row.scores[metric] for result in panel for row in result.rows)])
    axis.set_ylim(lowest, 100)
    axis.set_ylabel(f"{metric} ×100")
    axis.set_xticks(centres, [result.collection for result in panel])
    if any(len(result.collection) > len(result.rows) + 4 for result in panel):
        axis.tick_params(axis="x", labelrotation=20)
    axis.tick_params(axis="x", length=0)
    axis.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
