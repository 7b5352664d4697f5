/** The pacing curve. Loaded on demand: the chart library is the largest part of the application. */
import {
  Area,
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceDot,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import type { Series } from "../../api/types";
import { day, dayShort, money, moneyTick } from "../../format/format";
import { useText, type Text } from "../../ui/text";
import type { Chart } from "./chart";

interface Props {
  chart: Chart;
  series: Series;
}

const HEIGHT = 340;

export default function PacingChart({ chart, series }: Props) {
  const text = useText();
  const { currency } = series;
  const actualOn = new Map(chart.points.map((point) => [point.day, point.actual ?? point.planned]));
  return (
    <figure className="curve" aria-label={text("curve.label")}>
      <Legend text={text} banded={chart.points.some((point) => point.band)} />
      <ResponsiveContainer width="100%" height={HEIGHT}>
        <ComposedChart
          data={chart.points}
          margin={{ top: 18, right: 12, bottom: 4, left: 4 }}
          title={text("curve.title", { currency })}
          desc={text("curve.keyboard")}
        >
          <CartesianGrid vertical={false} stroke="var(--clp-grid)" />
          <XAxis
            dataKey="day"
            tickFormatter={dayShort}
            minTickGap={36}
            stroke="var(--clp-axis)"
            tick={{ fill: "var(--clp-axis-text)", fontSize: 12 }}
          />
          <YAxis
            width={72}
            tickFormatter={(value: number) => moneyTick(value, currency)}
            stroke="var(--clp-axis)"
            tick={{ fill: "var(--clp-axis-text)", fontSize: 12 }}
          />
          <Area
            dataKey="band"
            stroke="none"
            fill="var(--clp-band)"
            isAnimationActive={false}
            activeDot={false}
          />
          <Line
            dataKey="planned"
            stroke="var(--clp-planned)"
            strokeWidth={2}
            strokeDasharray="7 5"
            dot={false}
            isAnimationActive={false}
          />
          <Line
            dataKey="projected"
            stroke="var(--clp-actual)"
            strokeWidth={2}
            strokeDasharray="2 4"
            dot={false}
            isAnimationActive={false}
          />
          <Line
            dataKey="actual"
            stroke="var(--clp-actual)"
            strokeWidth={2.5}
            dot={false}
            isAnimationActive={false}
          />
          {chart.asOfDay ? (
            <ReferenceLine
              x={chart.asOfDay}
              stroke="var(--clp-axis-text)"
              label={{
                value: text("curve.as-of"),
                position: "top",
                fill: "var(--clp-axis-text)",
                fontSize: 12,
              }}
            />
          ) : null}
          {series.markers.map((marker) => (
            <ReferenceDot
              key={marker.proposal_id + marker.at}
              x={marker.day}
              y={actualOn.get(marker.day) ?? 0}
              r={6}
              fill={marker.kind === "write_back" ? "var(--clp-marker)" : "var(--clp-surface)"}
              stroke="var(--clp-marker)"
              strokeWidth={2}
            />
          ))}
          <Tooltip isAnimationActive={false} content={<PointCard series={series} />} />
        </ComposedChart>
      </ResponsiveContainer>
      <Markers series={series} />
    </figure>
  );
}

interface PointCardProps {
  series: Series;
  /** Given by the chart. */
  active?: boolean;
  label?: string;
}

/** What the point says, from the server's own strings. */
function PointCard({ series, active, label: on }: PointCardProps) {
  const text = useText();
  if (!active || on === undefined) return null;
  const point = series.points.find((one) => one.day === on);
  if (!point) return null;
  const amount = (value: string | null | undefined) =>
    value == null ? text("figure.none") : money({ amount: value, currency: series.currency });
  return (
    <div className="point-card">
      <b>{day(on)}</b>
      <dl>
        <dt>{text("curve.actual")}</dt>
        <dd>{amount(point.delivered_cumulative)}</dd>
        <dt>{text("curve.planned")}</dt>
        <dd>{amount(point.planned_cumulative)}</dd>
        <dt>{text("curve.that-day")}</dt>
        <dd>{amount(point.delivered)}</dd>
      </dl>
      {series.markers
        .filter((marker) => marker.day === on)
        .map((marker) => (
          <div key={marker.proposal_id + marker.at}>{marker.title}</div>
        ))}
    </div>
  );
}

function Legend({ text, banded }: { text: Text; banded: boolean }) {
  return (
    <ul className="legend">
      <li>
        <svg width="26" height="10" aria-hidden>
          <path d="M0 5h26" stroke="var(--clp-actual)" strokeWidth="2.5" />
        </svg>
        {text("curve.actual")}
      </li>
      <li>
        <svg width="26" height="10" aria-hidden>
          <path d="M0 5h26" stroke="var(--clp-planned)" strokeWidth="2" strokeDasharray="7 5" />
        </svg>
        {text("curve.planned")}
      </li>
      <li>
        <svg width="26" height="10" aria-hidden>
          <path d="M0 5h26" stroke="var(--clp-actual)" strokeWidth="2" strokeDasharray="2 4" />
        </svg>
        {text("curve.projected")}
      </li>
      {banded ? (
        <li>
          <svg width="26" height="12" aria-hidden>
            <rect width="26" height="12" fill="var(--clp-band)" />
          </svg>
          {text("curve.band")}
        </li>
      ) : null}
    </ul>
  );
}

function Markers({ series }: { series: Series }) {
  const text = useText();
  if (series.markers.length === 0) return null;
  return (
    <ul className="legend" aria-label={text("curve.markers")}>
      {series.markers.map((marker) => (
        <li key={marker.proposal_id + marker.at}>
          <svg width="12" height="12" aria-hidden>
            <circle
              cx="6"
              cy="6"
              r="4.5"
              fill={marker.kind === "write_back" ? "var(--clp-marker)" : "var(--clp-surface)"}
              stroke="var(--clp-marker)"
              strokeWidth="2"
            />
          </svg>
          {day(marker.day)}: {marker.title}
        </li>
      ))}
    </ul>
  );
}
