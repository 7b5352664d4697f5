import { Button, Code, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { useState } from "react";
import { fieldErrors } from "../../api/problem";
import { useBeginSecondFactor, useConfirmSecondFactor } from "../../api/queries";
import type { NewSecondFactor } from "../../api/types";
import { CopyField } from "../../ui/CopyField";
import { focusNow } from "../../ui/focusNow";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { useCopy } from "../../ui/useCopy";
import { KnownPassword } from "../session/KnownPassword";
import { QrCode } from "./QrCode";

interface Props {
  opened: boolean;
  onClose: () => void;
  /** The second factor is on, and its recovery codes were shown. */
  onDone: () => void;
}

/** The password, then the secret and a first code of it, then the recovery codes. */
export function SetUpSecondFactor({ opened, onClose, onDone }: Props) {
  const text = useText();
  const [made, setMade] = useState<NewSecondFactor | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const step = codes ? "codes" : made ? "scan" : "begin";
  const forget = () => {
    setMade(null);
    setCodes(null);
  };
  const close = () => {
    forget();
    onClose();
  };
  const done = () => {
    forget();
    onDone();
  };
  return (
    <Modal
      opened={opened}
      onClose={close}
      size="lg"
      title={text(`second-factor.${step}.title`)}
      closeOnClickOutside={false}
      // The codes are shown this once: they are left by saying that they are kept.
      closeOnEscape={!codes}
      withCloseButton={!codes}
      closeButtonProps={{ "aria-label": text("dialog.close") }}
    >
      {codes ? <Codes codes={codes} onKept={done} /> : null}
      {made && !codes ? <Scan made={made} onClose={close} onOn={setCodes} /> : null}
      {made ? null : <Begin onClose={close} onBegun={setMade} />}
    </Modal>
  );
}

interface BeginProps {
  onClose: () => void;
  onBegun: (made: NewSecondFactor) => void;
}

function Begin({ onClose, onBegun }: BeginProps) {
  const text = useText();
  const begin = useBeginSecondFactor();
  const form = useForm({
    initialValues: { password: "" },
    validate: { password: isNotEmpty(text("session.password.missing")) },
  });
  const submit = form.onSubmit((values) =>
    begin.mutate(values, {
      onSuccess: onBegun,
      onError: (problem) => form.setErrors(fieldErrors(problem)),
    }),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="md">
        <Text size="sm">{text("second-factor.begin.lead")}</Text>
        {begin.error ? <ProblemAlert problem={begin.error} /> : null}
        <KnownPassword label={text("session.password")} input={form.getInputProps("password")} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" loading={begin.isPending}>
            {text("second-factor.begin.button")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

interface ScanProps {
  made: NewSecondFactor;
  onClose: () => void;
  onOn: (codes: readonly string[]) => void;
}

function Scan({ made, onClose, onOn }: ScanProps) {
  const text = useText();
  const confirm = useConfirmSecondFactor();
  const form = useForm({
    initialValues: { code: "" },
    validate: { code: isNotEmpty(text("code.missing")) },
  });
  const submit = form.onSubmit((values) =>
    confirm.mutate(values, {
      onSuccess: ({ recovery_codes }) => onOn(recovery_codes),
      onError: (problem) => form.setErrors(fieldErrors(problem)),
    }),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="md">
        <Text size="sm" ref={focusNow} tabIndex={-1} className="page-title">
          {text("second-factor.scan.lead")}
        </Text>
        {confirm.error ? <ProblemAlert problem={confirm.error} /> : null}
        <Group justify="center">
          <QrCode label={text("second-factor.qr")} value={made.url} />
        </Group>
        <CopyField label={text("second-factor.secret")} value={made.secret} />
        <TextInput
          label={text("second-factor.first-code")}
          description={text("second-factor.first-code.help")}
          name="code"
          autoComplete="one-time-code"
          inputMode="numeric"
          required
          {...form.getInputProps("code")}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" loading={confirm.isPending}>
            {text("second-factor.confirm")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Codes({ codes, onKept }: { codes: readonly string[]; onKept: () => void }) {
  const text = useText();
  const lines = codes.join("\n");
  const { copy, outcome } = useCopy(lines);
  return (
    <Stack gap="md">
      <Text size="sm" ref={focusNow} tabIndex={-1} className="page-title">
        {text("second-factor.codes.lead")}
      </Text>
      <Code block tabIndex={0} role="group" aria-label={text("second-factor.codes")}>
        {lines}
      </Code>
      <Text size="sm" role="status" mih={22}>
        {outcome}
      </Text>
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={copy}>
          {text("second-factor.codes.copy")}
        </Button>
        <Button onClick={onKept}>{text("second-factor.codes.kept")}</Button>
      </Group>
    </Stack>
  );
}
