import { Paper, Progress, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useFiguresFollow, useOverview } from "../../api/queries";
import type { Overview } from "../../api/types";
import { flight, money, ratio } from "../../format/format";
import { Freshness } from "../../ui/Freshness";
import { ButtonTo } from "../../ui/links";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading } from "../../ui/states";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { BackfillNotice } from "../onboarding/BackfillNotice";
import { CampaignTable } from "./CampaignTable";

/** Where the money stands: totals per currency, then the campaigns with the most money at risk. */
export function OverviewPage() {
  const text = useText();
  const zone = useZone();
  const query = useOverview();
  useFiguresFollow();
  const overview = query.data;
  return (
    <Stack gap="lg">
      <PageTitle
        title={text("overview.title")}
        lead={
          overview ? (
            <Freshness
              state={overview.freshness.state}
              asOf={overview.freshness.as_of}
              zone={zone}
            />
          ) : query.isPending ? (
            text("state.loading")
          ) : null
        }
        actions={
          overview && overview.open_proposals > 0 ? (
            <ButtonTo to="/approvals" variant="light">
              {text("overview.open-proposals", { count: overview.open_proposals })}
            </ButtonTo>
          ) : null
        }
      />
      <BackfillNotice />
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {overview?.problems.map((problem, index) => (
        <ProblemAlert key={`${index} ${problem.code}`} problem={problem} quiet />
      ))}
      {query.isPending ? <Loading rows={1} height={110} /> : null}
      {overview ? <Totals overview={overview} /> : null}
      <section aria-labelledby="campaigns-title">
        <Title order={2} id="campaigns-title" mb="sm">
          {text("overview.campaigns")}
        </Title>
        <CampaignTable counts={overview?.campaigns} />
      </section>
    </Stack>
  );
}

/** One card per currency. Amounts of different currencies are never added up. */
function Totals({ overview }: { overview: Overview }) {
  const text = useText();
  if (overview.totals.length === 0) return null;
  return (
    <section aria-label={text("overview.totals")}>
      <SimpleGrid cols={{ base: 1, sm: 2, lg: Math.min(3, overview.totals.length) }} spacing="sm">
        {overview.totals.map((total) => (
          <Total key={total.currency} total={total} dim={overview.freshness.state === "stale"} />
        ))}
      </SimpleGrid>
      {overview.totals.length > 1 ? (
        <Text size="xs" c="dimmed" mt={6}>
          {text("overview.totals.separate")}
        </Text>
      ) : null}
    </section>
  );
}

type Sums = Overview["totals"][number];

function Total({ total, dim }: { total: Sums; dim: boolean }) {
  const text = useText();
  const judged = total.judged ?? null;
  return (
    <Paper withBorder p="md" className="total" data-dim={dim || undefined}>
      <Text size="xs" c="dimmed" fw={600}>
        {text("overview.delivered", { currency: total.currency })}
      </Text>
      <Text className="figure-large">{money(total.delivered)}</Text>
      <Text size="xs" c="dimmed">
        {text("overview.delivered.days", {
          days: flight(total.days.first, total.days.last) ?? text("figure.none"),
        })}
      </Text>
      {judged ? <Judged judged={judged} currency={total.currency} /> : null}
      {judged ? null : (
        <Text size="sm" mt={8}>
          {text("overview.not-judged")}
        </Text>
      )}
    </Paper>
  );
}

/** How the lines do that can be judged: their own sums, which others' spend would blur. */
function Judged({ judged, currency }: { judged: NonNullable<Sums["judged"]>; currency: string }) {
  const text = useText();
  const index = judged.index ?? null;
  return (
    <>
      <Progress
        value={index === null ? 0 : Math.min(100, 100 * Number(index))}
        size="sm"
        my={8}
        aria-label={text("overview.index.label", { currency })}
      />
      <dl className="facts">
        <div>
          <dt>{text("overview.expected")}</dt>
          <dd>{money(judged.expected)}</dd>
        </div>
        <div>
          <dt>{text("overview.index")}</dt>
          <dd>{index === null ? text("pace.not_judged") : ratio(index)}</dd>
        </div>
        <div>
          <dt>{text("overview.budget")}</dt>
          <dd>{money(judged.budget)}</dd>
        </div>
      </dl>
      <Text size="xs" c="dimmed" mt={6}>
        {text("overview.judged", {
          lines: judged.lines,
          delivered: money(judged.delivered),
          expected: money(judged.expected),
        })}
      </Text>
    </>
  );
}
