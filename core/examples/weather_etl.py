"""A whole pipeline on real data: four years of Seattle's weather, fetched, checked, summarised week by week, and published.

    python core/examples/weather_etl.py [--output FOLDER]

It runs twice. The first run meets a service that is not ready and a report that fails its check; the second finds most of its work done.
Afterwards `headrace flow-run ls`, `headrace flow-run logs …` and `headrace artifact ls` tell what happened.
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import random
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from headrace import flow, get_run_logger, task, unmapped
from headrace.artifacts import create_markdown_artifact, create_table_artifact
from headrace.cache_policies import INPUTS
from headrace.logging.configuration import setup_logging
from headrace.transactions import Transaction, transaction
from headrace_shell import shell_run_command
from weather_service import serve

YEARS = (2012, 2013, 2014, 2015)
DAYS_OF_A_WEEK = 7


@dataclass(frozen=True)
class Day:
    """What was observed on one day."""

    date: date
    rain_mm: float
    highest_c: float
    lowest_c: float


@dataclass(frozen=True)
class Week:
    """The days of one ISO week."""

    name: str
    days: tuple[Day, ...]


@dataclass(frozen=True)
class Summary:
    """What one week was like; the mean temperature with its 95 % interval."""

    week: str
    days: int
    rain_mm: float
    mean_c: float
    low_c: float
    high_c: float


# --- extract ------------------------------------------------------------------------------------------------------------


# A year is the same wherever it is fetched from, so the address is no part of the cache key.
@task(retries=3, retry_delay_seconds=[0.1, 0.5, 2], cache_policy=INPUTS - "url", persist_result=True, task_run_name="fetch-{year}")
def fetch_year(url: str, year: int) -> str:
    try:
        with urllib.request.urlopen(f"{url}/{year}.csv", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise ConnectionError(f"The service answered {error.code} when asked for {year}") from None


@task
def parse(text: str) -> list[Day]:
    rows = csv.DictReader(io.StringIO(text))
    return [Day(date.fromisoformat(row["date"]), float(row["precipitation_mm"]), float(row["temp_max_c"]), float(row["temp_min_c"])) for row in rows]


@flow(name="collect-weather", log_prints=True)
def collect(url: str) -> list[Week]:
    """Fetch the years, refuse what cannot be true, and return the weeks."""
    texts = fetch_year.map(unmapped(url), list(YEARS))
    days: list[Day] = [day for year in parse.map(texts).result() for day in year]
    impossible = [day for day in days if day.lowest_c > day.highest_c or day.rain_mm < 0]
    if impossible or len({day.date for day in days}) != len(days):
        raise ValueError(f"{len(impossible)} days are impossible, or days come twice")
    weeks: dict[str, list[Day]] = {}
    for day in days:
        year, number, _ = day.date.isocalendar()
        weeks.setdefault(f"{year}-W{number:02}", []).append(day)
    print(f"Collected {len(days)} days in {len(weeks)} weeks")
    return [Week(name, tuple(members)) for name, members in weeks.items()]


# --- transform ----------------------------------------------------------------------------------------------------------


@task(cache_policy=INPUTS, persist_result=True, task_run_name="summarize-{week.name}")
def summarize(week: Week, resamples: int) -> Summary:
    """Estimate the week's mean temperature by drawing days again and again (a bootstrap)."""
    middles = [(day.highest_c + day.lowest_c) / 2 for day in week.days]
    draw = random.Random(week.name)
    means = sorted(sum(draw.choices(middles, k=len(middles))) / len(middles) for _ in range(resamples))
    return Summary(
        week=week.name,
        days=len(week.days),
        rain_mm=round(sum(day.rain_mm for day in week.days), 1),
        mean_c=round(sum(middles) / len(middles), 1),
        low_c=round(means[int(0.025 * resamples)], 1),
        high_c=round(means[int(0.975 * resamples)], 1),
    )


# --- load ---------------------------------------------------------------------------------------------------------------


@task
def write_report(path: Path, summaries: list[Summary]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["week", "days", "rain_mm", "mean_c", "low_c", "high_c"])
        writer.writerows([one.week, one.days, one.rain_mm, one.mean_c, one.low_c, one.high_c] for one in summaries)


@write_report.on_rollback
def take_back_report(txn: Transaction) -> None:
    path = Path(txn.get("path"))
    path.unlink()
    print(f"Rolled back: {path.name} is removed")


@task
def check_report(path: Path) -> int:
    rows = list(csv.DictReader(path.open()))
    short = [row["week"] for row in rows if int(row["days"]) != DAYS_OF_A_WEEK]
    if short:
        raise ValueError(f"weeks without seven days: {', '.join(short)}")
    return len(rows)


def publish(path: Path, summaries: list[Summary]) -> int:
    """Write the report and check it: both, or neither."""
    with transaction() as txn:
        txn.set("path", str(path))
        write_report(path, summaries)
        return check_report(path)


@task
def describe(summaries: list[Summary], rows: int) -> None:
    hottest = sorted(summaries, key=lambda one: one.mean_c)[-3:]
    wettest = sorted(summaries, key=lambda one: one.rain_mm)[-3:]
    create_table_artifact(
        key="extreme-weeks",
        table=[
            {"week": one.week, "mean °C": one.mean_c, "95 %": f"{one.low_c} to {one.high_c}", "rain mm": one.rain_mm} for one in hottest + wettest
        ],
        description="The three hottest and the three wettest weeks",
    )
    wet = max(summaries, key=lambda one: one.rain_mm)
    create_markdown_artifact(
        key="weather-report",
        markdown=f"# Seattle, {YEARS[0]} to {YEARS[-1]}\n\n{rows} whole weeks. The wettest, {wet.week}, brought {wet.rain_mm} mm.",
    )


@flow(name="weather-etl", log_prints=True)
def weather_etl(url: str, output: Path, resamples: int = 4_000) -> int:
    """Collect, summarise and publish the weather. Returns how many weeks were published."""
    weeks = collect(url)
    summaries: list[Summary] = summarize.map(weeks, unmapped(resamples)).result()
    print(f"Summarised {len(summaries)} weeks, each in a task run of its own")

    path = output / "weeks.csv"
    try:
        rows = publish(path, summaries)
    except ValueError as error:
        get_run_logger().warning("The report was not published (%s); publishing whole weeks only", error)
        rows = publish(path, [one for one in summaries if one.days == DAYS_OF_A_WEEK])

    describe(summaries, rows)
    shell_run_command(f"wc -l < '{path}' && tail -n 2 '{path}'")
    return rows


# --- run ----------------------------------------------------------------------------------------------------------------


class QuietSuccess(logging.Filter):
    """Keeps the lines of hundreds of tasks that went well out of the terminal; `headrace flow-run logs` has them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name != "headrace.task_runs" or record.getMessage() not in ("Finished in state Completed()", "Finished in state Cached()")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Run the weather pipeline twice.")
    arguments.add_argument("--output", type=Path, default=Path("weather-report"), help="folder of the report (default: %(default)s)")
    output: Path = arguments.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    setup_logging()
    for handler in logging.getLogger().handlers:
        handler.addFilter(QuietSuccess())

    seconds: list[float] = []
    with serve() as service:
        for number in ("First", "Second"):
            print(f"\n{number} run", flush=True)
            begun = time.perf_counter()
            rows = weather_etl(service.url, output)
            seconds.append(time.perf_counter() - begun)

    first, second = seconds
    print(f"\nPublished {rows} whole weeks in {output / 'weeks.csv'}")
    print(f"The service answered {service.answers[503]} times '503, try again' and {service.answers[200]} times with data")
    print(f"First run {first:.1f} s; second run {second:.1f} s, with the fetched years and the weeks' summaries from the cache")


if __name__ == "__main__":
    main()
