import { Paper, SegmentedControl, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ArrowLeft, ChartLine } from "lucide-react";
import { lazy, Suspense } from "react";
import { useCampaign, useRules, useSeries } from "../../api/queries";
import type { Campaign } from "../../api/types";
import { subtract } from "../../format/decimal";
import { flight, money, moneyChange, moment, zoneName } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { Mark } from "../../ui/Mark";
import { notJudgedSentence } from "../../ui/notJudged";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { chartOf, type Tolerance } from "./chart";
import { pacingSentence } from "./sentence";
import { LineTable } from "./LineTable";
import { SeriesTable } from "./SeriesTable";

const PacingChart = lazy(() => import("./PacingChart"));

export function CampaignPage() {
  const text = useText();
  const { campaignId } = useParams({ from: "/shell/campaigns/$campaignId" });
  const query = useCampaign(campaignId);
  const campaign = query.data;
  return (
    <Stack gap="lg">
      <div>
        <AnchorTo to="/" size="sm" className="back">
          <ArrowLeft aria-hidden size={14} /> {text("campaign.back")}
        </AnchorTo>
        <PageTitle
          title={campaign?.name ?? text("campaign.title")}
          lead={campaign ? <CampaignLead campaign={campaign} /> : null}
          actions={campaign ? <Mark kind="pace" state={campaign.pace} size="lg" /> : null}
        />
      </div>
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={3} height={120} /> : null}
      {campaign ? (
        <>
          <Numbers campaign={campaign} />
          <Curve campaign={campaign} />
          <section aria-labelledby="lines-title">
            <Title order={2} id="lines-title" mb="sm">
              {text("campaign.lines")}
            </Title>
            <LineTable campaign={campaign} />
          </section>
        </>
      ) : null}
    </Stack>
  );
}

function CampaignLead({ campaign }: { campaign: Campaign }) {
  const text = useText();
  return (
    <>
      {campaign.account.name} ·{" "}
      {flight(campaign.first_day, campaign.last_day) ?? text("campaign.no-flight")} ·{" "}
      {text("campaign.days-in", { zone: zoneName(campaign.time_zone) })} · ID {campaign.platform_id}
    </>
  );
}

/** The number first, as a sentence; the figures that it is made of below. */
function Numbers({ campaign }: { campaign: Campaign }) {
  const text = useText();
  const { pacing, delivered } = campaign;
  if (!pacing) {
    return (
      <Paper withBorder p="md">
        <Text fw={600}>{text("campaign.no-pacing")}</Text>
        <Text size="sm">
          {campaign.not_judged_because
            ? notJudgedSentence(text, campaign.not_judged_because)
            : text("campaign.no-lines")}
        </Text>
        {delivered ? (
          <Text size="sm" c="dimmed">
            {text("campaign.delivered", {
              amount: money(delivered.amount),
              days: flight(delivered.days.first, delivered.days.last) ?? text("figure.none"),
            })}
          </Text>
        ) : null}
      </Paper>
    );
  }
  return (
    <Paper withBorder p="md">
      <Text className="sentence">{pacingSentence(text, campaign.pace, pacing)}</Text>
      <dl className="facts facts-wide">
        <Fact name={text("column.delivered")} value={money(pacing.delivered)} />
        <Fact
          name={text("column.expected")}
          value={money(pacing.expected)}
          note={moneyChange({
            ...pacing.delivered,
            amount: subtract(pacing.delivered.amount, pacing.expected.amount),
          })}
        />
        <Fact name={text("column.budget")} value={money(pacing.budget)} />
        <Fact
          name={text("column.required-daily")}
          value={pacing.required_daily ? money(pacing.required_daily) : text("figure.none")}
        />
        <Fact
          name={text("column.at-risk")}
          value={campaign.risk ? money(campaign.risk) : text("figure.none")}
        />
      </dl>
      <Text size="xs" c="dimmed" mt="sm">
        {text("campaign.as-of", {
          moment: moment(pacing.as_of, campaign.time_zone),
          finality: text(`finality.${pacing.finality}`),
        })}
      </Text>
    </Paper>
  );
}

function Fact({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value}
        {note ? <span className="fact-note">{note}</span> : null}
      </dd>
    </div>
  );
}

/** The curve, or the same as a table: both from one series. */
function Curve({ campaign }: { campaign: Campaign }) {
  const text = useText();
  const { as } = useSearch({ from: "/shell/campaigns/$campaignId" });
  const navigate = useNavigate({ from: "/campaigns/$campaignId" });
  const series = useSeries(campaign.id);
  const tolerance = useTolerance();
  return (
    <Paper withBorder p="md" component="section" aria-labelledby="curve-title">
      <Group justify="space-between" mb="sm" align="flex-start">
        <div>
          <Title order={2} id="curve-title">
            {text("curve.title", { currency: campaign.currency })}
          </Title>
          <Text size="xs" c="dimmed">
            {text("campaign.days-in", { zone: zoneName(campaign.time_zone) })}
            {series.data?.as_of
              ? ` · ${text("freshness.as-of.short", { moment: moment(series.data.as_of, campaign.time_zone) })}`
              : null}
          </Text>
        </div>
        <SegmentedControl
          size="xs"
          aria-label={text("curve.view")}
          value={as ?? "chart"}
          onChange={(value) =>
            void navigate({ search: value === "table" ? { as: "table" } : {}, replace: true })
          }
          data={[
            { value: "chart", label: text("curve.as-chart") },
            { value: "table", label: text("curve.as-table") },
          ]}
        />
      </Group>
      {series.error ? (
        <ProblemAlert problem={series.error} onRetry={() => void series.refetch()} />
      ) : null}
      {series.isPending ? <Skeleton height={340} /> : null}
      {series.data?.points.length === 0 ? (
        <Nothing icon={ChartLine} title={text("curve.empty")}>
          {text("curve.empty.help")}
        </Nothing>
      ) : null}
      {series.data && series.data.points.length > 0 ? (
        as === "table" ? (
          <SeriesTable series={series.data} />
        ) : (
          <Suspense fallback={<Skeleton height={340} />}>
            <PacingChart
              chart={chartOf(series.data, campaign.pacing ?? null, tolerance)}
              series={series.data}
            />
          </Suspense>
        )
      ) : null}
    </Paper>
  );
}

/** The band around the plan is the pacing rule's own; without a rule there is none to draw. */
function useTolerance(): Tolerance | null {
  const rule = useRules().data?.items.find((one) => one.kind === "pacing" && one.enabled);
  if (!rule) return null;
  const [low, high] = [Number(rule.settings.behind_below), Number(rule.settings.ahead_above)];
  return Number.isFinite(low) && Number.isFinite(high) ? { low, high } : null;
}
