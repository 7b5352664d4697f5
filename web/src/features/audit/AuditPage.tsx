import {
  Button,
  Code,
  Group,
  NativeSelect,
  Paper,
  Stack,
  Table,
  Text as Words,
  TextInput,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { Bot, Cog, Download, ScrollText, Search, UserRound, type LucideIcon } from "lucide-react";
import { useState } from "react";
import { itemsOf, useAudit, useMay } from "../../api/queries";
import type { AuditEntry } from "../../api/types";
import { isMessage, type MessageId } from "../../app/messages";
import { money, moment } from "../../format/format";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, MayNot, More, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText, type Text } from "../../ui/text";
import { useZone } from "../../ui/useZone";

/** Who did what, when, and what it was before. Newest first; nothing is ever removed. */
export function AuditPage() {
  const text = useText();
  const may = useMay();
  return (
    <Stack gap="lg">
      <PageTitle title={text("audit.title")} lead={text("audit.lead")} />
      {may("audit.read") ? <Trail /> : <MayNot>{text("audit.may-not")}</MayNot>}
    </Stack>
  );
}

/** Nouns whose actions can be looked at alone. */
const NOUNS = [
  "proposal",
  "rule",
  "connection",
  "member",
  "role",
  "session",
  "api_key",
  "organisation",
] as const;

function Trail() {
  const text = useText();
  const [words, setWords] = useState("");
  const [noun, setNoun] = useState("");
  const [wanted] = useDebouncedValue(words.trim(), 300);
  const query = useAudit({ text: wanted, action: noun });
  const entries = itemsOf(query.data);
  const all = wanted === "" && noun === "";
  const file = `/api/v1/audit/export?${new URLSearchParams({ text: wanted, action: noun }).toString()}`;
  return (
    <>
      <Group align="end" gap="sm" role="search" aria-label={text("audit.search.label")}>
        <TextInput
          type="search"
          label={text("audit.search")}
          leftSection={<Search aria-hidden size={16} />}
          maxLength={200}
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
        />
        <NativeSelect
          label={text("audit.noun")}
          value={noun}
          onChange={(event) => setNoun(event.currentTarget.value)}
          data={[
            { value: "", label: text("audit.noun.all") },
            ...NOUNS.map((one) => ({ value: one, label: text(`audit.noun.${one}`) })),
          ]}
        />
        <Button
          component="a"
          href={file}
          download="audit.csv"
          variant="default"
          leftSection={<Download aria-hidden size={16} />}
        >
          {text("audit.export")}
        </Button>
      </Group>
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={10} /> : null}
      {query.isSuccess && entries.length === 0 ? (
        <Paper withBorder>
          <Nothing icon={ScrollText} title={text(all ? "audit.empty" : "audit.none")}>
            {text(all ? "audit.empty.help" : "audit.none.help")}
          </Nothing>
        </Paper>
      ) : null}
      {entries.length > 0 ? <Entries entries={entries} /> : null}
      <More query={query} />
    </>
  );
}

const ACTORS: Readonly<Record<string, { icon: LucideIcon; word: MessageId }>> = {
  person: { icon: UserRound, word: "actor.person" },
  rule: { icon: Bot, word: "actor.rule" },
  system: { icon: Cog, word: "actor.system" },
};

function Entries({ entries }: { entries: readonly AuditEntry[] }) {
  const text = useText();
  const zone = useZone();
  return (
    <TableFrame label={text("audit.title")} minWidth={860}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("column.when")}</Table.Th>
          <Table.Th>{text("column.who")}</Table.Th>
          <Table.Th>{text("column.what")}</Table.Th>
          <Table.Th>{text("column.subject")}</Table.Th>
          <Table.Th>{text("diff.before")}</Table.Th>
          <Table.Th>{text("diff.after")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {entries.map((entry) => (
          <Table.Tr key={entry.id}>
            <Table.Td className="nowrap">{moment(entry.at, zone)}</Table.Td>
            <Table.Td>
              <Actor entry={entry} />
            </Table.Td>
            <Table.Td>{actionWord(text, entry.action)}</Table.Td>
            <Table.Td>
              {entry.subject.title}
              <Words size="xs" c="dimmed">
                {entry.subject.kind.replaceAll("_", " ")}
              </Words>
            </Table.Td>
            <Table.Td>
              <Recorded value={entry.before} />
            </Table.Td>
            <Table.Td>
              <Recorded value={entry.after} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </TableFrame>
  );
}

/** An action that this version of the web app has no words for is shown by its stable name. */
function actionWord(text: Text, action: string): string {
  const id = `action.${action}`;
  return isMessage(id) ? text(id) : action.replace(".", ": ").replaceAll("_", " ");
}

function Actor({ entry }: { entry: AuditEntry }) {
  const text = useText();
  const actor = ACTORS[entry.actor.kind];
  const Icon = actor?.icon ?? Cog;
  return (
    <span className="actor">
      <Icon aria-hidden size={15} />
      <span>
        {entry.actor.name}
        <Words size="xs" c="dimmed" component="span" display="block">
          {actor ? text(actor.word) : entry.actor.kind}
        </Words>
        {entry.origin ? (
          <Words size="xs" c="dimmed" component="span" display="block">
            {originWords(text, entry.origin)}
          </Words>
        ) : null}
      </span>
    </span>
  );
}

/** The address, and the API key where a program asked. */
function originWords(text: Text, origin: NonNullable<AuditEntry["origin"]>): string {
  const key = origin.api_key == null ? null : text("audit.by-key", { name: origin.api_key });
  return [key, origin.address].filter(Boolean).join(" · ");
}

/** Actions differ in what they record: a few named values are listed, money as money, anything deeper as it was written. */
function Recorded({ value }: { value: unknown }) {
  const text = useText();
  if (value == null) return text("figure.none");
  const plain = plainText(value);
  if (plain !== null) return plain;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  if (fields.length === 0) return text("figure.none");
  if (fields.length > MAX_FIELDS || fields.some(([, field]) => plainText(field) === null))
    return <Code className="recorded">{JSON.stringify(value)}</Code>;
  return (
    <dl className="recorded-fields">
      {fields.map(([name, field]) => (
        <div key={name}>
          <dt>{name.replaceAll("_", " ")}</dt>
          <dd>{plainText(field)}</dd>
        </div>
      ))}
    </dl>
  );
}

const MAX_FIELDS = 8;

/** Null for what is no single value. */
function plainText(value: unknown): string | null {
  if (value === null) return "–";
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return String(value);
  if (Array.isArray(value)) return value.every(isWord) ? value.join(", ") : null;
  return isMoney(value) ? money(value) : null;
}

function isWord(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number";
}

function isMoney(value: unknown): value is { amount: string; currency: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { amount?: unknown }).amount === "string" &&
    typeof (value as { currency?: unknown }).currency === "string"
  );
}
