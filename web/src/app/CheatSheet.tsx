import { Kbd, Modal, Switch, Table, Text } from "@mantine/core";
import { useShortcutsSwitch } from "../ui/shortcuts";
import { useText } from "../ui/text";
import type { MessageId } from "./messages";

const KEYS: readonly [string, MessageId][] = [
  ["?", "keys.sheet"],
  ["j", "keys.next"],
  ["k", "keys.previous"],
  ["a", "keys.approve"],
  ["r", "keys.reject"],
];

/** All single-key shortcuts, and the switch that turns them off. */
export function CheatSheet({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const text = useText();
  const { enabled, setEnabled } = useShortcutsSwitch();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={text("keys.title")}
      closeButtonProps={{ "aria-label": text("dialog.close") }}
    >
      <Switch
        checked={enabled}
        onChange={(event) => setEnabled(event.currentTarget.checked)}
        label={text("keys.switch")}
        description={text("keys.switch.help")}
        mb="md"
      />
      <Table aria-label={text("keys.title")}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={80}>{text("keys.key")}</Table.Th>
            <Table.Th>{text("keys.does")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {KEYS.map(([key, does]) => (
            <Table.Tr key={key}>
              <Table.Td>
                <Kbd>{key}</Kbd>
              </Table.Td>
              <Table.Td>{text(does)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="sm" c="dimmed" mt="sm">
        {text("keys.note")}
      </Text>
    </Modal>
  );
}
