import { Button, Stack, Text, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Link2Off } from "lucide-react";
import { useState } from "react";
import { fieldErrors } from "../../api/problem";
import { meQuery, useAcceptInvitation, useInvitation } from "../../api/queries";
import type { InvitationView, Me, Problem } from "../../api/types";
import { moment } from "../../format/format";
import { focusFirst } from "../../ui/focusFirst";
import { ButtonTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { CODE_NEEDED, CodeField, WRONG_CREDENTIALS } from "../session/CodeField";
import { EntryPage } from "../session/EntryPage";
import { AgreementBox, NewPassword, newPasswordProblem, useAgreement } from "../session/fields";
import { KnownPassword } from "../session/KnownPassword";
import { browserZone } from "../session/places";
import { useLinkSecret } from "../session/useLinkSecret";

const UNUSABLE = "auth.invitation_unusable";

/** Where the link of an invitation leads: what it is about, and the one form by which this person joins. */
export function InvitationPage() {
  const text = useText();
  const token = useLinkSecret();
  const accept = useAcceptInvitation();
  const asks = token !== "" && !accept.isSuccess;
  const query = useInvitation(token, asks);
  const me = useQuery({ ...meQuery(), enabled: asks });
  const gone = [query.error, accept.error].some((problem) => problem?.code === UNUSABLE);
  const useless = token === "" ? "no-secret" : gone ? "unusable" : null;
  const view = useless ? undefined : query.data;
  return (
    <EntryPage
      title={
        view
          ? text("invitation.title", { organisation: view.organisation })
          : text("invitation.title.unknown")
      }
      lead={
        view ? text("invitation.lead", { name: view.invited_by }) : text("invitation.lead.unknown")
      }
    >
      {useless ? (
        <div role="status">
          <Nothing
            icon={Link2Off}
            title={text(`invitation.${useless}`)}
            action={
              <ButtonTo to="/sign-in" variant="default">
                {text("invitation.to-sign-in")}
              </ButtonTo>
            }
          >
            {text(`invitation.${useless}.help`)}
          </Nothing>
        </div>
      ) : null}
      {query.error && !useless ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {asks && (query.isPending || me.isPending) ? <Loading rows={4} /> : null}
      {view && !me.isPending ? (
        <Stack gap="lg">
          <Facts view={view} />
          <Join token={token} view={view} me={me.data} accept={accept} />
        </Stack>
      ) : null}
    </EntryPage>
  );
}

function Facts({ view }: { view: InvitationView }) {
  const text = useText();
  return (
    <dl className="facts">
      <div>
        <dt>{text("invitation.organisation")}</dt>
        <dd>{view.organisation}</dd>
      </div>
      <div>
        <dt>{text("invitation.role")}</dt>
        <dd>{view.role_title}</dd>
      </div>
      <div>
        <dt>{text("invitation.by")}</dt>
        <dd>{view.invited_by}</dd>
      </div>
      <div>
        <dt>{text("invitation.email")}</dt>
        <dd>{view.email}</dd>
      </div>
      <div>
        <dt>{text("invitation.until")}</dt>
        <dd>{moment(view.expires_at, browserZone())}</dd>
      </div>
    </dl>
  );
}

interface Props {
  token: string;
  view: InvitationView;
  me: Me | undefined;
  accept: ReturnType<typeof useAcceptInvitation>;
}

function Join({ me, ...props }: Props) {
  const text = useText();
  const { view, accept } = props;
  const problem = accept.error;
  // Who signed in through an organisation's identity provider is vouched for there alone.
  const [byPassword, setByPassword] = useState(false);
  if (me?.user.email === view.email && !byPassword)
    return <JoinAs me={me} {...props} onRefused={() => setByPassword(true)} />;
  return (
    <Stack gap="sm">
      {me && !byPassword ? (
        <Text size="sm">
          {text("invitation.other", { email: me.user.email, invited: view.email })}
        </Text>
      ) : null}
      {problem && problem.code !== CODE_NEEDED && view.has_account ? (
        <ProblemAlert problem={problem} />
      ) : null}
      {view.has_account ? <JoinWithPassword {...props} /> : <JoinAnew {...props} />}
    </Stack>
  );
}

/** The browser is signed in to the organisation that was joined. */
function useJoined() {
  const navigate = useNavigate();
  return () => void navigate({ to: "/", replace: true });
}

type FormProps = Omit<Props, "me">;

interface JoinAsProps extends FormProps {
  me: Me;
  /** The password is asked for all the same. */
  onRefused: () => void;
}

function JoinAs({ me, token, accept, onRefused }: JoinAsProps) {
  const text = useText();
  const onSuccess = useJoined();
  return (
    <Stack gap="sm">
      {accept.error ? <ProblemAlert problem={accept.error} /> : null}
      <Button
        loading={accept.isPending}
        onClick={() =>
          accept.mutate(
            { token },
            {
              onSuccess,
              onError: (problem) => {
                if ("password" in fieldErrors(problem)) onRefused();
              },
            },
          )
        }
      >
        {text("invitation.join-as", { name: me.user.name })}
      </Button>
    </Stack>
  );
}

function JoinWithPassword({ token, view, accept }: FormProps) {
  const text = useText();
  const onSuccess = useJoined();
  const [asksCode, setAsksCode] = useState(false);
  const form = useForm({
    initialValues: { password: "", code: "" },
    validate: {
      password: isNotEmpty(text("session.password.missing")),
      code: asksCode ? isNotEmpty(text("code.missing")) : () => null,
    },
  });
  const submit = form.onSubmit(({ password, code }) =>
    accept.mutate(asksCode ? { token, password, code } : { token, password }, {
      onSuccess,
      onError: (problem) => {
        form.setFieldValue("code", "");
        form.setErrors(fieldErrors(problem));
        form.getInputNode("code")?.focus();
        if (problem.code === CODE_NEEDED) setAsksCode(true);
        else if (problem.code === WRONG_CREDENTIALS) setAsksCode(false);
      },
    }),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm">{text(asksCode ? "sign-in.lead.code" : "invitation.has-account")}</Text>
        {asksCode ? (
          <CodeField input={form.getInputProps("code")} />
        ) : (
          <>
            <Username email={view.email} />
            <KnownPassword
              label={text("session.password")}
              input={form.getInputProps("password")}
            />
          </>
        )}
        <Button type="submit" mt="xs" loading={accept.isPending}>
          {text("invitation.join")}
        </Button>
      </Stack>
    </form>
  );
}

/** `/new/name` belongs to the field `name`. */
function newErrors(problem: Problem): Record<string, string> {
  const pairs = Object.entries(fieldErrors(problem));
  return Object.fromEntries(pairs.map(([name, message]) => [name.replace(/^new\./, ""), message]));
}

function JoinAnew({ token, view, accept }: FormProps) {
  const text = useText();
  const onSuccess = useJoined();
  const agreement = useAgreement();
  const form = useForm({
    initialValues: { name: "", password: "", agreed: false },
    validate: {
      name: isNotEmpty(text("sign-up.name.missing")),
      password: (password) => newPasswordProblem(text, password),
      agreed: (agreed) => (agreed ? null : text("agree.missing")),
    },
  });
  const submit = form.onSubmit(({ name, password }) => {
    if (!agreement.versions) return;
    accept.mutate(
      { token, new: { name, password, ...agreement.versions } },
      {
        onSuccess,
        onError: (problem) => {
          form.setErrors(newErrors(problem));
          if (agreement.isOutdated(problem)) form.setFieldValue("agreed", false);
        },
      },
    );
  }, focusFirst(form));
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="sm">
        {accept.error ? <ProblemAlert problem={agreement.problemOf(accept.error)} /> : null}
        <TextInput
          label={text("sign-up.name")}
          name="name"
          autoComplete="name"
          required
          {...form.getInputProps("name")}
        />
        <Username email={view.email} />
        <NewPassword label={text("session.password")} input={form.getInputProps("password")} />
        {agreement.alert}
        <AgreementBox
          terms={agreement.terms}
          input={form.getInputProps("agreed", { type: "checkbox" })}
        />
        <Button type="submit" mt="xs" loading={accept.isPending}>
          {text("invitation.create")}
        </Button>
      </Stack>
    </form>
  );
}

/** What a password manager keeps the password under. */
function Username({ email }: { email: string }) {
  return <input type="email" name="email" autoComplete="username" value={email} readOnly hidden />;
}
