import { Group, Text, Title, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Check, Ellipsis, TriangleAlert, X, type LucideIcon } from "lucide-react";
import type { Run } from "../../api/types";
import { duration, moment } from "../../format/format";
import { lookOf } from "../../ui/Mark";
import { useText, type Text as TextOf } from "../../ui/text";
import { useZone } from "../../ui/useZone";

const CELLS = 40;

const SHAPES: Readonly<Record<string, LucideIcon>> = {
  running: Ellipsis,
  done: Check,
  problems: TriangleAlert,
  failed: X,
};

/** Done with problems is a state of its own: some data came, some did not. */
export function outcomeOf(run: Pick<Run, "state" | "problems">): string {
  return run.state === "done" && run.problems.length > 0 ? "problems" : run.state;
}

export function runKind(text: TextOf, kind: string): string {
  switch (kind) {
    case "scheduled":
    case "follow_up":
    case "manual":
    case "onboarding":
      return text(`run.kind.${kind}`);
    default:
      return kind;
  }
}

/** The last runs at a glance, oldest first: shape and colour say how each ended. */
export function RunStrip({ runs }: { runs: readonly Run[] }) {
  const text = useText();
  const zone = useZone();
  const shown = runs.slice(0, CELLS).toReversed();
  if (shown.length === 0) return null;
  return (
    <section aria-labelledby="strip-title">
      <Group justify="space-between" mb={6}>
        <Title order={2} id="strip-title">
          {text("strip.title", { count: shown.length })}
        </Title>
        <Text size="xs" c="dimmed">
          {text("strip.order")}
        </Text>
      </Group>
      <ol className="strip">
        {shown.map((run) => {
          const outcome = outcomeOf(run);
          const Shape = SHAPES[outcome] ?? Ellipsis;
          const label = text("strip.cell", {
            moment: moment(run.started_at, zone),
            state: text(lookOf("run", outcome).word, { state: outcome }),
            took: run.seconds == null ? "" : duration(run.seconds),
          });
          return (
            <li key={run.id}>
              <Tooltip label={`${label} ${run.sentence}`} multiline maw={320}>
                <Link
                  to="/runs/$runId"
                  params={{ runId: run.id }}
                  className="strip-cell"
                  data-outcome={outcome}
                  aria-label={label}
                >
                  <Shape aria-hidden size={14} strokeWidth={2.8} />
                </Link>
              </Tooltip>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
