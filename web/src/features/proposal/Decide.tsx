/** Yes, no, or never mind. Each is confirmed once, and shown as done only when the server has answered. */
import { Alert, Button, Group, Kbd, Modal, Stack, Text, Textarea } from "@mantine/core";
import { ShieldAlert } from "lucide-react";
import { useEffect, useRef, useState, type ReactNode } from "react";
import {
  useApprove,
  useCancelProposal,
  useMay,
  useRecheckProposal,
  useReject,
} from "../../api/queries";
import type { Problem, Proposal } from "../../api/types";
import { money, moneyChange } from "../../format/format";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useShortcuts, useShortcutsSwitch } from "../../ui/shortcuts";
import { useText } from "../../ui/text";
import { canCancel, hasMoved, isOpen } from "./live";

type Dialog = "approve" | "reject" | "cancel";

export function Decide({ proposal }: { proposal: Proposal }) {
  const text = useText();
  const may = useMay();
  const { dialog, open } = useDialog();
  const [conflict, setConflict] = useState<Problem | null>(null);
  const recheck = useRecheckProposal();
  const decidable = isOpen(proposal) && may("proposals.decide");
  const mayCancel = may("proposals.withdraw");
  const moved = hasMoved(proposal);
  const approvable = decidable && proposal.may_approve && !moved;
  useShortcuts({
    a: () => approvable && open("approve"),
    r: () => decidable && open("reject"),
  });
  /** Somebody was faster, or the value moved: show what is true now, and say why the click had no effect. */
  const lost = (problem: Problem) => {
    if (problem.status !== 409) return;
    setConflict(problem);
    open(null);
    void recheck(proposal.id);
  };
  const close = () => open(null);
  return (
    <>
      {conflict ? (
        <ProblemAlert
          problem={conflict}
          actions={
            <Button size="xs" variant="default" onClick={() => setConflict(null)}>
              {text("decide.understood")}
            </Button>
          }
        />
      ) : null}
      {decidable && proposal.may_not_approve_because ? (
        <Alert
          role="group"
          aria-label={text("decide.policy")}
          color="yellow"
          variant="light"
          icon={<ShieldAlert aria-hidden size={18} />}
          title={text("decide.policy")}
        >
          <Text size="sm">{proposal.may_not_approve_because}</Text>
        </Alert>
      ) : null}
      {canCancel(proposal) ? (
        <Group gap="xs" className="decide" role="group" aria-label={text("decide.label")}>
          {decidable && moved ? (
            <Button onClick={() => void recheck(proposal.id)}>{text("decide.recheck")}</Button>
          ) : null}
          {decidable && !moved ? (
            <Button
              disabled={!proposal.may_approve}
              onClick={() => open("approve")}
              rightSection={<Key name="a" />}
            >
              {text("decide.approve")}
            </Button>
          ) : null}
          {decidable ? (
            <Button
              variant="default"
              onClick={() => open("reject")}
              rightSection={<Key name="r" />}
            >
              {text("decide.reject")}
            </Button>
          ) : null}
          {mayCancel ? (
            <Button variant="subtle" color="gray" onClick={() => open("cancel")}>
              {text("decide.cancel")}
            </Button>
          ) : null}
          {isOpen(proposal) && !decidable ? (
            <Text size="sm" c="dimmed">
              {text("decide.may-not")}
            </Text>
          ) : null}
          {!isOpen(proposal) && !mayCancel ? (
            <Text size="sm" c="dimmed">
              {text("decide.may-not-cancel")}
            </Text>
          ) : null}
        </Group>
      ) : null}
      {dialog === "approve" ? (
        <ApproveDialog proposal={proposal} onClose={close} onConflict={lost} />
      ) : null}
      {dialog === "reject" ? (
        <RejectDialog proposal={proposal} onClose={close} onConflict={lost} />
      ) : null}
      {dialog === "cancel" ? (
        <CancelDialog proposal={proposal} onClose={close} onConflict={lost} />
      ) : null}
    </>
  );
}

/** Which dialog is open. When it closes, the focus goes back to where it was, or to the heading if that is gone. */
function useDialog() {
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const before = useRef<Element | null>(null);
  const open = (next: Dialog | null) => {
    if (next !== null) before.current = document.activeElement;
    setDialog(next);
  };
  useEffect(() => {
    if (dialog !== null || before.current === null) return;
    const timer = setTimeout(() => {
      const back = before.current;
      const title = document.getElementById("proposal-title");
      (back instanceof HTMLElement && back.isConnected ? back : title)?.focus();
      before.current = null;
    });
    return () => clearTimeout(timer);
  }, [dialog]);
  return { dialog, open };
}

/** Shown where single-key shortcuts work, and only then. */
function Key({ name }: { name: string }) {
  const { enabled } = useShortcutsSwitch();
  return enabled ? (
    <Kbd size="xs" aria-hidden className="key-hint">
      {name}
    </Kbd>
  ) : null;
}

interface DialogProps {
  proposal: Proposal;
  onClose: () => void;
  onConflict: (problem: Problem) => void;
}

function ApproveDialog({ proposal, onClose, onConflict }: DialogProps) {
  const text = useText();
  const approve = useApprove();
  const { id, change_hash } = proposal;
  const send = () =>
    approve.mutate({ id, change_hash }, { onSuccess: onClose, onError: onConflict });
  return (
    <Frame title={text("approve.title")} onClose={onClose} problem={approve.error}>
      <Text size="sm">
        {text("approve.sentence", {
          field: proposal.field_title.toLocaleLowerCase(),
          line: proposal.line.name,
          before: money(proposal.before),
          after: money(proposal.after),
          change: moneyChange(proposal.difference),
        })}
      </Text>
      {proposal.exposure ? (
        <Text size="sm">{text("approve.exposure", { exposure: money(proposal.exposure) })}</Text>
      ) : null}
      <Buttons onClose={onClose}>
        <Button data-autofocus loading={approve.isPending} onClick={send}>
          {text("approve.confirm")}
        </Button>
      </Buttons>
    </Frame>
  );
}

function RejectDialog({ proposal, onClose, onConflict }: DialogProps) {
  const text = useText();
  const reject = useReject();
  const { id, change_hash } = proposal;
  return (
    <Frame title={text("reject.title")} onClose={onClose} problem={reject.error}>
      <ReasonForm
        lead={text("reject.lead")}
        button={text("reject.confirm")}
        pending={reject.isPending}
        onClose={onClose}
        onReason={(reason) =>
          reject.mutate({ id, change_hash, reason }, { onSuccess: onClose, onError: onConflict })
        }
      />
    </Frame>
  );
}

function CancelDialog({ proposal, onClose, onConflict }: DialogProps) {
  const text = useText();
  const cancel = useCancelProposal();
  return (
    <Frame title={text("cancel.title")} onClose={onClose} problem={cancel.error}>
      <ReasonForm
        lead={text("cancel.lead")}
        button={text("cancel.confirm")}
        pending={cancel.isPending}
        onClose={onClose}
        onReason={(reason) =>
          cancel.mutate({ id: proposal.id, reason }, { onSuccess: onClose, onError: onConflict })
        }
      />
    </Frame>
  );
}

interface FrameProps {
  title: string;
  onClose: () => void;
  problem: Problem | null;
  children: ReactNode;
}

function Frame({ title, onClose, problem, children }: FrameProps) {
  const text = useText();
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      closeButtonProps={{ "aria-label": text("dialog.close") }}
    >
      <Stack gap="sm">
        {problem ? <ProblemAlert problem={problem} /> : null}
        {children}
      </Stack>
    </Modal>
  );
}

interface ReasonFormProps {
  lead: string;
  button: string;
  pending: boolean;
  onClose: () => void;
  onReason: (reason: string) => void;
}

const MAX_REASON = 500;

function ReasonForm({ lead, button, pending, onClose, onReason }: ReasonFormProps) {
  const text = useText();
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const submit = () => {
    const written = reason.trim();
    setMissing(written === "");
    if (written !== "") onReason(written);
  };
  return (
    <>
      <Textarea
        data-autofocus
        label={text("reason.label")}
        description={lead}
        required
        autosize
        minRows={3}
        maxLength={MAX_REASON}
        value={reason}
        error={missing ? text("reason.missing") : null}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
      <Buttons onClose={onClose}>
        <Button color="red" loading={pending} onClick={submit}>
          {button}
        </Button>
      </Buttons>
    </>
  );
}

function Buttons({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  const text = useText();
  return (
    <Group justify="flex-end" gap="xs">
      <Button variant="default" onClick={onClose}>
        {text("dialog.back")}
      </Button>
      {children}
    </Group>
  );
}
