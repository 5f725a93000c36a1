"""Compare registration, traces and activity with other packages, on one core.

    python benchmarks/imaging.py [--data FOLDER]

512 x 512 int16 frames. Other packages run in the same process, in turns with ours.
Writes `benchmarks/results/imaging.json` and the plot `imaging.png`. FOLDER holds files
of neurofinder 00.00 (see `detection.py`). Packages and files that are missing are left
out with a notice; the results are then written to `imaging.quick.json` and
`imaging.quick.png`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import call_timing

call_timing.pin_to_one_core()

import detection  # noqa: E402  # after the threads are counted
import peers  # noqa: E402
import registration  # noqa: E402
import scaling  # noqa: E402
import traces  # noqa: E402
from registration import MethodResult  # noqa: E402
from result_files import (  # noqa: E402
    describe_machine,
    get_result_path,
    write_results,
)
from test_data import TEST_DATA  # noqa: E402

DATA = TEST_DATA / "twophoton"
OPENCV_RECIPE = "OpenCV recipe (2x, blur)"


def main() -> None:
    """Run everything, print the tables, write the figures."""
    data = _parse_arguments().data
    rigid = registration.compare_rigid()
    nonrigid = registration.compare_nonrigid()
    _print_rows("rigid estimate", rigid)
    _print_rows("motion by rows", nonrigid)
    extraction = traces.compare_extraction()
    _print_numbers("traces of cells and neuropil, by number of ROIs", extraction)
    deconvolution = traces.compare_deconvolution()
    _print_numbers("deconvolution", {"all": deconvolution})
    agreement = traces.compare_traces()
    _print_numbers("traces against truth, r", agreement)
    processor = traces.measure_frame_processor()
    maximin = traces.compare_dff_with_maximin()
    _print_numbers("all processing of a frame, 1000 ROIs", {"all": processor})
    _print_numbers("dF/F against maximin, offline", {"all": maximin})
    voltage, costs = scaling.measure_voltage_imaging(), scaling.measure_scaling()
    _print_numbers("128 x 128 at 1 kHz", {"all": voltage})
    _print_numbers("cost, ms", costs)
    figures = _summarize_registration(rigid, nonrigid)
    figures |= {
        "pipeline_ms_p50": processor["p50_ms"],
        "pipeline_ms_p99": processor["p99_ms"],
        "extract_ratio_to_scipy": {n: v["ratio"] for n, v in extraction.items()},
        "deconvolution_us": deconvolution["us"],
        "trace_r_hi": agreement["hi"]["ours"],
        "trace_r_lo": agreement["lo"]["ours"],
        **_score_detection(data),
        "more": {
            "extraction": extraction,
            "deconvolution": deconvolution,
            "traces": agreement,
            "frame_processor": processor,
            "dff_against_maximin": maximin,
            "voltage_128px": voltage,
            "cost_ms": costs,
            "rigid": [vars(row) for row in rigid],
            "nonrigid": [vars(row) for row in nonrigid],
        },
        "machine": describe_machine(),
    }
    quick = not _is_complete(figures)
    path = write_results("imaging", figures, quick=quick)
    plot = get_result_path("imaging", quick=quick, suffix=".png")
    scaling.draw_scaling(costs, plot)
    print(f"written to {path} and {plot.name}")


def _is_complete(figures: dict[str, Any]) -> bool:
    """Return whether no package and no file was missing."""
    more = figures["more"]
    return (
        len(more["rigid"]) == 1 + len(peers.RIGID)
        and len(more["nonrigid"]) == 1 + len(peers.NONRIGID)
        and "oasis_us" in more["deconvolution"]
        and figures["roi_recall"] is not None
    )


def _summarize_registration(
    rigid: list[MethodResult], nonrigid: list[MethodResult]
) -> dict[str, Any]:
    ours = rigid[0]
    recipe = next((row for row in rigid if row.name == OPENCV_RECIPE), None)
    return {
        "rigid_ratio_to_opencv": recipe.ratio if recipe else None,
        "rigid_error_px_hi": ours.error_px["hi"][0],
        "rigid_error_px_lo": ours.error_px["lo"][0],
        "nonrigid_ms": nonrigid[0].p50_ms,
        "nonrigid_error_px": nonrigid[0].error_px["hi"][0],
    }


def _score_detection(data: Path) -> dict[str, float | None]:
    score = detection.measure_on_neurofinder(data)
    if score is None:
        print(f"\nno {detection.MOVIE} in {data}: the neuron detector is not scored")
        return {"roi_precision": None, "roi_recall": None}
    _print_numbers("neuron detector", {"00.00, crop": score})
    return {"roi_precision": score["precision"], "roi_recall": score["recall"]}


def _print_rows(title: str, rows: list[MethodResult]) -> None:
    head = f"{'p50 ms':>9}{'p99 ms':>9}{'ours/theirs':>13}"
    print(f"\n{title:36}{head}{'error px, hi':>20}{'lo':>16}")
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio else ""
        errors = "".join(
            f"{f'{median:.3f} / {p95:.3f}':>18}"
            for median, p95 in row.error_px.values()
        )
        print(f"{row.name:36}{row.p50_ms:9.2f}{row.p99_ms:9.2f}{ratio:>13}{errors}")


def _print_numbers(title: str, table: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}")
    for name, numbers in table.items():
        words = ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
        print(f"  {name:14}{words}")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder of the neurofinder files"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
