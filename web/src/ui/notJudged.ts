import type { Line } from "../api/types";
import type { MessageId } from "../app/messages";
import type { Text } from "./text";

type Reason = NonNullable<Line["not_judged_because"]>;

const WORDS: Readonly<Record<Reason, MessageId>> = {
  outside_flight: "not-judged.outside_flight",
  no_complete_day: "not-judged.no_complete_day",
  no_own_budget: "not-judged.no_own_budget",
  no_daily_budget: "not-judged.no_daily_budget",
  data_not_settled: "not-judged.data_not_settled",
  history_missing: "not-judged.history_missing",
  spend_withheld: "not-judged.spend_withheld",
  other_currency: "not-judged.other_currency",
};

/** Why something is not judged, in a few words. A reason that this version does not know is shown, not hidden. */
export function notJudgedWord(text: Text, reason: string): string {
  return reason in WORDS ? text(WORDS[reason as Reason]) : reason.replaceAll("_", " ");
}

/** Why something is not judged, in a sentence. */
export function notJudgedSentence(text: Text, reason: string): string {
  return reason in WORDS
    ? text(`${WORDS[reason as Reason]}.help` as MessageId)
    : `${reason.replaceAll("_", " ")}.`;
}
