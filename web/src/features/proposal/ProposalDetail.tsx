/** One proposal, whole: what would change, how much it moves, why, who may decide, and what came of it. */
import { Group, Paper, Stack, Text, Title } from "@mantine/core";
import { useParams } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { useListsFollow, useProposal } from "../../api/queries";
import type { Proposal } from "../../api/types";
import { fromNow, money, moment, ratio } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { Mark } from "../../ui/Mark";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading } from "../../ui/states";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { Decide } from "./Decide";
import { Expiry } from "./Expiry";
import { FieldDiff } from "./FieldDiff";
import { forgetStep, wasSteppedTo } from "./focus";
import { ProposalProgress } from "./ProposalProgress";

export function ProposalDetail() {
  const { proposalId } = useParams({ from: "/shell/approvals/$proposalId" });
  const query = useProposal(proposalId);
  if (query.data) return <Detail key={query.data.id} proposal={query.data} />;
  if (query.error)
    return <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />;
  return <Loading rows={4} height={90} />;
}

function Detail({ proposal }: { proposal: Proposal }) {
  const text = useText();
  const heading = useOpenedHeading(proposal.id);
  useListsFollow(proposal.state);
  return (
    <Paper withBorder p="lg" component="article" aria-labelledby="proposal-title">
      <Stack gap="md">
        <div>
          <Group justify="space-between" align="flex-start" gap="sm" wrap="nowrap">
            <Title order={2} id="proposal-title" ref={heading} tabIndex={-1} className="page-title">
              {proposal.title}
            </Title>
            <Mark kind="proposal" state={proposal.state} size="lg" />
          </Group>
          <Text size="sm" c="dimmed" mt={2}>
            {proposal.account.name} ·{" "}
            <AnchorTo to="/campaigns/$campaignId" params={{ campaignId: proposal.campaign.id }}>
              {proposal.campaign.name}
            </AnchorTo>{" "}
            · {proposal.line.name} (ID {proposal.line.platform_id})
          </Text>
          <Text size="sm" c="dimmed">
            {text("proposal.proposed-by", {
              kind: proposal.proposed_by.kind,
              name: proposal.proposed_by.name,
              when: fromNow(proposal.created_at),
            })}
            {proposal.state === "proposed" ? (
              <>
                {" · "}
                <Expiry at={proposal.expires_at} />
              </>
            ) : null}
          </Text>
        </div>
        <ProposalProgress proposal={proposal} />
        {proposal.problem ? <ProblemAlert problem={proposal.problem} quiet /> : null}
        <FieldDiff proposal={proposal} />
        <Why proposal={proposal} />
        <Decide proposal={proposal} />
        <HistoryList proposal={proposal} />
      </Stack>
    </Paper>
  );
}

/** Takes the focus when the proposal was opened, not when it was stepped to. */
function useOpenedHeading(id: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!wasSteppedTo(id)) heading.current?.focus({ preventScroll: true });
    return forgetStep;
  }, [id]);
  return heading;
}

function Why({ proposal }: { proposal: Proposal }) {
  const text = useText();
  const zone = useZone();
  const { why } = proposal;
  const pacing = why.pacing ?? null;
  return (
    <section aria-labelledby="why-title">
      <Title order={3} id="why-title" mb={4}>
        {text("proposal.why")}
      </Title>
      <Text size="sm">{why.sentence}</Text>
      <dl className="facts facts-wide">
        {pacing ? (
          <>
            <div>
              <dt>{text("overview.index")}</dt>
              <dd>{pacing.index == null ? text("figure.none") : ratio(pacing.index)}</dd>
            </div>
            <div>
              <dt>{text("column.delivered")}</dt>
              <dd>{money(pacing.delivered)}</dd>
            </div>
            <div>
              <dt>{text("column.expected")}</dt>
              <dd>{money(pacing.expected)}</dd>
            </div>
            <div>
              <dt>{text("column.budget")}</dt>
              <dd>{money(pacing.budget)}</dd>
            </div>
          </>
        ) : null}
      </dl>
      <Text size="xs" c="dimmed" mt={6}>
        {why.rule
          ? text("proposal.rule", { name: why.rule.name, version: why.rule.version })
          : null}{" "}
        {text("proposal.evidence", { pulls: why.pulls, moment: moment(why.decided_at, zone) })}
      </Text>
    </section>
  );
}

function HistoryList({ proposal }: { proposal: Proposal }) {
  const text = useText();
  const zone = useZone();
  if (proposal.history.length === 0) return null;
  return (
    <section aria-labelledby="history-title">
      <Title order={3} id="history-title" mb={6}>
        {text("proposal.history")}
      </Title>
      <ol className="timeline">
        {proposal.history.map((event) => (
          <li key={event.at + event.event}>
            <Text size="sm">{event.sentence}</Text>
            <Text size="xs" c="dimmed">
              <time dateTime={event.at}>{moment(event.at, zone)}</time>
              {event.by ? ` · ${event.by}` : null}
            </Text>
          </li>
        ))}
      </ol>
    </section>
  );
}
