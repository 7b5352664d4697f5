import { Center, Paper, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Brand } from "../../app/Brand";
import { useDocumentTitle } from "../../ui/PageTitle";
import { useText } from "../../ui/text";

interface Props {
  title: string;
  lead: string;
  children: ReactNode;
  foot?: ReactNode;
}

/** The frame of the screens beside the application: before one is signed in, or may go on. */
export function EntryPage({ title, lead, children, foot }: Props) {
  const text = useText();
  const heading = useDocumentTitle<HTMLHeadingElement>(title);
  return (
    <Center component="main" mih="100vh" p="md" className="entry">
      <Stack w="100%" maw={420} gap="lg">
        <Stack gap={6} align="center" ta="center">
          <Brand size={40} />
          <Text size="sm" c="dimmed">
            {text("app.name")}
          </Text>
        </Stack>
        <Paper withBorder p="xl" shadow="xs">
          <Title order={1} ref={heading} tabIndex={-1} className="page-title">
            {title}
          </Title>
          <Text c="dimmed" size="sm" mt={2} mb="lg">
            {lead}
          </Text>
          {children}
        </Paper>
        {foot ? (
          <Text size="sm" ta="center" component="div">
            {foot}
          </Text>
        ) : null}
      </Stack>
    </Center>
  );
}
