/** The states that every list ships with: loading, empty, more. */
import {
  Button,
  Group,
  Paper,
  Skeleton,
  Stack,
  Text,
  ThemeIcon,
  VisuallyHidden,
} from "@mantine/core";
import { Lock, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { useText } from "./text";

/** Grey rows in the place of the list that is being read. */
export function Loading({ rows = 6, height = 34 }: { rows?: number; height?: number }) {
  const text = useText();
  return (
    <Stack gap={8} role="status">
      <VisuallyHidden>{text("state.loading")}</VisuallyHidden>
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={height} radius="sm" />
      ))}
    </Stack>
  );
}

interface NothingProps {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** One sentence and one way on, where a list would be. */
export function Nothing({ icon: Icon, title, children, action }: NothingProps) {
  return (
    <Stack align="center" gap={6} py={48} px="md" ta="center">
      <ThemeIcon size={44} radius="xl" variant="light" color="gray" aria-hidden>
        <Icon size={22} />
      </ThemeIcon>
      <Text fw={600} size="lg" mt={6}>
        {title}
      </Text>
      {children ? (
        <Text c="dimmed" size="sm" maw={460}>
          {children}
        </Text>
      ) : null}
      {action ? <Group mt="sm">{action}</Group> : null}
    </Stack>
  );
}

/** Where a page would be that the person may not see. */
export function MayNot({ children }: { children: ReactNode }) {
  const text = useText();
  return (
    <Paper withBorder>
      <Nothing icon={Lock} title={text("may-not.title")}>
        {children}
      </Nothing>
    </Paper>
  );
}

interface MoreProps {
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
}

/** The next page of a cursor list, on demand. */
export function More({ query }: MoreProps) {
  const text = useText();
  if (!query.hasNextPage) return null;
  return (
    <Group justify="center" mt="md">
      <Button
        variant="default"
        size="xs"
        loading={query.isFetchingNextPage}
        onClick={() => void query.fetchNextPage()}
      >
        {text("state.more")}
      </Button>
    </Group>
  );
}
