/** Which address shows which screen, and who may see it. */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  type RouterHistory,
} from "@tanstack/react-router";
import { onSignedOut } from "../api/client";
import { asProblem } from "../api/problem";
import { meQuery } from "../api/queries";
import type { Me } from "../api/types";
import { needsWizard } from "../features/onboarding/stages";
import { NotFound, Pending, ScreenError } from "./fallbacks";
import {
  agreementSearch,
  approvalsSearch,
  campaignSearch,
  connectionsSearch,
  onboardingSearch,
  overviewSearch,
  runsSearch,
  signInSearch,
} from "./search";
import { Shell } from "./Shell";

interface Context {
  queries: QueryClient;
}

async function signedIn(queries: QueryClient, href: string): Promise<Me> {
  try {
    return await queries.ensureQueryData(meQuery());
  } catch (thrown) {
    if (asProblem(thrown).status !== 401) throw thrown;
    throw redirect({ to: "/sign-in", search: href === "/" ? {} : { return: href } });
  }
}

/** Nothing but agreeing and signing out is open to who has not agreed to the documents that hold now. */
async function agreed(queries: QueryClient, href: string): Promise<Me> {
  const me = await signedIn(queries, href);
  if (me.agreed) return me;
  throw redirect({ to: "/agreement", search: href === "/" ? {} : { return: href } });
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  notFoundComponent: NotFound,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: signInSearch,
  component: lazyRouteComponent(() => import("../features/session/SignIn"), "SignIn"),
});

const signUp = createRoute({
  getParentRoute: () => root,
  path: "/sign-up",
  component: lazyRouteComponent(() => import("../features/session/SignUp"), "SignUp"),
});

const agreement = createRoute({
  getParentRoute: () => root,
  path: "/agreement",
  validateSearch: agreementSearch,
  beforeLoad: async ({ context, location, search }) => {
    const me = await signedIn(context.queries, location.href);
    if (me.agreed) throw redirect({ href: search.return ?? "/" });
  },
  component: lazyRouteComponent(() => import("../features/session/AgreementPage"), "AgreementPage"),
});

const forgottenPassword = createRoute({
  getParentRoute: () => root,
  path: "/forgotten-password",
  component: lazyRouteComponent(
    () => import("../features/session/ForgottenPassword"),
    "ForgottenPassword",
  ),
});

const passwordReset = createRoute({
  getParentRoute: () => root,
  path: "/password-reset",
  component: lazyRouteComponent(() => import("../features/session/PasswordReset"), "PasswordReset"),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  component: lazyRouteComponent(
    () => import("../features/invitation/InvitationPage"),
    "InvitationPage",
  ),
});

const terms = createRoute({
  getParentRoute: () => root,
  path: "/legal/terms",
  component: lazyRouteComponent(() => import("../features/legal/LegalPage"), "TermsPage"),
});

const privacy = createRoute({
  getParentRoute: () => root,
  path: "/legal/privacy",
  component: lazyRouteComponent(() => import("../features/legal/LegalPage"), "PrivacyPage"),
});

const onboarding = createRoute({
  getParentRoute: () => root,
  path: "/onboarding",
  validateSearch: onboardingSearch,
  beforeLoad: async ({ context, location }) => {
    const me = await agreed(context.queries, location.href);
    return { organisation: me.organisation.id };
  },
  component: lazyRouteComponent(() => import("../features/onboarding/Wizard"), "Wizard"),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  beforeLoad: async ({ context, location }) => {
    const me = await agreed(context.queries, location.href);
    if (needsWizard(me.onboarding)) throw redirect({ to: "/onboarding" });
    return { organisation: me.organisation.id };
  },
  component: Shell,
  notFoundComponent: NotFound,
});

const overview = createRoute({
  getParentRoute: () => shell,
  path: "/",
  validateSearch: overviewSearch,
  component: lazyRouteComponent(() => import("../features/overview/OverviewPage"), "OverviewPage"),
});

const campaign = createRoute({
  getParentRoute: () => shell,
  path: "/campaigns/$campaignId",
  validateSearch: campaignSearch,
  component: lazyRouteComponent(() => import("../features/campaign/CampaignPage"), "CampaignPage"),
});

const approvals = createRoute({
  getParentRoute: () => shell,
  path: "/approvals",
  validateSearch: approvalsSearch,
  component: lazyRouteComponent(
    () => import("../features/proposal/ApprovalsPage"),
    "ApprovalsPage",
  ),
});

const approval = createRoute({
  getParentRoute: () => approvals,
  path: "$proposalId",
  component: lazyRouteComponent(
    () => import("../features/proposal/ProposalDetail"),
    "ProposalDetail",
  ),
});

const connections = createRoute({
  getParentRoute: () => shell,
  path: "/connections",
  validateSearch: connectionsSearch,
  component: lazyRouteComponent(
    () => import("../features/connection/ConnectionsPage"),
    "ConnectionsPage",
  ),
});

const runs = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: runsSearch,
  component: lazyRouteComponent(() => import("../features/run/RunsPage"), "RunsPage"),
});

const run = createRoute({
  getParentRoute: () => shell,
  path: "/runs/$runId",
  component: lazyRouteComponent(() => import("../features/run/RunPage"), "RunPage"),
});

const audit = createRoute({
  getParentRoute: () => shell,
  path: "/audit",
  component: lazyRouteComponent(() => import("../features/audit/AuditPage"), "AuditPage"),
});

const members = createRoute({
  getParentRoute: () => shell,
  path: "/members",
  component: lazyRouteComponent(() => import("../features/member/MembersPage"), "MembersPage"),
});

const settings = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  component: lazyRouteComponent(
    () => import("../features/settings/SettingsFrame"),
    "SettingsFrame",
  ),
});

const general = createRoute({
  getParentRoute: () => settings,
  path: "/",
  component: lazyRouteComponent(() => import("../features/settings/SettingsPage"), "SettingsPage"),
});

const security = createRoute({
  getParentRoute: () => settings,
  path: "security",
  component: lazyRouteComponent(() => import("../features/settings/SecurityPage"), "SecurityPage"),
});

const sso = createRoute({
  getParentRoute: () => settings,
  path: "single-sign-on",
  component: lazyRouteComponent(() => import("../features/sso/SsoPage"), "SsoPage"),
});

const apiKeys = createRoute({
  getParentRoute: () => settings,
  path: "api-keys",
  component: lazyRouteComponent(() => import("../features/apiKey/ApiKeysPage"), "ApiKeysPage"),
});

const routeTree = root.addChildren([
  signIn,
  signUp,
  forgottenPassword,
  passwordReset,
  invitation,
  terms,
  privacy,
  agreement,
  onboarding,
  shell.addChildren([
    overview,
    campaign,
    approvals.addChildren([approval]),
    connections,
    runs,
    run,
    audit,
    members,
    settings.addChildren([general, security, sso, apiKeys]),
  ]),
]);

const PUBLIC_PATHS = new Set([
  "/sign-in",
  "/sign-up",
  "/forgotten-password",
  "/password-reset",
  "/invitation",
  "/legal/terms",
  "/legal/privacy",
]);

export function createAppRouter(queries: QueryClient, history?: RouterHistory) {
  const router = createRouter({
    ...(history ? { history } : {}),
    routeTree,
    context: { queries },
    defaultPreload: "intent",
    defaultPendingComponent: Pending,
    defaultErrorComponent: ScreenError,
    defaultNotFoundComponent: NotFound,
    scrollRestoration: true,
  });
  onSignedOut(() => {
    const { pathname, href } = router.latestLocation;
    if (PUBLIC_PATHS.has(pathname)) return;
    queries.clear();
    void router.navigate({ to: "/sign-in", search: href === "/" ? {} : { return: href } });
  });
  return router;
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
