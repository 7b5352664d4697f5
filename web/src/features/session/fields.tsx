/** What the forms have in common in which somebody chooses a password or agrees to the terms. */
import { Anchor, Checkbox, Group, PasswordInput, VisuallyHidden } from "@mantine/core";
import type { GetInputPropsReturnType } from "@mantine/form";
import { ExternalLink } from "lucide-react";
import type { ReactNode } from "react";
import { useTerms } from "../../api/queries";
import type { Problem, Terms } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText, type Text } from "../../ui/text";
import type { PasswordProps } from "./KnownPassword";

const SHORTEST = 12;

/** How hard it is to guess is for the server to say, which knows lists of leaked ones. */
export function newPasswordProblem(text: Text, password: string): string | null {
  return [...password].length < SHORTEST ? text("new-password.short") : null;
}

export function NewPassword({ label, input }: PasswordProps) {
  const text = useText();
  return (
    <PasswordInput
      label={label}
      description={text("new-password.help")}
      name="new-password"
      autoComplete="new-password"
      required
      visibilityToggleButtonProps={{ "aria-label": text("session.password.show") }}
      aria-invalid={input.error ? true : undefined}
      {...input}
    />
  );
}

interface AgreementProps {
  terms: Terms | undefined;
  /** What `getInputProps` of the form gives, for a checkbox. */
  input: GetInputPropsReturnType;
}

/** One box for both documents. The links stand beside its label: a click on the label ticks the box, and nothing else. */
export function AgreementBox({ terms, input }: AgreementProps) {
  const text = useText();
  return (
    <Checkbox
      label={text("agree.label")}
      description={
        terms ? (
          <Group component="span" gap="md">
            <Elsewhere href={terms.terms.url}>{text("agree.terms")}</Elsewhere>
            <Elsewhere href={terms.privacy.url}>{text("agree.privacy")}</Elsewhere>
          </Group>
        ) : null
      }
      required
      {...input}
    />
  );
}

function Elsewhere({ href, children }: { href: string; children: ReactNode }) {
  const text = useText();
  return (
    <Anchor href={href} target="_blank" rel="noreferrer" size="sm" className="elsewhere">
      {children} <ExternalLink aria-hidden size={12} />
      <VisuallyHidden>{text("link.new-tab")}</VisuallyHidden>
    </Anchor>
  );
}

const CHANGED = "auth.terms_changed";

/** The documents that hold, and what a form that sends their versions does when others hold meanwhile. */
export function useAgreement() {
  const text = useText();
  const query = useTerms();
  const terms = query.data;
  return {
    terms,
    versions: terms && {
      terms_version: terms.terms.version,
      privacy_version: terms.privacy.version,
    },
    /** Whether the problem is that the documents changed; then they are read again, to be agreed to anew. */
    isOutdated: (problem: Problem) => {
      if (problem.code !== CHANGED) return false;
      void query.refetch();
      return true;
    },
    problemOf: (problem: Problem): Problem =>
      problem.code === CHANGED ? { ...problem, next: text("agree.changed.next") } : problem,
    /** Without the documents there is nothing to agree to. */
    alert: query.error ? (
      <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
    ) : null,
  };
}
