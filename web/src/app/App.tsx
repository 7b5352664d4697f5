/** Everything that surrounds the screens. */
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useState } from "react";
import { IntlProvider } from "react-intl";
import { createQueryClient } from "../api/queries";
import { locale } from "../format/format";
import { ShortcutsProvider } from "../ui/shortcuts";
import { messages } from "./messages";
import { createAppRouter } from "./router";
import { cssVariablesResolver, theme } from "./theme";

const colorSchemeManager = localStorageColorSchemeManager({ key: "clp.color-scheme" });

export function App() {
  const [queries] = useState(createQueryClient);
  const [router] = useState(() => createAppRouter(queries));
  return (
    <IntlProvider locale={locale} defaultLocale="en" messages={messages}>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={cssVariablesResolver}
        colorSchemeManager={colorSchemeManager}
        defaultColorScheme="auto"
      >
        <Notifications position="top-right" limit={3} />
        <QueryClientProvider client={queries}>
          <ShortcutsProvider>
            <RouterProvider router={router} />
          </ShortcutsProvider>
        </QueryClientProvider>
      </MantineProvider>
    </IntlProvider>
  );
}
