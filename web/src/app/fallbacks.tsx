/** What is shown when there is no screen, not yet a screen, or a screen that failed. */
import { Button, Center, Container, Loader } from "@mantine/core";
import { useRouter, type ErrorComponentProps } from "@tanstack/react-router";
import { MapPinOff } from "lucide-react";
import { isProblem } from "../api/problem";
import type { Problem } from "../api/types";
import { ButtonTo } from "../ui/links";
import { PageTitle } from "../ui/PageTitle";
import { ProblemAlert } from "../ui/ProblemAlert";
import { Nothing } from "../ui/states";
import { useText, type Text } from "../ui/text";

export function Pending() {
  const text = useText();
  return (
    <Center mih="40vh" role="status">
      <Loader aria-label={text("state.loading")} />
    </Center>
  );
}

export function NotFound() {
  const text = useText();
  return (
    <Container component="main" size="sm" py="xl">
      <PageTitle title={text("not-found.title")} />
      <Nothing
        icon={MapPinOff}
        title={text("not-found.sentence")}
        action={<ButtonTo to="/">{text("not-found.home")}</ButtonTo>}
      >
        {text("not-found.help")}
      </Nothing>
    </Container>
  );
}

/** A failed screen says so in its own place; the navigation around it stays usable. */
export function ScreenError({ error, reset }: ErrorComponentProps) {
  const text = useText();
  const router = useRouter();
  const again = () => {
    reset();
    void router.invalidate();
  };
  return (
    <Container size="sm" py="xl">
      <PageTitle title={text("screen-error.title")} />
      <ProblemAlert
        problem={isProblem(error) ? error : defect(text)}
        onRetry={again}
        actions={
          <Button size="xs" variant="subtle" onClick={() => window.location.reload()}>
            {text("screen-error.reload")}
          </Button>
        }
      />
    </Container>
  );
}

function defect(text: Text): Problem {
  return {
    type: "/problems/web.defect",
    code: "web.defect",
    title: text("screen-error.defect.title"),
    unharmed: text("screen-error.defect.unharmed"),
    next: text("screen-error.defect.next"),
    status: 500,
    retryable: true,
  };
}
