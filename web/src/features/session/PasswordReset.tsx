import { Button, Stack } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useNavigate } from "@tanstack/react-router";
import { Link2Off } from "lucide-react";
import { fieldErrors } from "../../api/problem";
import { useResetPassword } from "../../api/queries";
import { AnchorTo, ButtonTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";
import { NewPassword, newPasswordProblem } from "./fields";
import { useLinkSecret } from "./useLinkSecret";

const UNUSABLE = "auth.reset_unusable";

/** Where the link of a forgotten password leads. */
export function PasswordReset() {
  const text = useText();
  const token = useLinkSecret();
  const reset = useResetPassword();
  const useless = token === "" ? "no-secret" : reset.error?.code === UNUSABLE ? "unusable" : null;
  return (
    <EntryPage
      title={text("reset.title")}
      lead={text("reset.lead")}
      foot={<AnchorTo to="/sign-in">{text("forgotten.back")}</AnchorTo>}
    >
      {useless ? (
        <div role="status">
          <Nothing
            icon={Link2Off}
            title={text(`reset.${useless}`)}
            action={<ButtonTo to="/forgotten-password">{text("reset.ask-again")}</ButtonTo>}
          >
            {text(`reset.${useless}.help`)}
          </Nothing>
        </div>
      ) : (
        <ResetForm token={token} reset={reset} />
      )}
    </EntryPage>
  );
}

interface Props {
  token: string;
  reset: ReturnType<typeof useResetPassword>;
}

function ResetForm({ token, reset }: Props) {
  const text = useText();
  const navigate = useNavigate();
  const form = useForm({
    initialValues: { password: "" },
    validate: { password: (password) => newPasswordProblem(text, password) },
  });
  const submit = form.onSubmit(({ password }) =>
    reset.mutate(
      { token, password },
      {
        onSuccess: () => void navigate({ to: "/sign-in", search: { reset: true }, replace: true }),
        onError: (problem) => form.setErrors(fieldErrors(problem)),
      },
    ),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="sm">
        {reset.error ? <ProblemAlert problem={reset.error} /> : null}
        <NewPassword label={text("reset.password")} input={form.getInputProps("password")} />
        <Button type="submit" mt="xs" loading={reset.isPending}>
          {text("reset.button")}
        </Button>
      </Stack>
    </form>
  );
}
