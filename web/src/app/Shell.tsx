/** The frame of the application: navigation, who is here, and where the keyboard starts. */
import {
  ActionIcon,
  AppShell,
  Badge,
  Box,
  Burger,
  Group,
  Menu,
  Text,
  Tooltip,
  UnstyledButton,
  useMantineColorScheme,
  type MantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Outlet, useNavigate, useRouteContext, useRouterState } from "@tanstack/react-router";
import {
  Cable,
  ChevronDown,
  History,
  Inbox,
  Keyboard,
  LayoutDashboard,
  LogOut,
  Monitor,
  Moon,
  ScrollText,
  Settings,
  Sun,
  Users,
  type LucideIcon,
} from "lucide-react";
import type { Permission } from "../api/permissions";
import { useMay, useMe, useSignOut } from "../api/queries";
import type { Me } from "../api/types";
import { zoneName } from "../format/format";
import { NavLinkTo } from "../ui/links";
import { useShortcuts } from "../ui/shortcuts";
import { useText } from "../ui/text";
import { Brand } from "./Brand";
import { CheatSheet } from "./CheatSheet";
import type { MessageId } from "./messages";
import { OrganisationName } from "./OrganisationName";

interface Place {
  to: string;
  label: MessageId;
  icon: LucideIcon;
  /** Who may not do this is not led there. */
  needs?: Permission;
}

const PLACES: readonly Place[] = [
  { to: "/", label: "nav.overview", icon: LayoutDashboard },
  { to: "/approvals", label: "nav.approvals", icon: Inbox, needs: "proposals.read" },
  { to: "/connections", label: "nav.connections", icon: Cable, needs: "connections.read" },
  { to: "/runs", label: "nav.runs", icon: History, needs: "runs.read" },
  { to: "/members", label: "nav.members", icon: Users, needs: "members.read" },
  { to: "/audit", label: "nav.audit", icon: ScrollText, needs: "audit.read" },
  { to: "/settings", label: "nav.settings", icon: Settings },
];

/** Another organisation is another frame: nothing on the screen outlives a switch. */
export function Shell() {
  const { organisation } = useRouteContext({ from: "/shell" });
  return <Frame key={organisation} />;
}

function Frame() {
  const text = useText();
  const [menuOpen, menu] = useDisclosure(false);
  const [sheetOpen, sheet] = useDisclosure(false);
  const me = useMe().data;
  const may = useMay();
  const path = useRouterState({ select: (state) => state.location.pathname });
  useShortcuts({ "?": sheet.open });
  return (
    <AppShell
      header={{ height: 48 }}
      navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !menuOpen } }}
      padding="lg"
      transitionDuration={0}
    >
      <a className="skip-link" href="#main">
        {text("shell.skip")}
      </a>
      <AppShell.Header className="shell-header">
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap" miw={0}>
            <Burger
              opened={menuOpen}
              onClick={menu.toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={text("shell.menu")}
              aria-expanded={menuOpen}
            />
            <Brand />
            {me ? <OrganisationName organisation={me.organisation} /> : null}
            {me?.organisation.frozen ? (
              <Badge color="red" variant="filled">
                {text("shell.frozen")}
              </Badge>
            ) : null}
          </Group>
          <Group gap={6} wrap="nowrap">
            {me ? (
              <Text size="xs" c="dimmed" visibleFrom="sm">
                {text("shell.zone", { zone: zoneName(me.organisation.time_zone) })}
              </Text>
            ) : null}
            <Tooltip label={text("shell.shortcuts")}>
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                aria-label={text("shell.shortcuts")}
                onClick={sheet.open}
              >
                <Keyboard aria-hidden size={18} />
              </ActionIcon>
            </Tooltip>
            {me ? <UserMenu me={me} /> : null}
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={text("nav.label")} className="shell-navbar">
        {PLACES.filter(({ needs }) => !needs || may(needs)).map(({ to, label, icon: Icon }) => (
          <NavLinkTo
            key={to}
            to={to}
            onClick={menu.close}
            label={text(label)}
            active={isAt(path, to)}
            aria-current={isAt(path, to) ? "page" : undefined}
            leftSection={<Icon aria-hidden size={17} />}
            rightSection={
              to === "/approvals" && me && me.open_proposals > 0 ? (
                <Badge
                  size="sm"
                  variant="filled"
                  aria-label={text("nav.waiting", { count: me.open_proposals })}
                  role="img"
                >
                  {me.open_proposals}
                </Badge>
              ) : null
            }
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className="shell-main">
        <Box className="page">
          <Outlet />
        </Box>
      </AppShell.Main>
      <CheatSheet opened={sheetOpen} onClose={sheet.close} />
    </AppShell>
  );
}

function isAt(path: string, place: string): boolean {
  if (place === "/") return path === "/" || path.startsWith("/campaigns");
  return path === place || path.startsWith(`${place}/`);
}

const SCHEMES: readonly { value: MantineColorScheme; label: MessageId; icon: LucideIcon }[] = [
  { value: "auto", label: "scheme.auto", icon: Monitor },
  { value: "light", label: "scheme.light", icon: Sun },
  { value: "dark", label: "scheme.dark", icon: Moon },
];

function UserMenu({ me }: { me: Me }) {
  const text = useText();
  const navigate = useNavigate();
  const signOut = useSignOut();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const leave = () =>
    signOut.mutate(undefined, { onSettled: () => void navigate({ to: "/sign-in" }) });
  return (
    <Menu
      position="bottom-end"
      width={220}
      transitionProps={{ duration: 0 }}
      withInitialFocusPlaceholder={false}
    >
      <Menu.Target>
        <UnstyledButton
          className="user-button"
          aria-label={text("shell.account", { name: me.user.name })}
        >
          <span className="user-initials" aria-hidden>
            {initials(me.user.name)}
          </span>
          <Text size="sm" component="span" visibleFrom="sm">
            {me.user.name}
          </Text>
          <ChevronDown aria-hidden size={14} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{me.user.email}</Menu.Label>
        <Menu.Divider />
        <Menu.Label>{text("scheme.label")}</Menu.Label>
        <Menu.RadioGroup
          value={colorScheme}
          onChange={(value) => setColorScheme(value as MantineColorScheme)}
        >
          {SCHEMES.map(({ value, label, icon: Icon }) => (
            <Menu.RadioItem key={value} value={value} rightSection={<Icon aria-hidden size={15} />}>
              {text(label)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item leftSection={<LogOut aria-hidden size={15} />} onClick={leave}>
          {text("shell.sign-out")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function initials(name: string): string {
  return name
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => word.charAt(0).toUpperCase())
    .join("");
}
