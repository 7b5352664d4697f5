import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { useSignIn } from "../../api/queries";
import { AnchorTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";

export function SignIn() {
  const text = useText();
  const router = useRouter();
  const navigate = useNavigate();
  const { return: back } = useSearch({ from: "/sign-in" });
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
      lead={back ? text("sign-in.lead.return") : text("sign-in.lead")}
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
          <PasswordInput
            label={text("session.password")}
            name="password"
            autoComplete="current-password"
            required
            visibilityToggleButtonProps={{ "aria-label": text("session.password.show") }}
            {...form.getInputProps("password")}
          />
          <Button type="submit" mt="xs" loading={signIn.isPending}>
            {text("sign-in.button")}
          </Button>
        </Stack>
      </form>
    </EntryPage>
  );
}
