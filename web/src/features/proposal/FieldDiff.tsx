import { Badge, Group, Text } from "@mantine/core";
import { ArrowRight, TriangleAlert } from "lucide-react";
import type { Proposal } from "../../api/types";
import { fromNow, money, moneyChange, percentChange } from "../../format/format";
import { useText } from "../../ui/text";
import { hasMoved } from "./live";

/** Before → after, absolute and in percent, with what the platform says now and what it can cost. */
export function FieldDiff({ proposal }: { proposal: Proposal }) {
  const text = useText();
  const { live, exposure } = proposal;
  const moved = hasMoved(proposal);
  return (
    <section className="diff" aria-label={text("diff.label", { field: proposal.field_title })}>
      <Text size="xs" fw={600} c="dimmed">
        {proposal.field_title}
      </Text>
      <Group gap="md" align="flex-end" className="diff-values">
        <span>
          <span className="diff-word">{text("diff.before")}</span>
          <del className="diff-before">{money(proposal.before)}</del>
        </span>
        <ArrowRight aria-hidden size={18} className="diff-arrow" />
        <span>
          <span className="diff-word">{text("diff.after")}</span>
          <ins className="diff-after">{money(proposal.after)}</ins>
        </span>
        <span className="diff-change">
          {moneyChange(proposal.difference)}
          {proposal.percent == null ? null : ` (${percentChange(proposal.percent)})`}
        </span>
        {proposal.limited ? (
          <Badge variant="light" color="yellow">
            {text("diff.limited")}
          </Badge>
        ) : null}
      </Group>
      <dl className="facts facts-wide">
        <div>
          <dt>{text("diff.exposure")}</dt>
          <dd>{exposure ? money(exposure) : text("figure.none")}</dd>
        </div>
        <div>
          <dt>{text("diff.live")}</dt>
          <dd>
            {live ? money(live.value) : text("figure.none")}
            {live ? (
              <span className="fact-note">
                {text("diff.read", { when: fromNow(live.read_at) })}
              </span>
            ) : null}
          </dd>
        </div>
      </dl>
      {moved && live ? (
        <Text size="sm" className="diff-moved" role="alert">
          <TriangleAlert aria-hidden size={15} />{" "}
          {text("diff.moved", { live: money(live.value), before: money(proposal.before) })}
        </Text>
      ) : null}
    </section>
  );
}
