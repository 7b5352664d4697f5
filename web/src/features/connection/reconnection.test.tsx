import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../api/types";
import { problem } from "../../test/fixtures";
import { show } from "../../test/render";
import { Reconnection } from "./Reconnection";

function connectionWith(change: Partial<Connection>): Connection {
  return {
    id: "con_1",
    platform: "dv360",
    title: "Display & Video 360",
    status: "healthy",
    connected_by: { name: "Ana" },
    connected_at: "2026-11-21T12:00:00Z",
    scopes: [],
    accounts: [],
    ...change,
  };
}

const at = "2026-11-21T12:00:00Z";

describe("what came of reconnecting", () => {
  it("is said while it is checked, whoever looks", () => {
    const connection = connectionWith({ reconnection: { state: "checking", at } });
    show(<Reconnection connection={connection} returned={false} />);
    expect(screen.getByRole("status")).toHaveTextContent("Checking the new authorisation");
  });

  it("is said to who comes back, and not for ever", () => {
    const connection = connectionWith({ reconnection: { state: "done", at } });
    const { unmount } = show(<Reconnection connection={connection} returned />);
    expect(screen.getByRole("status")).toHaveTextContent("Reconnected");
    unmount();
    show(<Reconnection connection={connection} returned={false} />);
    expect(screen.queryByRole("status")).toBeNull();
  });

  it("says why it was refused as long as the connection waits for a person", () => {
    const refused = { state: "refused" as const, at, problem };
    const waiting = connectionWith({ who_acts: "you", reconnection: refused });
    const { unmount } = show(<Reconnection connection={waiting} returned={false} />);
    expect(screen.getByText(problem.title)).toBeVisible();
    unmount();
    const well = connectionWith({ who_acts: null, reconnection: refused });
    show(<Reconnection connection={well} returned={false} />);
    expect(screen.queryByText(problem.title)).toBeNull();
  });
});
