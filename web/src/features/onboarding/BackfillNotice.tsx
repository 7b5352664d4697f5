import { Alert, Progress, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { CalendarClock } from "lucide-react";
import { onboardingQuery } from "../../api/queries";
import { count } from "../../format/format";
import { useText } from "../../ui/text";

/** The dashboard opened early; this says what is still on its way. Gone when the onboarding is done. */
export function BackfillNotice() {
  const text = useText();
  const onboarding = useQuery(onboardingQuery()).data;
  if (onboarding?.state !== "ready") return null;
  const backfill = onboarding.steps.find((step) => step.key === "backfill");
  const done = backfill?.done ?? null;
  const total = backfill?.total ?? null;
  const measured = done !== null && total !== null && total > 0;
  return (
    <Alert
      role="group"
      aria-label={text("backfill.title")}
      color="ink"
      variant="light"
      icon={<CalendarClock aria-hidden size={18} />}
      title={text("backfill.title")}
    >
      <Text size="sm">
        {backfill?.detail ?? text("backfill.sentence")}
        {measured ? ` ${text("backfill.of", { done: count(done), total: count(total) })}` : null}
      </Text>
      {measured ? (
        <Progress
          value={(100 * done) / total}
          size="sm"
          mt={8}
          maw={420}
          aria-label={text("backfill.title")}
        />
      ) : null}
    </Alert>
  );
}
