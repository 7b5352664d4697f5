import { Button, Divider, Stack, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useSignIn } from "../../api/queries";
import type { MessageId } from "../../app/messages";
import { AnchorTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { CODE_NEEDED, CodeField, WRONG_CODE, WRONG_CREDENTIALS } from "./CodeField";
import { EntryPage } from "./EntryPage";
import { KnownPassword } from "./KnownPassword";
import { SsoForm } from "./SsoForm";
import { SsoProblem } from "./SsoProblem";

const SSO_NEEDED = "auth.sso_needed";

/** By password, then by the code of a second factor where there is one; or through an identity provider. */
type Way = "password" | "code" | "sso";

const LEADS = {
  password: "sign-in.lead",
  code: "sign-in.lead.code",
  sso: "sign-in.lead.sso",
} as const satisfies Record<Way, MessageId>;

export function SignIn() {
  const text = useText();
  const router = useRouter();
  const navigate = useNavigate();
  const { return: back, reset, organisation, problem } = useSearch({ from: "/sign-in" });
  const [way, setWay] = useState<Way>(organisation ? "sso" : "password");
  const signIn = useSignIn();
  const form = useForm({
    initialValues: { email: "", password: "", code: "" },
    validate: {
      email: isNotEmpty(text("session.email.missing")),
      password: isNotEmpty(text("session.password.missing")),
      code: way === "code" ? isNotEmpty(text("code.missing")) : () => null,
    },
  });
  const enter = () => {
    if (back) router.history.push(back);
    else void navigate({ to: "/" });
  };
  const goTo = (next: Way) => {
    signIn.reset();
    form.clearErrors();
    setWay(next);
  };
  const submit = form.onSubmit(({ code, ...known }) =>
    signIn.mutate(way === "code" ? { ...known, code } : known, {
      onSuccess: enter,
      onError: (refusal) => {
        if (way === "code") {
          form.setFieldValue("code", "");
          form.getInputNode("code")?.focus();
        }
        if (refusal.code === CODE_NEEDED || refusal.code === WRONG_CODE) setWay("code");
        else if (refusal.code === WRONG_CREDENTIALS) setWay("password");
      },
    }),
  );
  const { error } = signIn;
  const lead = way !== "password" ? LEADS[way] : leadOf(reset, back);
  return (
    <EntryPage
      title={text("sign-in.title")}
      lead={text(lead)}
      foot={
        <>
          {text("sign-in.no-account")}{" "}
          <AnchorTo to="/sign-up">{text("sign-in.to-sign-up")}</AnchorTo>
        </>
      }
    >
      <Stack gap="sm">
        {problem && !error ? <SsoProblem code={problem} /> : null}
        {error && error.code !== CODE_NEEDED ? (
          <ProblemAlert
            problem={error}
            actions={
              error.code === SSO_NEEDED ? (
                <Button size="xs" variant="default" onClick={() => goTo("sso")}>
                  {text("sign-in.sso.go")}
                </Button>
              ) : null
            }
          />
        ) : null}
        {way === "sso" ? (
          <SsoForm
            organisation={organisation}
            email={form.values.email}
            onPassword={() => goTo("password")}
          />
        ) : (
          <form noValidate onSubmit={submit}>
            <Stack gap="sm">
              {way === "code" ? (
                <CodeField input={form.getInputProps("code")} />
              ) : (
                <>
                  <TextInput
                    label={text("session.email")}
                    type="email"
                    name="email"
                    autoComplete="username"
                    required
                    {...form.getInputProps("email")}
                  />
                  <KnownPassword
                    label={text("session.password")}
                    input={form.getInputProps("password")}
                  />
                </>
              )}
              <Button type="submit" mt="xs" loading={signIn.isPending}>
                {text("sign-in.button")}
              </Button>
              {way === "code" ? (
                <Button variant="subtle" size="compact-sm" onClick={() => goTo("password")}>
                  {text("sign-in.back")}
                </Button>
              ) : (
                <>
                  <AnchorTo to="/forgotten-password" size="sm" ta="center" mt={4}>
                    {text("sign-in.forgotten")}
                  </AnchorTo>
                  <Divider label={text("sign-in.other")} />
                  <Button variant="default" onClick={() => goTo("sso")}>
                    {text("sign-in.sso")}
                  </Button>
                </>
              )}
            </Stack>
          </form>
        )}
      </Stack>
    </EntryPage>
  );
}

function leadOf(reset: true | undefined, back: string | undefined): MessageId {
  if (reset) return "sign-in.lead.reset";
  return back ? "sign-in.lead.return" : LEADS.password;
}
