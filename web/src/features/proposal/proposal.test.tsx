import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { useProposal } from "../../api/queries";
import { meWith, problem, proposalWith } from "../../test/fixtures";
import { show } from "../../test/render";
import { useShortcutsSwitch } from "../../ui/shortcuts";
import { Decide } from "./Decide";
import { FieldDiff } from "./FieldDiff";
import { canCancel, hasMoved } from "./live";
import { ProposalProgress, stageIndex } from "./ProposalProgress";

const usd = (amount: string) => ({ amount, currency: "EUR" });
const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

describe("the difference", () => {
  it("shows before, after, the change in money and percent, and the exposure", () => {
    show(<FieldDiff proposal={proposalWith()} />);
    const diff = screen.getByRole("region", { name: "Change of Daily budget" });
    for (const part of ["€200.00", "€260.00", "+€60.00 (+30%)", "€1,260.00"])
      expect(diff).toHaveTextContent(part);
  });

  it("warns when the platform's value has moved", () => {
    const moved = proposalWith({ live: { value: usd("225.00"), read_at: "2026-11-21T12:00:00Z" } });
    show(<FieldDiff proposal={moved} />);
    expect(screen.getByRole("alert")).toHaveTextContent("€225.00, not €200.00");
  });

  it("does not mistake other digits for another value", () => {
    expect(hasMoved(proposalWith())).toBe(false);
  });

  it("no longer compares once the change was decided", () => {
    const live = { value: usd("260.00"), read_at: "2026-11-21T12:00:00Z" };
    expect(hasMoved(proposalWith({ state: "verified", live }))).toBe(false);
  });
});

describe("the progress", () => {
  it("shows an unknown outcome as still applying, never as done", () => {
    expect(stageIndex("unknown")).toBe(stageIndex("applying"));
    show(<ProposalProgress proposal={proposalWith({ state: "unknown" })} />);
    expect(screen.getByRole("status")).toHaveTextContent("answer was lost");
  });

  it("says applied and verified only then", () => {
    show(<ProposalProgress proposal={proposalWith({ state: "verified" })} />);
    expect(screen.getByRole("status")).toHaveTextContent("Applied and verified");
  });

  it("can be cancelled until it is sent", () => {
    const states = ["proposed", "approved", "applying", "verified"] as const;
    expect(states.map((state) => canCancel(proposalWith({ state })))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});

describe("the decision", () => {
  it("is bound to the change that was shown, and carries a key", async () => {
    const fetch = vi
      .spyOn(globalThis, "fetch")
      .mockResolvedValue(json(proposalWith({ state: "approved" })));
    show(<Decide proposal={proposalWith()} />);
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    await userEvent.click(await screen.findByRole("button", { name: "Approve the change" }));
    const request = fetch.mock.calls[0]?.[0] as Request;
    expect(request.url).toContain("/api/v1/proposals/pro_1/approve");
    expect(request.headers.get("X-Requested-With")).toBe("clp");
    expect(request.headers.get("Idempotency-Key")).toMatch(/^[0-9a-f-]{36}$/);
    expect(await request.clone().json()).toEqual({ change_hash: "hash" });
  });

  it("says so when somebody else was faster", async () => {
    const taken = {
      ...problem,
      status: 409,
      code: "write_back.already_decided",
      title: "Ben did.",
    };
    vi.spyOn(globalThis, "fetch").mockResolvedValue(json(taken, 409));
    show(<Decide proposal={proposalWith()} />);
    await userEvent.click(screen.getByRole("button", { name: "Approve" }));
    await userEvent.click(await screen.findByRole("button", { name: "Approve the change" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("Ben did.");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("offers a re-check instead of an approval when the value moved", () => {
    const moved = proposalWith({ live: { value: usd("225.00"), read_at: "2026-11-21T12:00:00Z" } });
    show(<Decide proposal={moved} />);
    expect(screen.queryByRole("button", { name: "Approve" })).not.toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Check again" })).toBeEnabled();
  });

  it("checks again by asking what the platform has now", async () => {
    const read = (amount: string) =>
      proposalWith({ live: { value: usd(amount), read_at: "2026-11-21T12:00:00Z" } });
    const fetch = vi.spyOn(globalThis, "fetch");
    fetch.mockImplementation(async (input) =>
      (input as Request).url.endsWith("/me")
        ? json(meWith())
        : json(read(fetch.mock.calls.length > 1 ? "200.00" : "225.00")),
    );
    function Waiting() {
      const proposal = useProposal("pro_1").data;
      return proposal ? <Decide proposal={proposal} /> : null;
    }
    show(<Waiting />);
    await userEvent.click(await screen.findByRole("button", { name: "Check again" }));
    expect(await screen.findByRole("button", { name: "Approve" })).toBeEnabled();
  });

  it("says why one may not approve", () => {
    const because = "Four eyes: you asked for this change yourself.";
    show(
      <Decide proposal={proposalWith({ may_approve: false, may_not_approve_because: because })} />,
    );
    expect(screen.getByText(because)).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Approve" })).toBeDisabled();
  });

  it("asks for a reason before it rejects", async () => {
    const fetch = vi.spyOn(globalThis, "fetch");
    show(<Decide proposal={proposalWith()} />);
    await userEvent.click(screen.getByRole("button", { name: "Reject" }));
    await userEvent.click(await screen.findByRole("button", { name: "Reject the proposal" }));
    expect(screen.getByText("Enter a reason")).toBeInTheDocument();
    expect(fetch).not.toHaveBeenCalled();
  });
});

describe("who may not decide", () => {
  const viewer = meWith({ permissions: ["proposals.read"] });

  it("is offered no decision, by key neither, and told why", async () => {
    show(<Decide proposal={proposalWith()} />, viewer);
    expect(screen.getByText(/Your role does not let you approve or reject/)).toBeVisible();
    expect(screen.queryByRole("button")).not.toBeInTheDocument();
    await userEvent.keyboard("ar");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("may still cancel, when the role allows that", () => {
    const planner = meWith({ permissions: ["proposals.read", "proposals.withdraw"] });
    show(<Decide proposal={proposalWith()} />, planner);
    expect(screen.getAllByRole("button").map((button) => button.textContent)).toEqual([
      "Cancel the proposal",
    ]);
  });

  it("is told why an approved change can't be called back", () => {
    show(<Decide proposal={proposalWith({ state: "approved" })} />, viewer);
    expect(screen.getByText("Your role does not let you cancel a proposal.")).toBeVisible();
  });
});

describe("single-key shortcuts", () => {
  function Switch() {
    const { setEnabled } = useShortcutsSwitch();
    return <button onClick={() => setEnabled(false)}>off</button>;
  }

  it("open the question, and do nothing by themselves", async () => {
    const fetch = vi.spyOn(globalThis, "fetch");
    show(<Decide proposal={proposalWith()} />);
    await userEvent.keyboard("a");
    expect(await screen.findByRole("dialog")).toHaveTextContent("€200.00 to €260.00");
    expect(fetch).not.toHaveBeenCalled();
  });

  it("are silent while someone types", async () => {
    show(
      <>
        <input aria-label="Note" />
        <Decide proposal={proposalWith()} />
      </>,
    );
    await userEvent.type(screen.getByLabelText("Note"), "a r");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("can be switched off, and stay off", async () => {
    show(
      <>
        <Switch />
        <Decide proposal={proposalWith()} />
      </>,
    );
    await userEvent.click(screen.getByRole("button", { name: "off" }));
    await userEvent.keyboard("a");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
    expect(window.localStorage.getItem("clp.single-key-shortcuts")).toBe("off");
  });
});
