import { Button, Stack, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { useSignIn } from "../../api/queries";
import { AnchorTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";
import { KnownPassword } from "./KnownPassword";

export function SignIn() {
  const text = useText();
  const router = useRouter();
  const navigate = useNavigate();
  const { return: back, reset } = useSearch({ from: "/sign-in" });
  const signIn = useSignIn();
  const form = useForm({
    initialValues: { email: "", password: "" },
    validate: {
      email: isNotEmpty(text("session.email.missing")),
      password: isNotEmpty(text("session.password.missing")),
    },
  });
  const enter = () => {
    if (back) router.history.push(back);
    else void navigate({ to: "/" });
  };
  return (
    <EntryPage
      title={text("sign-in.title")}
      lead={text(reset ? "sign-in.lead.reset" : back ? "sign-in.lead.return" : "sign-in.lead")}
      foot={
        <>
          {text("sign-in.no-account")}{" "}
          <AnchorTo to="/sign-up">{text("sign-in.to-sign-up")}</AnchorTo>
        </>
      }
    >
      <form
        noValidate
        onSubmit={form.onSubmit((values) => signIn.mutate(values, { onSuccess: enter }))}
      >
        <Stack gap="sm">
          {signIn.error ? <ProblemAlert problem={signIn.error} /> : null}
          <TextInput
            label={text("session.email")}
            type="email"
            name="email"
            autoComplete="username"
            required
            {...form.getInputProps("email")}
          />
          <KnownPassword label={text("session.password")} input={form.getInputProps("password")} />
          <Button type="submit" mt="xs" loading={signIn.isPending}>
            {text("sign-in.button")}
          </Button>
          <AnchorTo to="/forgotten-password" size="sm" ta="center" mt={4}>
            {text("sign-in.forgotten")}
          </AnchorTo>
        </Stack>
      </form>
    </EntryPage>
  );
}
