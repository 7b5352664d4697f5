import { Stack } from "@mantine/core";
import { PageTitle } from "../../ui/PageTitle";
import { useText } from "../../ui/text";
import { ChangePassword } from "./ChangePassword";
import { SecondFactor } from "./SecondFactor";
import { Sessions } from "./Sessions";

/** How the person signs in, and where they are signed in. */
export function SecurityPage() {
  const text = useText();
  return (
    <Stack gap="lg">
      <PageTitle title={text("security.title")} lead={text("security.lead")} />
      <SecondFactor />
      <ChangePassword />
      <Sessions />
    </Stack>
  );
}
