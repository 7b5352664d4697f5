/** The one query layer: what the screens may read and do. Paths of the API appear in this file only. */
import {
  hashKey,
  QueryClient,
  queryOptions,
  useMutation,
  useQuery,
  useQueryClient,
  type QueryState,
  type UseMutationResult,
} from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { followServer } from "../format/clock";
import { api, client, idempotent, IntentKeys, keepToOrganisation } from "./client";
import type { Permission } from "./permissions";
import { asProblem } from "./problem";
import type {
  AcceptIn,
  AgreementIn,
  ApiKey,
  ApiKeyIn,
  CodeIn,
  Connection,
  ForgottenIn,
  FreezeIn,
  Invitation,
  InvitationIn,
  InvitationView,
  Me,
  Member,
  MemberPatch,
  NewApiKey,
  NewInvitation,
  NewSecondFactor,
  Onboarding,
  Organisation,
  PasswordIn,
  Platform,
  Problem,
  Proposal,
  RecoveryCodes,
  RemovalIn,
  ResetIn,
  Role,
  RoleIn,
  SecondFactorIn,
  SessionIn,
  SessionItem,
  SignUpIn,
  Sso,
  SsoBeginIn,
  SsoIn,
} from "./types";

const PAGE_SIZE = 50;
const SECOND = 1_000;
const MAX_RETRIES = 2;

export function createQueryClient(): QueryClient {
  const queries = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 10 * SECOND,
        retry: (failures, thrown) => failures < MAX_RETRIES && asProblem(thrown).retryable,
        refetchOnWindowFocus: true,
      },
    },
  });
  queries.getQueryCache().subscribe(({ type, query }) => {
    if (type !== "updated" || query.queryHash !== hashKey(meQuery().queryKey)) return;
    const { data, dataUpdatedAt } = query.state as QueryState<Me>;
    if (!data) return;
    followServer(data.now, dataUpdatedAt);
    keepToOrganisation(data.organisation.id);
  });
  return queries;
}

// ---- who is here ----

export const meQuery = () => api.queryOptions("get", "/api/v1/me", {}, { staleTime: 30 * SECOND });

export function useMe() {
  return api.useQuery("get", "/api/v1/me", {}, { staleTime: 30 * SECOND, refetchInterval: 30_000 });
}

/** What the signed-in person may do here; nothing, as long as that is not known. */
export function useMay(): (permission: Permission) => boolean {
  const permissions = useQuery(meQuery()).data?.permissions;
  return (permission) => permissions?.includes(permission) ?? false;
}

export function useSignUp() {
  return useAction<SignUpIn, Me>({
    intent: () => "sign-up",
    send: (body) => unwrap(client.POST("/api/v1/sign-up", { body })),
    done: enter,
  });
}

export function useSignIn() {
  return useAction<SessionIn, Me>({
    intent: () => "session",
    send: (body) => unwrap(client.POST("/api/v1/session", { body })),
    done: enter,
  });
}

export function useSignOut() {
  return useAction<void, void>({
    intent: () => "sign-out",
    send: async () => {
      await unwrap(client.DELETE("/api/v1/session"));
    },
    done: (_, queries) => queries.clear(),
  });
}

export function useOrganisations() {
  return api.useQuery("get", "/api/v1/organisations", {}, { staleTime: 300 * SECOND });
}

export function useSwitchOrganisation() {
  return useAction<{ organisation: string }, Me>({
    intent: ({ organisation }) => `organisation:${organisation}`,
    send: (body) => unwrap(client.PUT("/api/v1/session/organisation", { body })),
    done: enter,
  });
}

export function useSessions() {
  return api.useQuery("get", "/api/v1/sessions");
}

export function useRevokeSession() {
  return useAction<{ id: string }, string>({
    intent: ({ id }) => `revoke-session:${id}`,
    send: async ({ id }) => {
      await unwrap(client.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } }));
      return id;
    },
    done: (id, queries) => {
      queries.setQueryData(
        api.queryOptions("get", "/api/v1/sessions").queryKey,
        (list: { items: SessionItem[] } | undefined) =>
          list && { items: list.items.filter((one) => one.id !== id) },
      );
      void queries.invalidateQueries({ queryKey: ["get", "/api/v1/audit"] });
    },
  });
}

/** A new person sits at this browser, or works in another organisation: nothing of before may stay in memory. */
function enter(me: Me, queries: QueryClient): void {
  queries.clear();
  queries.setQueryData(meQuery().queryKey, me);
}

// ---- terms and passwords ----

/** Read once: a person agrees to the versions that were before them, not to those that came since. */
export function useTerms() {
  return api.useQuery("get", "/api/v1/terms", {}, { staleTime: Infinity });
}

export function useAgree() {
  return useAction<AgreementIn, void>({
    intent: () => "agree",
    send: async (body) => {
      await unwrap(client.PUT("/api/v1/terms/agreement", { body }));
    },
    done: (_, queries) =>
      queries.setQueryData(
        meQuery().queryKey,
        (me: Me | undefined) => me && { ...me, agreed: true },
      ),
  });
}

export function useChangePassword() {
  return useAction<PasswordIn, void>({
    intent: () => "password",
    send: async (body) => {
      await unwrap(client.PUT("/api/v1/password", { body }));
    },
    done: (_, queries) => void queries.invalidateQueries({ queryKey: ["get", "/api/v1/sessions"] }),
  });
}

export function useForgetPassword() {
  return useAction<ForgottenIn, void>({
    intent: ({ email }) => `forgotten:${email}`,
    send: async (body) => {
      await unwrap(client.POST("/api/v1/password/forgotten", { body }));
    },
    done: () => {},
  });
}

export function useResetPassword() {
  return useAction<ResetIn, void>({
    intent: () => "reset",
    send: async (body) => {
      await unwrap(client.POST("/api/v1/password/reset", { body }));
    },
    done: (_, queries) => queries.clear(),
  });
}

// ---- second factor ----

export function useSecondFactor() {
  return api.useQuery("get", "/api/v1/second-factor");
}

function refreshSecondFactor(queries: QueryClient): void {
  for (const path of ["/api/v1/second-factor", "/api/v1/audit"])
    void queries.invalidateQueries({ queryKey: ["get", path] });
}

/** Nothing is asked for yet: that begins with a first right code. */
export function useBeginSecondFactor() {
  return useAction<SecondFactorIn, NewSecondFactor>({
    intent: () => "begin-second-factor",
    send: (body) => unwrap(client.POST("/api/v1/second-factor", { body })),
    done: () => {},
  });
}

export function useConfirmSecondFactor() {
  return useAction<CodeIn, RecoveryCodes>({
    intent: () => "confirm-second-factor",
    send: (body) => unwrap(client.PUT("/api/v1/second-factor", { body })),
    done: (_, queries) => refreshSecondFactor(queries),
  });
}

export function useRemoveSecondFactor() {
  return useAction<RemovalIn, void>({
    intent: () => "remove-second-factor",
    send: async (body) => {
      await unwrap(client.POST("/api/v1/second-factor/removal", { body }));
    },
    done: (_, queries) => refreshSecondFactor(queries),
  });
}

// ---- single sign-on ----

/** Asks for the page of the identity provider; the caller sends the browser there. */
export function useBeginSso() {
  return useAction<SsoBeginIn, string>({
    intent: ({ email, organisation }) => `sso:${email}:${organisation}`,
    send: async (body) => {
      const begun = await unwrap(client.POST("/api/v1/sso/begin", { body }));
      return begun.redirect_url;
    },
    done: () => {},
  });
}

const ssoKey = () => api.queryOptions("get", "/api/v1/sso").queryKey;

export function useSso() {
  return api.useQuery("get", "/api/v1/sso");
}

export function useSetSso() {
  return useAction<SsoIn, void>({
    intent: ({ issuer, client_id }) => `set-sso:${issuer}:${client_id}`,
    send: async (body) => {
      await unwrap(client.PUT("/api/v1/sso", { body }));
    },
    done: (_, queries) => {
      void queries.invalidateQueries({ queryKey: ssoKey() });
      void queries.invalidateQueries({ queryKey: ["get", "/api/v1/audit"] });
    },
  });
}

export function useRemoveSso() {
  return useAction<void, void>({
    intent: () => "remove-sso",
    send: async () => {
      await unwrap(client.DELETE("/api/v1/sso"));
    },
    done: (_, queries) => {
      queries.setQueryData(ssoKey(), (sso: Sso | undefined) => sso && { ...sso, provider: null });
      void queries.invalidateQueries({ queryKey: ["get", "/api/v1/audit"] });
    },
  });
}

// ---- onboarding ----

/** States in which nothing moves by itself any more, until somebody begins again. */
const SETTLED: ReadonlySet<string> = new Set(["failed", "cancelled"]);

function onboardingInterval(onboarding: Onboarding | null | undefined): number | false {
  if (onboarding === undefined || onboarding?.state === "done") return false;
  // Somebody else may begin.
  if (onboarding === null || SETTLED.has(onboarding.state)) return 30 * SECOND;
  return onboarding.state === "ready" ? 5 * SECOND : SECOND;
}

/** Null when this organisation has not begun. */
export const onboardingQuery = () =>
  queryOptions<Onboarding | null, Problem>({
    queryKey: ["onboarding"],
    queryFn: async ({ signal }) => {
      const { data, error } = await client.GET("/api/v1/onboarding", { signal });
      if (data) return data;
      const problem = asProblem(error);
      if (problem.status === 404) return null;
      throw problem;
    },
    staleTime: 0,
    refetchInterval: (query) => onboardingInterval(query.state.data),
  });

/** "Me" carries the onboarding too, and the router decides by it. */
export function keepOnboarding(onboarding: Onboarding, queries: QueryClient): void {
  queries.setQueryData(onboardingQuery().queryKey, onboarding);
  queries.setQueryData(meQuery().queryKey, (me: Me | undefined) => me && { ...me, onboarding });
}

/** Begins (or finds) the onboarding and asks for the consent page; the caller sends the browser there. */
export function useConsent() {
  return useAction<{ platform: Platform }, string>({
    intent: ({ platform }) => `consent:${platform}`,
    send: async ({ platform }, key) => {
      await unwrap(
        client.POST("/api/v1/onboarding", {
          params: { header: idempotent(`${key}-begin`) },
          body: {},
        }),
      );
      const consent = await unwrap(
        client.POST("/api/v1/onboarding/consent", {
          params: { header: idempotent(key) },
          body: { platform },
        }),
      );
      return consent.redirect_url;
    },
    done: () => {},
  });
}

export function useChooseAccounts() {
  return useAction<{ account_ids: string[] }, Onboarding>({
    intent: ({ account_ids }) => `accounts:${account_ids.toSorted().join()}`,
    send: (body, key) =>
      unwrap(
        client.PUT("/api/v1/onboarding/accounts", { params: { header: idempotent(key) }, body }),
      ),
    done: keepOnboarding,
  });
}

export function useCancelOnboarding() {
  return useAction<void, Onboarding>({
    intent: () => "cancel-onboarding",
    send: (_, key) =>
      unwrap(client.POST("/api/v1/onboarding/cancel", { params: { header: idempotent(key) } })),
    done: keepOnboarding,
  });
}

// ---- connections ----

export function useConnections() {
  return api.useQuery(
    "get",
    "/api/v1/connections",
    {},
    {
      refetchInterval: (query) =>
        query.state.data?.items.some((item) => item.reconnection?.state === "checking")
          ? SECOND
          : 30 * SECOND,
    },
  );
}

export function useChangeAccounts() {
  return useAction<{ id: string; account_ids: string[] }, Connection>({
    intent: ({ id, account_ids }) => `accounts:${id}:${account_ids.toSorted().join()}`,
    send: ({ id, account_ids }, key) =>
      unwrap(
        client.PUT("/api/v1/connections/{id}/accounts", {
          params: { path: { id }, header: idempotent(key) },
          body: { account_ids },
        }),
      ),
    done: (_, queries) =>
      void queries.invalidateQueries({ queryKey: ["get", "/api/v1/connections"] }),
  });
}

/** The words for a code that came alone. */
export function useProblemWords(code: string) {
  return api.useQuery(
    "get",
    "/api/v1/problems/{code}",
    { params: { path: { code } } },
    { staleTime: Infinity },
  );
}

export function useReconnect() {
  return useAction<{ id: string }, string>({
    intent: ({ id }) => `reconnect:${id}`,
    send: async ({ id }, key) => {
      const consent = await unwrap(
        client.POST("/api/v1/connections/{id}/reconnect", {
          params: { path: { id }, header: idempotent(key) },
        }),
      );
      return consent.redirect_url;
    },
    done: () => {},
  });
}

// ---- the organisation ----

export function useSetFreeze() {
  return useAction<FreezeIn, Organisation>({
    intent: ({ frozen, reason }) => `freeze:${frozen}:${reason}`,
    send: (body, key) =>
      unwrap(
        client.PUT("/api/v1/organisation/freeze", { params: { header: idempotent(key) }, body }),
      ),
    done: (organisation, queries) => {
      queries.setQueryData(
        meQuery().queryKey,
        (me: Me | undefined) => me && { ...me, organisation },
      );
      void queries.invalidateQueries({ queryKey: ["get", "/api/v1/audit"] });
    },
  });
}

// ---- members and roles ----

export function useMembers() {
  return api.useQuery("get", "/api/v1/members");
}

export function useRoles(enabled = true) {
  return api.useQuery("get", "/api/v1/roles", {}, { enabled });
}

/** What somebody may do shows in both lists, in what the person at this browser is offered, and in the audit trail. */
function refreshRights(queries: QueryClient): void {
  for (const path of ["/api/v1/members", "/api/v1/roles", "/api/v1/me", "/api/v1/audit"])
    void queries.invalidateQueries({ queryKey: ["get", path] });
}

export function useUpdateMember() {
  return useAction<{ id: string } & MemberPatch, Member>({
    intent: ({ id, role, active }) => `member:${id}:${role}:${active}`,
    send: ({ id, ...body }) =>
      unwrap(client.PATCH("/api/v1/members/{id}", { params: { path: { id } }, body })),
    done: (member, queries) => {
      queries.setQueryData(
        api.queryOptions("get", "/api/v1/members").queryKey,
        (list: { items: Member[] } | undefined) =>
          list && { items: list.items.map((one) => (one.id === member.id ? member : one)) },
      );
      refreshRights(queries);
    },
  });
}

export function useCreateRole() {
  return useAction<RoleIn, Role>({
    intent: ({ title, permissions }) => `role:${title}:${permissions.toSorted().join()}`,
    send: (body, key) =>
      unwrap(client.POST("/api/v1/roles", { params: { header: idempotent(key) }, body })),
    done: (_, queries) => refreshRights(queries),
  });
}

export function useUpdateRole() {
  return useAction<{ name: string } & RoleIn, Role>({
    intent: ({ name }) => `update-role:${name}`,
    send: ({ name, ...body }) =>
      unwrap(client.PUT("/api/v1/roles/{id}", { params: { path: { id: name } }, body })),
    done: (_, queries) => refreshRights(queries),
  });
}

export function useDeleteRole() {
  return useAction<{ name: string }, string>({
    intent: ({ name }) => `delete-role:${name}`,
    send: async ({ name }) => {
      await unwrap(client.DELETE("/api/v1/roles/{id}", { params: { path: { id: name } } }));
      return name;
    },
    done: (name, queries) => {
      queries.setQueryData(
        api.queryOptions("get", "/api/v1/roles").queryKey,
        (list: { items: Role[] } | undefined) =>
          list && { items: list.items.filter((one) => one.name !== name) },
      );
      refreshRights(queries);
    },
  });
}

// ---- invitations ----

export function useInvitations() {
  return api.useQuery("get", "/api/v1/invitations");
}

function refreshInvitations(queries: QueryClient): void {
  for (const path of ["/api/v1/invitations", "/api/v1/audit"])
    void queries.invalidateQueries({ queryKey: ["get", path] });
}

/** Sending again is the same: the link before is of no use any more. */
export function useInvite() {
  return useAction<InvitationIn, NewInvitation>({
    intent: ({ email, role }) => `invite:${email}:${role}`,
    send: (body) => unwrap(client.POST("/api/v1/invitations", { body })),
    done: (_, queries) => refreshInvitations(queries),
  });
}

export function useWithdrawInvitation() {
  return useAction<{ id: string }, string>({
    intent: ({ id }) => `withdraw-invitation:${id}`,
    send: async ({ id }) => {
      await unwrap(client.DELETE("/api/v1/invitations/{id}", { params: { path: { id } } }));
      return id;
    },
    done: (id, queries) => {
      queries.setQueryData(
        api.queryOptions("get", "/api/v1/invitations").queryKey,
        (list: { items: Invitation[] } | undefined) =>
          list && { items: list.items.filter((one) => one.id !== id) },
      );
      refreshInvitations(queries);
    },
  });
}

/** What the link's secret opens. The secret goes out in the body only: what stands in an address is written into logs. */
export function useInvitation(token: string, enabled: boolean) {
  return useQuery<InvitationView, Problem>({
    queryKey: ["invitation", token],
    queryFn: ({ signal }) =>
      unwrap(client.POST("/api/v1/invitations/look", { body: { token }, signal })),
    enabled,
  });
}

export function useAcceptInvitation() {
  return useAction<AcceptIn, Me>({
    intent: () => "accept-invitation",
    send: (body) => unwrap(client.POST("/api/v1/invitations/accept", { body })),
    done: enter,
  });
}

// ---- API keys ----

export function useApiKeys() {
  return api.useQuery("get", "/api/v1/api-keys");
}

function refreshApiKeys(queries: QueryClient): void {
  for (const path of ["/api/v1/api-keys", "/api/v1/audit"])
    void queries.invalidateQueries({ queryKey: ["get", path] });
}

export function useCreateApiKey() {
  return useAction<ApiKeyIn, NewApiKey>({
    intent: ({ name }) => `api-key:${name}`,
    send: (body) => unwrap(client.POST("/api/v1/api-keys", { body })),
    done: (_, queries) => refreshApiKeys(queries),
  });
}

export function useRevokeApiKey() {
  return useAction<{ id: string }, string>({
    intent: ({ id }) => `revoke-api-key:${id}`,
    send: async ({ id }) => {
      await unwrap(client.DELETE("/api/v1/api-keys/{id}", { params: { path: { id } } }));
      return id;
    },
    done: (id, queries) => {
      queries.setQueryData(
        api.queryOptions("get", "/api/v1/api-keys").queryKey,
        (list: { items: ApiKey[] } | undefined) =>
          list && {
            items: list.items.map((one) =>
              one.id === id ? { ...one, state: "revoked" as const } : one,
            ),
          },
      );
      refreshApiKeys(queries);
    },
  });
}

// ---- overview and campaigns ----

export function useOverview() {
  return api.useQuery("get", "/api/v1/overview", {}, { refetchInterval: 30 * SECOND });
}

/**
 * Totals and table change together: as soon as a step of the onboarding or a run has brought numbers, not each at the
 * end of its own interval.
 */
export function useFiguresFollow(): void {
  const queries = useQueryClient();
  const onboarding = useQuery(onboardingQuery()).data;
  const run = itemsOf(useRuns().data)[0];
  const steps = onboarding?.steps.map((step) => `${step.key} ${step.state} ${step.done ?? 0}`);
  const mark = [onboarding?.state, ...(steps ?? []), run?.id, run?.state].join();
  const seen = useRef(mark);
  useEffect(() => {
    if (seen.current === mark) return;
    seen.current = mark;
    void queries.invalidateQueries({ queryKey: ["get", "/api/v1/overview"] });
    void queries.invalidateQueries({ queryKey: ["get", "/api/v1/campaigns"] });
  }, [mark, queries]);
}

export type PaceFilter = "behind" | "on_pace" | "ahead" | "not_judged";

export function useCampaigns(filter: { pace?: PaceFilter | undefined; q?: string | undefined }) {
  const query = {
    limit: PAGE_SIZE,
    ...(filter.pace ? { pace: filter.pace } : {}),
    ...(filter.q ? { q: filter.q } : {}),
  };
  return api.useInfiniteQuery(
    "get",
    "/api/v1/campaigns",
    { params: { query } },
    { ...paging, refetchInterval: 30 * SECOND },
  );
}

export function useCampaign(id: string) {
  return api.useQuery(
    "get",
    "/api/v1/campaigns/{id}",
    { params: { path: { id } } },
    { refetchInterval: 60 * SECOND },
  );
}

export function useSeries(id: string) {
  return api.useQuery("get", "/api/v1/campaigns/{id}/series", { params: { path: { id } } });
}

export function useRules() {
  return api.useQuery("get", "/api/v1/rules", {}, { staleTime: 300 * SECOND });
}

// ---- evaluations ----

export function useEvaluate() {
  return useAction<void, { id: string }>({
    intent: () => "evaluate",
    send: (_, key) =>
      unwrap(client.POST("/api/v1/evaluations", { params: { header: idempotent(key) }, body: {} })),
    done: () => {},
  });
}

export function useEvaluation(id: string | null) {
  return api.useQuery(
    "get",
    "/api/v1/evaluations/{id}",
    { params: { path: { id: id ?? "" } } },
    {
      enabled: id !== null,
      refetchInterval: (query) =>
        query.state.data && query.state.data.state !== "running" ? false : SECOND,
    },
  );
}

// ---- proposals ----

/** States in which the platform is still being asked: the screen watches closely. */
export const IN_FLIGHT: ReadonlySet<string> = new Set(["approved", "applying", "unknown"]);

export type ProposalView = "open" | "closed";

const proposalKey = (id: string) =>
  api.queryOptions("get", "/api/v1/proposals/{id}", { params: { path: { id } } }).queryKey;

export function useProposals(view: ProposalView) {
  return api.useInfiniteQuery(
    "get",
    "/api/v1/proposals",
    { params: { query: { state: view, limit: PAGE_SIZE } } },
    { ...paging, refetchInterval: 10 * SECOND },
  );
}

export function useProposal(id: string) {
  return api.useQuery(
    "get",
    "/api/v1/proposals/{id}",
    { params: { path: { id } } },
    {
      refetchInterval: (query) =>
        IN_FLIGHT.has(query.state.data?.state ?? "") ? SECOND : 15 * SECOND,
      staleTime: 0,
    },
  );
}

/** What the lists show has changed too, but the answer itself is already the truth about this one. */
function keepProposal(proposal: Proposal, queries: QueryClient): void {
  queries.setQueryData(proposalKey(proposal.id), proposal);
  refreshProposalLists(queries);
}

function refreshProposalLists(queries: QueryClient): void {
  void queries.invalidateQueries({ queryKey: ["get", "/api/v1/proposals"] });
  void queries.invalidateQueries({ queryKey: meQuery().queryKey });
  void queries.invalidateQueries({ queryKey: ["get", "/api/v1/campaigns/{id}"] });
}

/** A proposal that is being watched moves on by itself; the lists beside it move with it. */
export function useListsFollow(state: string): void {
  const queries = useQueryClient();
  const seen = useRef(state);
  useEffect(() => {
    if (seen.current === state) return;
    seen.current = state;
    refreshProposalLists(queries);
  }, [state, queries]);
}

/** Reads a proposal again, and the lists with it: after a conflict, or to see whether a value still stands. */
export function useRecheckProposal() {
  const queries = useQueryClient();
  return async (id: string) => {
    await queries.refetchQueries({ queryKey: proposalKey(id) });
    refreshProposalLists(queries);
  };
}

interface Decision {
  id: string;
  change_hash: string;
}

export function useApprove() {
  return useAction<Decision, Proposal>({
    intent: ({ id, change_hash }) => `approve:${id}:${change_hash}`,
    send: ({ id, change_hash }, key) =>
      unwrap(
        client.POST("/api/v1/proposals/{id}/approve", {
          params: { path: { id }, header: idempotent(key) },
          body: { change_hash },
        }),
      ),
    done: keepProposal,
  });
}

export function useReject() {
  return useAction<Decision & { reason: string }, Proposal>({
    intent: ({ id, change_hash, reason }) => `reject:${id}:${change_hash}:${reason}`,
    send: ({ id, change_hash, reason }, key) =>
      unwrap(
        client.POST("/api/v1/proposals/{id}/reject", {
          params: { path: { id }, header: idempotent(key) },
          body: { change_hash, reason },
        }),
      ),
    done: keepProposal,
  });
}

export function useCancelProposal() {
  return useAction<{ id: string; reason: string }, Proposal>({
    intent: ({ id, reason }) => `cancel:${id}:${reason}`,
    send: ({ id, reason }, key) =>
      unwrap(
        client.POST("/api/v1/proposals/{id}/cancel", {
          params: { path: { id }, header: idempotent(key) },
          body: { reason },
        }),
      ),
    done: keepProposal,
  });
}

// ---- runs and audit ----

export type RunState = "running" | "done" | "failed";

export function useRuns(state?: RunState | undefined) {
  return api.useInfiniteQuery(
    "get",
    "/api/v1/runs",
    { params: { query: { limit: PAGE_SIZE, ...(state ? { state } : {}) } } },
    { ...paging, refetchInterval: 15 * SECOND },
  );
}

export function useRun(id: string) {
  return api.useQuery(
    "get",
    "/api/v1/runs/{id}",
    { params: { path: { id } } },
    {
      refetchInterval: (query) => (query.state.data?.state === "running" ? 2 * SECOND : false),
    },
  );
}

export function useRefreshNow() {
  return useAction<void, { id?: string | null }>({
    intent: () => "refresh-now",
    send: (_, key) =>
      unwrap(client.POST("/api/v1/runs", { params: { header: idempotent(key) }, body: {} })),
    done: (_, queries) => void queries.invalidateQueries({ queryKey: ["get", "/api/v1/runs"] }),
  });
}

/** What is wanted of the audit trail; an empty text wants all. */
export function useAudit({ text, action }: { text: string; action: string }) {
  return api.useInfiniteQuery(
    "get",
    "/api/v1/audit",
    { params: { query: { limit: PAGE_SIZE, text, action } } },
    paging,
  );
}

// ---- helpers ----

const paging = {
  pageParamName: "cursor",
  // The library turns `undefined` into 0; an empty cursor is the beginning of a list.
  initialPageParam: "",
  getNextPageParam: (last: { next_cursor?: string | null }) => last.next_cursor ?? undefined,
};

/** All the pages that were read so far, as one list. */
export function itemsOf<Item>(data: { pages: { items: Item[] }[] } | undefined): Item[] {
  return data?.pages.flatMap((page) => page.items) ?? [];
}

async function unwrap<Out>(answer: Promise<{ data?: Out; error?: unknown }>): Promise<Out> {
  const { data, error } = await answer;
  if (error !== undefined) throw asProblem(error);
  return data as Out;
}

/** A refusal that says "still at work" is no answer yet: the same key must ask for it again. */
function isAnswer(problem: Problem): boolean {
  return problem.status < 500 && problem.code !== "request.in_progress";
}

interface Action<In, Out> {
  /** Names what the person means; the same intent sends the same idempotency key until it is answered. */
  intent: (input: In) => string;
  send: (input: In, key: string) => Promise<Out>;
  done: (output: Out, queries: QueryClient) => void;
}

function useAction<In, Out>(action: Action<In, Out>): UseMutationResult<Out, Problem, In> {
  const queries = useQueryClient();
  const keys = useRef(new IntentKeys());
  return useMutation<Out, Problem, In>({
    mutationFn: async (input) => {
      const intent = action.intent(input);
      const output = await action
        .send(input, keys.current.keyFor(intent))
        .catch((thrown: unknown) => {
          const problem = asProblem(thrown);
          // A refusal is an answer; a lost answer is not, and the same key must go out again.
          if (isAnswer(problem)) keys.current.settle(intent);
          throw problem;
        });
      keys.current.settle(intent);
      return output;
    },
    onSuccess: (output) => action.done(output, queries),
  });
}
