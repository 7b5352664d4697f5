import { Table } from "@mantine/core";
import type { ReactNode } from "react";

interface Props {
  /** Names the table and, when it is too wide for the window, the region that scrolls. */
  label: string;
  minWidth: number;
  maxHeight?: number;
  framed?: boolean;
  children: ReactNode;
}

/** A table that scrolls by itself, by keyboard too, instead of making the page scroll sideways. */
export function TableFrame({ label, minWidth, maxHeight, framed = true, children }: Props) {
  return (
    <Table.ScrollContainer
      minWidth={minWidth}
      {...(maxHeight === undefined ? {} : { maxHeight })}
      type="native"
      className={framed ? "framed" : undefined}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <Table highlightOnHover stickyHeader={maxHeight !== undefined} aria-label={label}>
        {children}
      </Table>
    </Table.ScrollContainer>
  );
}
