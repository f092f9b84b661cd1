#!/usr/bin/env python3
"""Draws the dashboards of this folder without Grafana: asks a Prometheus for every panel's query and
makes a PNG of each dashboard.

    python3 -m venv venv && venv/bin/pip install matplotlib
    venv/bin/python deploy/grafana/plot.py --prometheus http://127.0.0.1:9090 --minutes 30 --out /tmp/pictures

`--marks` is a JSON list of {name, start, end} in Unix time: drawn as numbered bands, and the range if
`--minutes` is absent. The test of faults writes one (docs/operating/faults.md). `--rate` is what
Grafana's $__rate_interval becomes: four scrapes or more.
"""

import argparse
import json
import math
import pathlib
import re
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter
from PIL import Image

COLUMNS = 2
# More have no room; the others are drawn all the same.
LEGENDS = 8
BAND = "#f2c14e"


def ask(prometheus, expression, start, end, step):
    """The series of a query, as (labels, times, values)."""
    arguments = {"query": expression, "start": start, "end": end, "step": step}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(arguments)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    for series in result:
        # Where nothing was scraped the line shall break.
        samples = {float(at): float(value) for at, value in series["values"]}
        count = round((end - start) / step) + 1
        times = [start + index * step for index in range(count)]
        nearest = {round((at - start) / step): value for at, value in samples.items()}
        values = [nearest.get(index, math.nan) for index in range(count)]
        yield series["metric"], times, values


def shown(unit):
    """How Grafana's unit shows a number."""

    def scaled(value, base, suffixes):
        for suffix in suffixes[:-1]:
            if abs(value) < base:
                return f"{value:.4g}{suffix}"
            value /= base
        return f"{value:.3g}{suffixes[-1]}"

    def show(value, _):
        if unit in ("bytes", "Bps"):
            return scaled(value, 1024, [" B", " KiB", " MiB", " GiB"]) + ("/s" if unit == "Bps" else "")
        if unit == "percentunit":
            return f"{100 * value:.3g} %"
        if unit == "s":
            return f"{value:.3g} s" if abs(value) >= 1 or value == 0 else f"{1000 * value:.3g} ms"
        return scaled(value, 1000, ["", " k", " M", " G"])

    return FuncFormatter(show)


def draw_panel(axes, panel, arguments, begun):
    lines = []
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", arguments.rate)
        found = ask(arguments.prometheus, expression, arguments.start, arguments.end, arguments.step)
        for labels, times, values in found:
            name = re.sub(r"{{\s*(\w+)\s*}}", lambda it: labels.get(it[1], ""), target["legendFormat"])
            if known := [value for value in values if math.isfinite(value)]:
                minutes = [(at - begun) / 60 for at in times]
                lines.append((min(known), max(known), name.strip(), minutes, values))
    # Those that move most are named.
    lines.sort(key=lambda line: line[0] - line[1])
    for index, (_, _, name, times, values) in enumerate(lines):
        axes.plot(times, values, linewidth=1, label=name if name and index < LEGENDS else "_")
    for number, mark in enumerate(arguments.bands, 1):
        start, end = ((mark[side] - begun) / 60 for side in ("start", "end"))
        axes.axvspan(start, end, color=BAND, alpha=0.3, linewidth=0)
        axes.text((start + end) / 2, 1.0, str(number), transform=axes.get_xaxis_transform(),
                  ha="center", va="bottom", fontsize=6, color="#7a5c00")
    axes.set_title(panel["title"], fontsize=8, loc="left", pad=10)
    axes.yaxis.set_major_formatter(shown(panel["fieldConfig"]["defaults"]["unit"]))
    axes.set_xlim(0, (arguments.end - begun) / 60)
    low, high = (function([0, *(line[at] for line in lines)]) for at, function in enumerate((min, max)))
    axes.set_ylim(low, low + 1.05 * (high - low) if high > low else 1)
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.25, linewidth=0.5)
    if not lines:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center")
    elif axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=5, loc="upper left", bbox_to_anchor=(1, 1.02), frameon=False,
                    borderpad=0.2, labelspacing=0.2, handlelength=1.2)
    return lines


def draw(dashboard, arguments, path):
    panels = dashboard["panels"]
    rows = -(-len(panels) // COLUMNS)
    figure, grid = pyplot.subplots(rows, COLUMNS, figsize=(12, 1.9 * rows + 1.2), squeeze=False)
    cells = [cell for row in grid for cell in row]
    empty = [panel["title"] for cell, panel in zip(cells, panels)
             if not draw_panel(cell, panel, arguments, arguments.start)]
    for cell in cells[len(panels):]:
        cell.axis("off")
    legend = "; ".join(f"{number} {mark['name']}" for number, mark in enumerate(arguments.bands, 1))
    figure.suptitle(dashboard["title"] + " (minutes)", fontsize=11)
    figure.text(0.01, 0.004, legend, fontsize=6, wrap=True)
    figure.tight_layout(rect=(0, 0.02, 1, 0.99))
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
    # A palette is enough for lines, and a third of the size.
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return empty


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--marks", type=pathlib.Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rate", default="10s")
    arguments = parser.parse_args()
    arguments.bands = json.loads(arguments.marks.read_text()) if arguments.marks else []
    arguments.end, arguments.start = time.time(), None
    if arguments.minutes:
        arguments.start = arguments.end - 60 * arguments.minutes
    elif arguments.bands:
        arguments.start, arguments.end = arguments.bands[0]["start"] - 15, arguments.bands[-1]["end"] + 15
    else:
        parser.error("--minutes or --marks must say which time")
    # Prometheus gives 11,000 points at most, and a picture has fewer.
    arguments.step = max(1, round((arguments.end - arguments.start) / 1500))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for source in sorted(pathlib.Path(__file__).parent.glob("*.json")):
        path = arguments.out / f"{source.stem}.png"
        empty = draw(json.loads(source.read_text()), arguments, path)
        print(f"{path}: {path.stat().st_size // 1024} KiB" + (f", no data: {empty}" if empty else ""))


if __name__ == "__main__":
    main()
