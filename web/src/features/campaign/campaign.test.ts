import { describe, expect, it } from "vitest";
import { createIntl } from "react-intl";
import type { Series } from "../../api/types";
import { messages, type MessageId } from "../../app/messages";
import { pacing } from "../../test/fixtures";
import { chartOf } from "./chart";
import { pacingSentence } from "./sentence";

const intl = createIntl({ locale: "en", messages });
const text = (id: MessageId, values?: Record<string, string | number>) =>
  intl.formatMessage({ id }, values);

describe("the sentence", () => {
  it("says the index, the judgement, the end and how far off that is", () => {
    expect(pacingSentence(text, "on_pace", pacing)).toBe(
      "96% — on pace; at this rate ends at €48,100.00 of €50,000.00 (-3.8%).",
    );
  });

  it("does not promise an end that the server does not know", () => {
    expect(pacingSentence(text, "not_judged", { ...pacing, index: null, projected: null })).toBe(
      "– — not judged yet.",
    );
  });

  it("has no percentage of a budget of nothing", () => {
    const none = { ...pacing, budget: { amount: "0", currency: "EUR" } };
    expect(pacingSentence(text, "ahead", none)).not.toContain("(");
  });
});

describe("the curve", () => {
  const point = (day: string, delivered: string | null, planned: string) => ({
    day,
    delivered,
    planned: "10",
    delivered_cumulative: delivered,
    planned_cumulative: planned,
  });
  const series: Series = {
    currency: "EUR",
    time_zone: "Asia/Tokyo",
    as_of: "2026-11-20T16:00:00Z",
    points: [
      point("2026-11-20", "10", "10"),
      point("2026-11-21", "18", "20"),
      point("2026-11-22", null, "30"),
      point("2026-11-23", null, "40"),
    ],
    markers: [],
  };

  it("goes straight from what was delivered to where it will end", () => {
    const end = { ...pacing, projected: { amount: "38", currency: "EUR" } };
    const { points } = chartOf(series, end, null);
    expect(points.map((one) => one.projected)).toEqual([null, 18, 28, 38]);
    expect(points.map((one) => one.actual)).toEqual([10, 18, null, null]);
  });

  it("puts the as-of line on the account's day", () => {
    expect(chartOf(series, null, null).asOfDay).toBe("2026-11-21");
  });

  it("draws the rule's tolerance, and none without a rule", () => {
    const band = chartOf(series, null, { low: 0.5, high: 2 }).points[0]?.band;
    expect(band).toEqual([5, 20]);
    expect(chartOf(series, null, null).points[0]?.band).toBeNull();
  });
});
