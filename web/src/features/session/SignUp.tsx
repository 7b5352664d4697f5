import { Button, NativeSelect, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { isEmail, isNotEmpty, useForm } from "@mantine/form";
import { useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { fieldErrors } from "../../api/problem";
import { useSignUp } from "../../api/queries";
import { focusFirst } from "../../ui/focusFirst";
import { AnchorTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";
import { AgreementBox, NewPassword, newPasswordProblem, useAgreement } from "./fields";
import { browserZone, currencyOfRegion, currencyOptions, zoneOptions } from "./places";

export function SignUp() {
  const text = useText();
  const navigate = useNavigate();
  const signUp = useSignUp();
  const agreement = useAgreement();
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
      agreed: false,
    },
    // In the order of the fields: the first that is wrong gets the focus.
    validate: {
      organisation_name: isNotEmpty(text("sign-up.organisation.missing")),
      name: isNotEmpty(text("sign-up.name.missing")),
      email: isEmail(text("session.email.wrong")),
      password: (password) => newPasswordProblem(text, password),
      agreed: (agreed) => (agreed ? null : text("agree.missing")),
    },
  });
  const submit = form.onSubmit((values) => {
    const { agreed: _, ...person } = values;
    if (!agreement.versions) return;
    signUp.mutate(
      { ...person, ...agreement.versions },
      {
        onSuccess: () => void navigate({ to: "/onboarding" }),
        onError: (problem) => {
          form.setErrors(fieldErrors(problem));
          if (agreement.isOutdated(problem)) form.setFieldValue("agreed", false);
        },
      },
    );
  }, focusFirst(form));
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
          {signUp.error ? <ProblemAlert problem={agreement.problemOf(signUp.error)} /> : null}
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
          <NewPassword label={text("session.password")} input={form.getInputProps("password")} />
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
          {agreement.alert}
          <AgreementBox
            terms={agreement.terms}
            input={form.getInputProps("agreed", { type: "checkbox" })}
          />
          <Button type="submit" mt="xs" loading={signUp.isPending}>
            {text("sign-up.button")}
          </Button>
        </Stack>
      </form>
    </EntryPage>
  );
}
