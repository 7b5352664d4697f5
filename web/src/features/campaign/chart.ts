/** Turns a series into the geometry of the chart. Floats are fine here: nothing of this is printed. */
import type { Pacing, Series } from "../../api/types";
import { dayOf } from "../../format/format";

export interface Tolerance {
  low: number;
  high: number;
}

export interface ChartPoint {
  day: string;
  actual: number | null;
  planned: number;
  projected: number | null;
  band: [number, number] | null;
}

export interface Chart {
  points: ChartPoint[];
  /** The day of the last delivery, in the account's zone. */
  asOfDay: string | null;
}

export function chartOf(series: Series, pacing: Pacing | null, tolerance: Tolerance | null): Chart {
  const projection = projectionOf(series, pacing);
  const points = series.points.map((point, index) => {
    const planned = Number(point.planned_cumulative);
    return {
      day: point.day,
      actual: point.delivered_cumulative == null ? null : Number(point.delivered_cumulative),
      planned,
      projected: projection(index),
      band: tolerance ? bandOf(planned, tolerance) : null,
    };
  });
  const asOf = series.as_of == null ? null : dayOf(series.as_of, series.time_zone);
  return { points, asOfDay: series.points.some((point) => point.day === asOf) ? asOf : null };
}

function bandOf(planned: number, tolerance: Tolerance): [number, number] {
  return [planned * tolerance.low, planned * tolerance.high];
}

/** A straight line from what was delivered to where the server says it will end. */
function projectionOf(series: Series, pacing: Pacing | null): (index: number) => number | null {
  const from = series.points.findLastIndex((point) => point.delivered_cumulative != null);
  const to = series.points.length - 1;
  const end = pacing?.projected ? Number(pacing.projected.amount) : null;
  if (from < 0 || from >= to || end === null) return () => null;
  const start = Number(series.points[from]?.delivered_cumulative);
  return (index) => (index < from ? null : start + ((end - start) * (index - from)) / (to - from));
}
