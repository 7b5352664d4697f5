import { FileText } from "lucide-react";
import { Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { EntryPage } from "../session/EntryPage";

interface Props {
  document: "terms" | "privacy";
}

/** Stands in the place of a document that only the operator of a deployment can write, and says so. */
function LegalPage({ document }: Props) {
  const text = useText();
  return (
    <EntryPage title={text(`legal.${document}.title`)} lead={text("legal.lead")}>
      <Nothing icon={FileText} title={text(`legal.${document}.nothing`)}>
        {text(`legal.${document}.help`)}
      </Nothing>
    </EntryPage>
  );
}

export function TermsPage() {
  return <LegalPage document="terms" />;
}

export function PrivacyPage() {
  return <LegalPage document="privacy" />;
}
