/** The approval inbox: what waits on the left, the whole of one proposal on the right. */
import { Button, Group, Paper, SegmentedControl, Stack, Text } from "@mantine/core";
import { Outlet, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ArrowLeft, Inbox, MousePointerClick } from "lucide-react";
import { itemsOf, useProposals } from "../../api/queries";
import type { Proposal } from "../../api/types";
import { fromNow, money, percentChange } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { Mark } from "../../ui/Mark";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useShortcuts } from "../../ui/shortcuts";
import { Loading, More, Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { EvaluateNow } from "./EvaluateNow";
import { keepFocusInList, LIST_LINK_ID } from "./focus";

export function ApprovalsPage() {
  const text = useText();
  const { view } = useSearch({ from: "/shell/approvals" });
  const navigate = useNavigate();
  const { proposalId } = useParams({ strict: false });
  const proposals = useProposals(view ?? "open");
  const items = itemsOf(proposals.data);
  const step = (by: 1 | -1) => {
    const next = neighbour(items, proposalId, by);
    if (!next) return;
    keepFocusInList(next.id);
    void navigate({
      to: "/approvals/$proposalId",
      params: { proposalId: next.id },
      search: view ? { view } : {},
    });
  };
  useShortcuts({ j: () => step(1), k: () => step(-1) });
  return (
    <Stack gap="lg">
      <PageTitle
        title={text("approvals.title")}
        lead={text("approvals.lead")}
        actions={<EvaluateNow />}
      />
      <div className="inbox" data-open={proposalId !== undefined || undefined}>
        <section className="inbox-list" aria-label={text("approvals.list")}>
          <SegmentedControl
            fullWidth
            size="sm"
            mb="sm"
            aria-label={text("approvals.view")}
            value={view ?? "open"}
            onChange={(value) =>
              void navigate({
                to: "/approvals",
                search: value === "closed" ? { view: "closed" } : {},
              })
            }
            data={[
              { value: "open", label: text("approvals.open") },
              { value: "closed", label: text("approvals.closed") },
            ]}
          />
          {proposals.error ? (
            <ProblemAlert problem={proposals.error} onRetry={() => void proposals.refetch()} />
          ) : null}
          {proposals.isPending ? <Loading rows={5} height={78} /> : null}
          {proposals.isSuccess && items.length === 0 ? (
            <Paper withBorder>
              <Nothing
                icon={Inbox}
                title={text(view ? "approvals.closed.empty" : "approvals.open.empty")}
              >
                {text(view ? "approvals.closed.empty.help" : "approvals.open.empty.help")}
              </Nothing>
            </Paper>
          ) : null}
          {items.length > 0 ? (
            <ul className="inbox-items">
              {items.map((proposal) => (
                <Item key={proposal.id} proposal={proposal} current={proposal.id === proposalId} />
              ))}
            </ul>
          ) : null}
          <More query={proposals} />
        </section>
        <section className="inbox-detail" aria-label={text("approvals.detail")}>
          {proposalId ? (
            <>
              <AnchorTo
                to="/approvals"
                search={view ? { view } : {}}
                size="sm"
                className="back inbox-back"
              >
                <ArrowLeft aria-hidden size={14} /> {text("approvals.back")}
              </AnchorTo>
              <Outlet />
            </>
          ) : items.length > 0 ? (
            <Paper withBorder>
              <Nothing
                icon={MousePointerClick}
                title={text("approvals.choose")}
                action={
                  <Button variant="default" size="xs" onClick={() => step(1)}>
                    {text("approvals.first")}
                  </Button>
                }
              >
                {text("approvals.choose.help")}
              </Nothing>
            </Paper>
          ) : null}
        </section>
      </div>
    </Stack>
  );
}

function neighbour(items: readonly Proposal[], id: string | undefined, by: 1 | -1) {
  const at = items.findIndex((proposal) => proposal.id === id);
  if (at < 0) return items[0];
  return items[Math.min(items.length - 1, Math.max(0, at + by))];
}

function Item({ proposal, current }: { proposal: Proposal; current: boolean }) {
  const text = useText();
  const { view } = useSearch({ from: "/shell/approvals" });
  return (
    <li>
      <AnchorTo
        id={LIST_LINK_ID + proposal.id}
        to="/approvals/$proposalId"
        params={{ proposalId: proposal.id }}
        search={view ? { view } : {}}
        underline="never"
        c="inherit"
        className="inbox-item"
        aria-current={current ? "true" : undefined}
      >
        <Text size="sm" fw={600} component="span" display="block">
          {proposal.line.name}
        </Text>
        <Text size="xs" c="dimmed" component="span" display="block" truncate>
          {proposal.account.name} · {proposal.campaign.name}
        </Text>
        <Text size="sm" component="span" display="block" className="figures" my={3}>
          {proposal.field_title}: {money(proposal.before)} → <b>{money(proposal.after)}</b>
          {proposal.percent == null ? null : ` (${percentChange(proposal.percent)})`}
        </Text>
        <Group gap={8} component="span" justify="space-between">
          <Mark kind="proposal" state={proposal.state} size="sm" />
          <Text size="xs" c="dimmed" component="span">
            {proposal.state === "proposed"
              ? text("approvals.expires", { when: fromNow(proposal.expires_at) })
              : proposal.decided_at
                ? fromNow(proposal.decided_at)
                : fromNow(proposal.created_at)}
          </Text>
        </Group>
      </AnchorTo>
    </li>
  );
}
