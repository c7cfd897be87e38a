"""Throughput over time as a picture. matplotlib is in the extra `dev`."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.scheduling.meter import Meter

INCHES: Final = (8.0, 4.5)
DOTS_PER_INCH: Final = 120


def draw(folder: Path, name: str, meters: Mapping[str, Meter], threshold: float) -> Path:
    """A PNG named after the workload: for each metric the pods a second in each window, and their mean; upstream's threshold beside them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(meters), squeeze=False)[:, 0]
    for plot, (metric, meter) in zip(axes, meters.items(), strict=True):
        windows = list(meter.windows())
        seconds = meter.times[-1] - meter.started
        moments = np.linspace(0, seconds, len(windows) + 1)
        plot.stairs(windows, moments, fill=True, alpha=0.4, label="in each window")
        plot.axhline(len(meter.times) / seconds, linewidth=1, label=f"mean {len(meter.times) / seconds:,.0f}")
        if threshold:
            plot.axhline(threshold, linewidth=1, linestyle="--", color="tab:red", label=f"upstream's threshold {threshold:g}")
        plot.set(title=metric, ylabel="pods/s", xlim=(0, seconds), ylim=(0, None))
        plot.legend(loc="upper left", fontsize="small")
    axes[-1].set_xlabel("seconds")
    figure.suptitle(name)
    path = folder / f"{name.replace('/', '_')}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
