import { Button, Group, Stack, Text } from "@mantine/core";
import type { NewInvitation } from "../../api/types";
import { moment } from "../../format/format";
import { CopyField } from "../../ui/CopyField";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";

/** How the mail went, and the link, which nobody can read anywhere afterwards. */
export function Invited({ made, onClose }: { made: NewInvitation; onClose: () => void }) {
  const text = useText();
  const zone = useZone();
  const until = moment(made.invitation.expires_at, zone);
  return (
    <Stack gap="md">
      <Text size="sm" fw={600}>
        {text(`invited.mail.${made.mail}`)}
      </Text>
      <CopyField label={text("invited.link")} value={made.link} />
      <Text size="sm">{text("invited.once", { until })}</Text>
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          {text("dialog.done")}
        </Button>
      </Group>
    </Stack>
  );
}
