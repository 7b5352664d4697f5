/** Renders a piece of the interface with everything that surrounds it in the application. */
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { IntlProvider } from "react-intl";
import { meQuery } from "../api/queries";
import { messages } from "../app/messages";
import { theme } from "../app/theme";
import { ShortcutsProvider } from "../ui/shortcuts";
import { meWith } from "./fixtures";

/** `me` is who is signed in. */
export function show(children: ReactNode, me = meWith()) {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  queries.setQueryData(meQuery().queryKey, me);
  return render(
    <IntlProvider locale="en" messages={messages}>
      <MantineProvider theme={theme} env="test">
        <QueryClientProvider client={queries}>
          <ShortcutsProvider>{children}</ShortcutsProvider>
        </QueryClientProvider>
      </MantineProvider>
    </IntlProvider>,
  );
}
