import { useProblemWords } from "../../api/queries";
import { ProblemAlert } from "../../ui/ProblemAlert";

/** A consent comes back through the address bar, with a code only; the words for it are the server's. */
export function ConsentProblem({ code }: { code: string }) {
  const query = useProblemWords(code);
  if (query.data) return <ProblemAlert problem={query.data} />;
  // A code that somebody typed has no words, and nothing happened.
  if (!query.error || query.error.status === 404) return null;
  return <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />;
}
