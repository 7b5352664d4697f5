import { Text } from "@mantine/core";
import type { CampaignSummary, Line } from "../api/types";
import { flight, money } from "../format/format";
import { Mark } from "./Mark";
import { notJudgedWord } from "./notJudged";
import { PaceBar } from "./PaceBar";
import { useText } from "./text";

type Judged = Pick<CampaignSummary | Line, "pace" | "pacing" | "not_judged_because" | "delivered">;

/** How something does, or why that can't be said. */
export function PaceCell({ of }: { of: Judged }) {
  const text = useText();
  return (
    <span className="pace-cell">
      <Mark kind="pace" state={of.pace} />
      {of.not_judged_because ? (
        <Text size="xs" c="dimmed" component="span">
          {notJudgedWord(text, of.not_judged_because)}
        </Text>
      ) : (
        <PaceBar index={of.pacing?.index} />
      )}
    </span>
  );
}

/** What was spent: what it is judged by, else what is known, with the days that are. */
export function DeliveredCell({ of }: { of: Judged }) {
  const text = useText();
  if (of.pacing) return money(of.pacing.delivered);
  if (!of.delivered) return text("figure.none");
  const { amount, days } = of.delivered;
  return (
    <>
      {money(amount)}
      <Text size="xs" c="dimmed" className="nowrap">
        {flight(days.first, days.last)}
      </Text>
    </>
  );
}
