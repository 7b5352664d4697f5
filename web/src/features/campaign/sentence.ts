import type { Pacing } from "../../api/types";
import { divide, subtract } from "../../format/decimal";
import { money, ratio, ratioChange } from "../../format/format";
import type { Text } from "../../ui/text";

/** "96% — on pace; at this rate ends at €48,100 of €50,000 (-3.8%)." */
export function pacingSentence(text: Text, pace: string, pacing: Pacing): string {
  const judged = text("campaign.sentence.pace", {
    index: pacing.index == null ? text("figure.none") : ratio(pacing.index),
    pace: pace in PACE_WORDS ? text(PACE_WORDS[pace as keyof typeof PACE_WORDS]) : pace,
  });
  if (!pacing.projected) return `${judged}.`;
  const { projected, budget } = pacing;
  const off = divide(subtract(projected.amount, budget.amount), budget.amount);
  const end = text("campaign.sentence.end", { projected: money(projected), budget: money(budget) });
  return off === null ? `${judged}; ${end}.` : `${judged}; ${end} (${ratioChange(off)}).`;
}

const PACE_WORDS = {
  behind: "pace.behind.lower",
  on_pace: "pace.on_pace.lower",
  ahead: "pace.ahead.lower",
  not_judged: "pace.not_judged.lower",
} as const;
