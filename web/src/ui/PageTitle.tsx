import { Group, Stack, Text, Title } from "@mantine/core";
import { useEffect, useRef, type ReactNode } from "react";
import { useText } from "./text";

interface Props {
  title: string;
  /** Short facts under the title. */
  lead?: ReactNode;
  /** Chips and buttons at the right. */
  actions?: ReactNode;
}

/** Names the page in its heading and in the document, and takes the focus when the page was navigated to. */
export function PageTitle({ title, lead, actions }: Props) {
  const heading = useDocumentTitle<HTMLHeadingElement>(title);
  return (
    <Group justify="space-between" align="flex-start" gap="md">
      <Stack gap={2} miw={0}>
        <Title order={1} ref={heading} tabIndex={-1} className="page-title">
          {title}
        </Title>
        {lead ? (
          <Text component="div" c="dimmed" size="sm">
            {lead}
          </Text>
        ) : null}
      </Stack>
      {actions ? <Group gap="xs">{actions}</Group> : null}
    </Group>
  );
}

let pagesShown = 0;

/** The document's title; and a ref that is focused when this is not the first page of the visit. */
export function useDocumentTitle<Heading extends HTMLElement>(title: string) {
  const text = useText();
  const heading = useRef<Heading>(null);
  useEffect(() => {
    document.title = text("app.document-title", { page: title });
  }, [text, title]);
  useEffect(() => {
    if (pagesShown > 0) heading.current?.focus({ preventScroll: true });
    pagesShown += 1;
  }, []);
  return heading;
}
