/** A state said three ways at once: by icon, by word and by colour. */
import { Badge } from "@mantine/core";
import {
  Ban,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CircleX,
  Clock,
  CloudOff,
  Gauge,
  Hourglass,
  KeyRound,
  LoaderCircle,
  Lock,
  MailX,
  Split,
  TrendingDown,
  TrendingUp,
  type LucideIcon,
} from "lucide-react";
import type { MessageId } from "../app/messages";
import { useText } from "./text";

interface Look {
  icon: LucideIcon;
  color: string;
  word: MessageId;
}

/** A state that this version of the web app does not know is shown, not hidden. */
const UNKNOWN: Look = { icon: CircleHelp, color: "gray", word: "mark.other" };

const LOOKS = {
  pace: {
    behind: { icon: TrendingDown, color: "red", word: "pace.behind" },
    on_pace: { icon: CircleCheck, color: "green", word: "pace.on_pace" },
    ahead: { icon: TrendingUp, color: "yellow", word: "pace.ahead" },
    not_judged: { icon: CircleDashed, color: "gray", word: "pace.not_judged" },
  },
  freshness: {
    fresh: { icon: CircleCheck, color: "green", word: "freshness.fresh" },
    late: { icon: Clock, color: "yellow", word: "freshness.late" },
    stale: { icon: CircleAlert, color: "red", word: "freshness.stale" },
    none: { icon: CircleDashed, color: "gray", word: "freshness.none" },
  },
  proposal: {
    proposed: { icon: Hourglass, color: "ink", word: "proposal.state.proposed" },
    approved: { icon: CircleCheck, color: "ink", word: "proposal.state.approved" },
    applying: { icon: LoaderCircle, color: "ink", word: "proposal.state.applying" },
    unknown: { icon: CircleHelp, color: "yellow", word: "proposal.state.unknown" },
    verified: { icon: CircleCheck, color: "green", word: "proposal.state.verified" },
    rejected: { icon: Ban, color: "gray", word: "proposal.state.rejected" },
    expired: { icon: Clock, color: "gray", word: "proposal.state.expired" },
    cancelled: { icon: Ban, color: "gray", word: "proposal.state.cancelled" },
    drifted: { icon: Split, color: "yellow", word: "proposal.state.drifted" },
    failed: { icon: CircleX, color: "red", word: "proposal.state.failed" },
  },
  run: {
    running: { icon: LoaderCircle, color: "ink", word: "run.state.running" },
    done: { icon: CircleCheck, color: "green", word: "run.state.done" },
    problems: { icon: CircleAlert, color: "yellow", word: "run.state.problems" },
    failed: { icon: CircleX, color: "red", word: "run.state.failed" },
  },
  pull: {
    planned: { icon: CircleDashed, color: "gray", word: "pull.state.planned" },
    requested: { icon: Hourglass, color: "ink", word: "pull.state.requested" },
    fetched: { icon: Hourglass, color: "ink", word: "pull.state.fetched" },
    landed: { icon: CircleCheck, color: "green", word: "pull.state.landed" },
    failed: { icon: CircleX, color: "red", word: "pull.state.failed" },
  },
  connection: {
    healthy: { icon: CircleCheck, color: "green", word: "connection.status.healthy" },
    syncing: { icon: LoaderCircle, color: "ink", word: "connection.status.syncing" },
    late: { icon: Clock, color: "yellow", word: "connection.status.late" },
    rate_limited: { icon: Gauge, color: "yellow", word: "connection.status.rate_limited" },
    needs_reauth: { icon: KeyRound, color: "red", word: "connection.status.needs_reauth" },
    needs_permission: { icon: Lock, color: "red", word: "connection.status.needs_permission" },
    platform_outage: { icon: CloudOff, color: "yellow", word: "connection.status.platform_outage" },
    error: { icon: CircleX, color: "red", word: "connection.status.error" },
  },
  status: {
    active: { icon: CircleCheck, color: "green", word: "status.active" },
    paused: { icon: CircleDashed, color: "gray", word: "status.paused" },
    draft: { icon: CircleDashed, color: "gray", word: "status.draft" },
    archived: { icon: Ban, color: "gray", word: "status.archived" },
    gone: { icon: CircleX, color: "red", word: "status.gone" },
  },
  member: {
    active: { icon: CircleCheck, color: "green", word: "status.active" },
    deactivated: { icon: Ban, color: "gray", word: "member.deactivated" },
  },
  invitation: {
    waiting: { icon: Hourglass, color: "ink", word: "invitation.state.waiting" },
    not_mailed: { icon: MailX, color: "yellow", word: "invitation.state.not_mailed" },
    expired: { icon: Clock, color: "gray", word: "invitation.state.expired" },
  },
  api_key: {
    active: { icon: CircleCheck, color: "green", word: "api-key.state.active" },
    expired: { icon: Clock, color: "gray", word: "api-key.state.expired" },
    revoked: { icon: Ban, color: "gray", word: "api-key.state.revoked" },
    maker_left: { icon: CircleAlert, color: "yellow", word: "api-key.state.maker_left" },
  },
} as const satisfies Record<string, Record<string, Look>>;

export type MarkKind = keyof typeof LOOKS;

export function lookOf(kind: MarkKind, state: string): Look {
  const looks: Record<string, Look> = LOOKS[kind];
  return looks[state] ?? UNKNOWN;
}

interface Props {
  kind: MarkKind;
  state: string;
  size?: "sm" | "md" | "lg";
}

export function Mark({ kind, state, size = "md" }: Props) {
  const text = useText();
  const look = lookOf(kind, state);
  const Icon = look.icon;
  return (
    <Badge
      variant="light"
      color={look.color}
      size={size}
      className="mark"
      leftSection={<Icon aria-hidden size={13} strokeWidth={2.4} />}
    >
      {text(look.word, { state: state.replaceAll("_", " ") })}
    </Badge>
  );
}
