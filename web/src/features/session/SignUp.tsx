import { Button, NativeSelect, PasswordInput, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { hasLength, isEmail, isNotEmpty, useForm } from "@mantine/form";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { fieldErrors } from "../../api/problem";
import { useSignUp } from "../../api/queries";
import { AnchorTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";
import { browserZone, currencyOfRegion, currencyOptions, zoneOptions } from "./places";

const MIN_PASSWORD = 12;

export function SignUp() {
  const text = useText();
  const navigate = useNavigate();
  const signUp = useSignUp();
  const currencies = useMemo(() => currencyOptions(), []);
  const zones = useMemo(() => zoneOptions(), []);
  const form = useForm({
    initialValues: {
      name: "",
      email: "",
      password: "",
      organisation_name: "",
      reporting_currency: currencyOfRegion(navigator.language),
      time_zone: browserZone(),
    },
    validate: {
      name: isNotEmpty(text("sign-up.name.missing")),
      email: isEmail(text("session.email.wrong")),
      password: hasLength({ min: MIN_PASSWORD }, text("sign-up.password.short")),
      organisation_name: isNotEmpty(text("sign-up.organisation.missing")),
    },
  });
  const submit = form.onSubmit((values) =>
    signUp.mutate(values, {
      onSuccess: () => void navigate({ to: "/onboarding" }),
      onError: (problem) => form.setErrors(fieldErrors(problem)),
    }),
  );
  return (
    <EntryPage
      title={text("sign-up.title")}
      lead={text("sign-up.lead")}
      foot={
        <>
          {text("sign-up.have-account")}{" "}
          <AnchorTo to="/sign-in">{text("sign-up.to-sign-in")}</AnchorTo>
        </>
      }
    >
      <form noValidate onSubmit={submit}>
        <Stack gap="sm">
          {signUp.error ? <ProblemAlert problem={signUp.error} /> : null}
          <TextInput
            label={text("sign-up.organisation")}
            name="organization"
            autoComplete="organization"
            required
            {...form.getInputProps("organisation_name")}
          />
          <TextInput
            label={text("sign-up.name")}
            name="name"
            autoComplete="name"
            required
            {...form.getInputProps("name")}
          />
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
            description={text("sign-up.password.help")}
            name="password"
            autoComplete="new-password"
            required
            visibilityToggleButtonProps={{ "aria-label": text("session.password.show") }}
            {...form.getInputProps("password")}
          />
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
            <NativeSelect
              label={text("sign-up.currency")}
              data={currencies}
              {...form.getInputProps("reporting_currency")}
            />
            <NativeSelect
              label={text("sign-up.zone")}
              data={zones}
              {...form.getInputProps("time_zone")}
            />
          </SimpleGrid>
          <Button type="submit" mt="xs" loading={signUp.isPending}>
            {text("sign-up.button")}
          </Button>
        </Stack>
      </form>
    </EntryPage>
  );
}
