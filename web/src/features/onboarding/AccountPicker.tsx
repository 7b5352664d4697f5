import {
  Badge,
  Button,
  Checkbox,
  Group,
  Paper,
  ScrollArea,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { Search, SearchX } from "lucide-react";
import { useState } from "react";
import type { OnboardingAccount } from "../../api/types";
import { zoneName } from "../../format/format";
import { Mark } from "../../ui/Mark";
import { Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { partnersOf, type Partner } from "./stages";

/** Which of these accounts are chosen, and how to change that. */
export function useChoice(accounts: readonly OnboardingAccount[]) {
  const [chosen, setChosen] = useState(() => initiallyChosen(accounts));
  const set = (ids: readonly string[], wanted: boolean) =>
    setChosen((before) => {
      const after = new Set(before);
      for (const id of ids) {
        if (wanted) after.add(id);
        else after.delete(id);
      }
      return after;
    });
  return { chosen, set, clear: () => setChosen(new Set()) };
}

interface Props {
  accounts: readonly OnboardingAccount[];
  choice: ReturnType<typeof useChoice>;
}

/** Partner → advertiser, as the platform knows them. */
export function AccountPicker({ accounts, choice: { chosen, set, clear } }: Props) {
  const text = useText();
  const [search, setSearch] = useState("");
  const active = accounts.filter((account) => account.status === "active");
  const partners = partnersOf(accounts, search);
  return (
    <Stack gap="md">
      <Group gap="xs" align="flex-end">
        <TextInput
          type="search"
          label={text("choose.search")}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          leftSection={<Search aria-hidden size={15} />}
          flex={1}
          miw={200}
        />
        <Button
          variant="default"
          onClick={() =>
            set(
              active.map((account) => account.id),
              true,
            )
          }
        >
          {text("choose.all-active", { count: active.length })}
        </Button>
        <Button variant="subtle" color="gray" onClick={clear}>
          {text("choose.none")}
        </Button>
      </Group>
      {partners.length === 0 ? (
        <Nothing
          icon={SearchX}
          title={search ? text("choose.no-match") : text("choose.empty")}
          action={
            search ? (
              <Button variant="default" size="xs" onClick={() => setSearch("")}>
                {text("filter.clear")}
              </Button>
            ) : null
          }
        >
          {search ? null : text("choose.empty.help")}
        </Nothing>
      ) : (
        <ScrollArea.Autosize mah={420} type="auto">
          <Stack gap="sm">
            {partners.map((partner) => (
              <PartnerGroup key={partner.name} partner={partner} chosen={chosen} onSet={set} />
            ))}
          </Stack>
        </ScrollArea.Autosize>
      )}
      <Text size="sm" role="status">
        {text("choose.count", {
          chosen: chosen.size,
          total: accounts.filter(isChoosable).length,
        })}
      </Text>
    </Stack>
  );
}

/** What was chosen before a reload stays chosen. */
function initiallyChosen(accounts: readonly OnboardingAccount[]): Set<string> {
  return new Set(accounts.filter((account) => account.selected).map((account) => account.id));
}

function isChoosable(account: OnboardingAccount): boolean {
  return account.status !== "gone";
}

interface GroupProps {
  partner: Partner;
  chosen: ReadonlySet<string>;
  onSet: (ids: readonly string[], wanted: boolean) => void;
}

function PartnerGroup({ partner, chosen, onSet }: GroupProps) {
  const text = useText();
  const ids = partner.accounts.filter(isChoosable).map((account) => account.id);
  const count = ids.filter((id) => chosen.has(id)).length;
  const name = partner.name || text("choose.no-partner");
  return (
    <Paper withBorder component="fieldset" className="partner" m={0} p={0}>
      <legend className="partner-legend">{text("choose.partner", { name })}</legend>
      <Group className="partner-head" px="md" py="xs" justify="space-between">
        <Checkbox
          label={<b>{name}</b>}
          checked={count > 0 && count === ids.length}
          indeterminate={count > 0 && count < ids.length}
          disabled={ids.length === 0}
          onChange={(event) => onSet(ids, event.currentTarget.checked)}
        />
        <Text size="sm" c="dimmed" className="figures">
          {text("choose.of", { chosen: count, total: ids.length })}
        </Text>
      </Group>
      <ul className="accounts">
        {partner.accounts.map((account) => (
          <li key={account.id}>
            <Checkbox
              label={account.name}
              description={`${account.platform_id} · ${account.currency} · ${zoneName(account.time_zone)}`}
              checked={chosen.has(account.id)}
              disabled={!isChoosable(account)}
              onChange={(event) => onSet([account.id], event.currentTarget.checked)}
            />
            {account.status === "active" ? (
              <Badge variant="default" size="sm">
                {text("status.active")}
              </Badge>
            ) : (
              <Mark kind="status" state={account.status} size="sm" />
            )}
          </li>
        ))}
      </ul>
    </Paper>
  );
}
