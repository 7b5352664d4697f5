import { Loader, Text } from "@mantine/core";
import { Check } from "lucide-react";
import type { Proposal } from "../../api/types";
import type { MessageId } from "../../app/messages";
import { useText } from "../../ui/text";

const STAGES = ["proposed", "approved", "applying", "verified"] as const;

/** How far the change has come. Each stage is shown when the server says so, never before. */
export function ProposalProgress({ proposal }: { proposal: Proposal }) {
  const text = useText();
  const at = stageIndex(proposal.state);
  return (
    <div>
      {at === null ? null : (
        <ol className="stages" aria-label={text("progress.label")}>
          {STAGES.map((stage, index) => {
            const done = index < at || stage === "verified" ? index <= at : false;
            const current = index === at;
            return (
              <li
                key={stage}
                data-state={done ? "done" : current ? "current" : "waiting"}
                aria-current={current ? "step" : undefined}
              >
                <span className="stage-dot" aria-hidden>
                  {done ? <Check size={12} strokeWidth={3.5} /> : null}
                  {current && !done && stage !== "proposed" ? (
                    <Loader size={12} color="currentColor" />
                  ) : null}
                </span>
                {text(`progress.${stage}`)}
              </li>
            );
          })}
        </ol>
      )}
      <Text size="sm" role="status" fw={proposal.state === "verified" ? 600 : 400}>
        {sentence(proposal.state)}
      </Text>
    </div>
  );

  function sentence(state: string): string {
    const id = SENTENCES[state];
    return id ? text(id) : state;
  }
}

/** Null for the ways out that are not stages. */
export function stageIndex(state: string): number | null {
  if (state === "unknown") return STAGES.indexOf("applying");
  const index = (STAGES as readonly string[]).indexOf(state);
  return index < 0 ? null : index;
}

const SENTENCES: Readonly<Record<string, MessageId>> = {
  proposed: "progress.sentence.proposed",
  approved: "progress.sentence.approved",
  applying: "progress.sentence.applying",
  unknown: "progress.sentence.unknown",
  verified: "progress.sentence.verified",
  rejected: "progress.sentence.rejected",
  expired: "progress.sentence.expired",
  cancelled: "progress.sentence.cancelled",
  drifted: "progress.sentence.drifted",
  failed: "progress.sentence.failed",
};
