import { Button, Chip, Group, Paper, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Megaphone, Search, SearchX } from "lucide-react";
import { useState } from "react";
import type { MessageId } from "../../app/messages";
import { itemsOf, useCampaigns, type PaceFilter } from "../../api/queries";
import type { CampaignSummary, Overview } from "../../api/types";
import { flight, money } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { DeliveredCell, PaceCell } from "../../ui/PaceCell";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, More, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";

type Counts = Overview["campaigns"];

/** The campaigns, most money at risk first (the server's order). The filter lives in the address bar. */
export function CampaignTable({ counts }: { counts: Counts | undefined }) {
  const filter = useSearch({ from: "/shell/" });
  const campaigns = useCampaigns(filter);
  const items = itemsOf(campaigns.data);
  return (
    <>
      <Filters counts={counts} />
      {campaigns.error ? (
        <ProblemAlert problem={campaigns.error} onRetry={() => void campaigns.refetch()} />
      ) : null}
      {campaigns.isPending ? <Loading rows={8} /> : null}
      {campaigns.isSuccess && items.length === 0 ? (
        <NoCampaigns filtered={Boolean(filter.pace ?? filter.q)} />
      ) : null}
      {items.length > 0 ? <CampaignRows campaigns={items} /> : null}
      <More query={campaigns} />
    </>
  );
}

const PACES: readonly { value: PaceFilter | "all"; label: MessageId; count: keyof Counts }[] = [
  { value: "all", label: "overview.filter.all", count: "total" },
  { value: "behind", label: "pace.behind", count: "behind" },
  { value: "on_pace", label: "pace.on_pace", count: "on_pace" },
  { value: "ahead", label: "pace.ahead", count: "ahead" },
  { value: "not_judged", label: "pace.not_judged", count: "not_judged" },
];

const TYPING_PAUSE_MS = 250;

export function Filters({ counts }: { counts: Counts | undefined }) {
  const text = useText();
  const filter = useSearch({ from: "/shell/" });
  const navigate = useNavigate({ from: "/" });
  const { typed, setTyped } = useTyped(filter.q ?? "");
  const search = useDebouncedCallback((q: string) => {
    void navigate({ search: (before) => ({ ...before, q: q || undefined }), replace: true });
  }, TYPING_PAUSE_MS);
  const choose = (value: string) => {
    const pace = PACES.find((option) => option.value === value)?.value;
    void navigate({
      search: (before) => ({ ...before, pace: pace === "all" ? undefined : pace }),
    });
  };
  return (
    <Group gap="sm" mb="sm" align="center">
      <Chip.Group value={filter.pace ?? "all"} onChange={choose}>
        <Group gap={6} role="radiogroup" aria-label={text("overview.filter")}>
          {PACES.map(({ value, label, count }) => (
            <Chip key={value} value={value} size="sm" radius="sm" variant="outline">
              {text(label)}
              {counts ? ` ${counts[count]}` : ""}
            </Chip>
          ))}
        </Group>
      </Chip.Group>
      <TextInput
        type="search"
        size="xs"
        aria-label={text("overview.search")}
        placeholder={text("overview.search")}
        leftSection={<Search aria-hidden size={14} />}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          search(event.currentTarget.value);
        }}
        w={260}
        ml="auto"
      />
    </Group>
  );
}

/** What is being typed; it follows the address bar when that changes by other means. */
function useTyped(address: string) {
  const [typed, setTyped] = useState(address);
  const [seen, setSeen] = useState(address);
  if (seen !== address) {
    setSeen(address);
    setTyped(address);
  }
  return { typed, setTyped };
}

function NoCampaigns({ filtered }: { filtered: boolean }) {
  const text = useText();
  const navigate = useNavigate({ from: "/" });
  if (!filtered) {
    return (
      <Paper withBorder>
        <Nothing icon={Megaphone} title={text("overview.empty")}>
          {text("overview.empty.help")}
        </Nothing>
      </Paper>
    );
  }
  return (
    <Paper withBorder>
      <Nothing
        icon={SearchX}
        title={text("filter.no-match")}
        action={
          <Button variant="default" size="xs" onClick={() => void navigate({ search: {} })}>
            {text("filter.clear")}
          </Button>
        }
      />
    </Paper>
  );
}

function CampaignRows({ campaigns }: { campaigns: readonly CampaignSummary[] }) {
  const text = useText();
  return (
    <TableFrame label={text("overview.campaigns")} minWidth={1120}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th className="name">{text("column.campaign")}</Table.Th>
          <Table.Th>{text("column.pace")}</Table.Th>
          <Table.Th className="number">{text("column.at-risk")}</Table.Th>
          <Table.Th className="number">{text("column.delivered")}</Table.Th>
          <Table.Th className="number">{text("column.expected")}</Table.Th>
          <Table.Th className="number">{text("column.budget")}</Table.Th>
          <Table.Th className="number">{text("column.required-daily")}</Table.Th>
          <Table.Th>{text("column.flight")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {campaigns.map((campaign) => (
          <CampaignRow key={campaign.id} campaign={campaign} />
        ))}
      </Table.Tbody>
    </TableFrame>
  );
}

function CampaignRow({ campaign }: { campaign: CampaignSummary }) {
  const text = useText();
  const { pacing } = campaign;
  const none = text("figure.none");
  return (
    <Table.Tr>
      <Table.Th scope="row" fw={400}>
        <AnchorTo
          to="/campaigns/$campaignId"
          params={{ campaignId: campaign.id }}
          fw={600}
          underline="hover"
        >
          {campaign.name}
        </AnchorTo>
        <Text size="xs" c="dimmed">
          {campaign.account.name} · {text("lines.count", { count: campaign.lines })}
          {campaign.status === "active" ? "" : ` · ${statusWord(campaign.status)}`}
        </Text>
      </Table.Th>
      <Table.Td>
        <PaceCell of={campaign} />
      </Table.Td>
      <Table.Td className="number strong">{campaign.risk ? money(campaign.risk) : none}</Table.Td>
      <Table.Td className="number">
        <DeliveredCell of={campaign} />
      </Table.Td>
      <Table.Td className="number">{pacing ? money(pacing.expected) : none}</Table.Td>
      <Table.Td className="number">{pacing ? money(pacing.budget) : none}</Table.Td>
      <Table.Td className="number">
        {pacing?.required_daily ? money(pacing.required_daily) : none}
      </Table.Td>
      <Table.Td>
        <Text size="sm" className="nowrap">
          {flight(campaign.first_day, campaign.last_day) ?? none}
        </Text>
        <Text size="xs" c="dimmed">
          {campaign.time_zone}
        </Text>
      </Table.Td>
    </Table.Tr>
  );

  function statusWord(status: string): string {
    const words: Record<string, MessageId> = {
      paused: "status.paused",
      draft: "status.draft",
      archived: "status.archived",
    };
    const word = words[status];
    return word ? text(word) : status;
  }
}
