import { Group, Stack } from "@mantine/core";
import { Outlet, useRouterState } from "@tanstack/react-router";
import type { Permission } from "../../api/permissions";
import { useMay } from "../../api/queries";
import type { MessageId } from "../../app/messages";
import { ButtonTo } from "../../ui/links";
import { useText } from "../../ui/text";

interface Place {
  to: string;
  label: MessageId;
  /** Who may not do this is not led there. */
  needs?: Permission;
}

const PLACES: readonly Place[] = [
  { to: "/settings", label: "settings.general" },
  { to: "/settings/security", label: "security.title" },
  { to: "/settings/single-sign-on", label: "sso.title", needs: "sign_in.manage" },
  { to: "/settings/api-keys", label: "api-keys.title", needs: "api_keys.manage" },
];

/** The pages of the settings, beside one another. Who may see one only needs no way to the others. */
export function SettingsFrame() {
  const text = useText();
  const may = useMay();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const places = PLACES.filter(({ needs }) => !needs || may(needs));
  return (
    <Stack gap="md">
      {places.length > 1 ? (
        <Group component="nav" gap="xs" aria-label={text("settings.label")}>
          {places.map(({ to, label }) => (
            <ButtonTo
              key={to}
              to={to}
              size="xs"
              variant={path === to ? "light" : "subtle"}
              activeOptions={{ exact: true }}
            >
              {text(label)}
            </ButtonTo>
          ))}
        </Group>
      ) : null}
      <Outlet />
    </Stack>
  );
}
