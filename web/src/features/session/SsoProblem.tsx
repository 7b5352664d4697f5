import type { Problem } from "../../api/types";
import { isMessage } from "../../app/messages";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

/** An identity provider's page leads back through the address bar, with a code only; nobody is signed in to ask for words. */
export function SsoProblem({ code }: { code: string }) {
  const text = useText();
  const known = `sso-problem.${code}`;
  const next = `${known}.next`;
  const problem: Problem = {
    type: `/problems/${code}`,
    code,
    title: text(isMessage(known) ? known : "sso-problem.other"),
    unharmed: text("sso-problem.unharmed"),
    next: isMessage(next) ? text(next) : text("sso-problem.other.next", { code }),
    status: 401,
    retryable: false,
  };
  return <ProblemAlert problem={problem} />;
}
