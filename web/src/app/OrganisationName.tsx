import { Loader, Menu, Modal, Text, UnstyledButton } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { ChevronDown } from "lucide-react";
import { useRef } from "react";
import { useOrganisations, useSwitchOrganisation } from "../api/queries";
import type { Organisation, OrganisationItem } from "../api/types";
import { ProblemAlert } from "../ui/ProblemAlert";
import { useText } from "../ui/text";

/** Where one is; who belongs to several organisations goes on in another from here. */
export function OrganisationName({ organisation }: { organisation: Organisation }) {
  const items = useOrganisations().data?.items ?? [];
  if (items.length > 1) return <Switcher organisation={organisation} items={items} />;
  return (
    <Text fw={600} size="sm" truncate className="shell-organisation">
      {organisation.name}
    </Text>
  );
}

interface Props {
  organisation: Organisation;
  items: readonly OrganisationItem[];
}

function Switcher({ organisation: { id, name }, items }: Props) {
  const text = useText();
  const navigate = useNavigate();
  const button = useRef<HTMLButtonElement>(null);
  const change = useSwitchOrganisation();
  const go = async (organisation: string) => {
    // The answer may come before the menu has given the focus back.
    button.current?.focus();
    try {
      await change.mutateAsync({ organisation });
    } catch {
      return;
    }
    // Even if this is not on the screen any more: what was asked with the session that ended may have led to signing in.
    await navigate({ to: "/" });
  };
  return (
    <>
      <Menu
        position="bottom-start"
        width={280}
        transitionProps={{ duration: 0 }}
        withInitialFocusPlaceholder={false}
      >
        <Menu.Target>
          <UnstyledButton
            ref={button}
            className="user-button"
            miw={0}
            aria-label={text("shell.organisation", { name })}
          >
            <Text fw={600} size="sm" truncate component="span" className="shell-organisation">
              {name}
            </Text>
            {change.isPending ? <Loader size={14} /> : <ChevronDown aria-hidden size={14} />}
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{text("organisations.label")}</Menu.Label>
          <Menu.RadioGroup value={id} onChange={(chosen) => void go(chosen)}>
            {items.map((item) => (
              <Menu.RadioItem
                key={item.id}
                value={item.id}
                closeMenuOnClick
                disabled={change.isPending}
                data-autofocus={item.id === id || undefined}
                rightSection={
                  <Text size="xs" c="dimmed">
                    {item.role.replaceAll("_", " ")}
                  </Text>
                }
              >
                {item.name}
              </Menu.RadioItem>
            ))}
          </Menu.RadioGroup>
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={change.isError}
        onClose={change.reset}
        title={text("organisations.refused", { name })}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        <ProblemAlert problem={change.error} />
      </Modal>
    </>
  );
}
