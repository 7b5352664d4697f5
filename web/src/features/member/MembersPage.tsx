/** Who belongs to the organisation, and the roles that say what they may do. */
import { Stack, Text } from "@mantine/core";
import { useMay, useMembers, useRoles } from "../../api/queries";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, MayNot } from "../../ui/states";
import { useText } from "../../ui/text";
import { Invitations } from "../invitation/Invitations";
import { MemberTable } from "./MemberTable";
import { Roles } from "./Roles";

export function MembersPage() {
  const text = useText();
  const may = useMay();
  return (
    <Stack gap="lg">
      <PageTitle title={text("members.title")} lead={text("members.lead")} />
      {may("members.read") ? (
        <MembersAndRoles mayManage={may("members.manage")} />
      ) : (
        <MayNot>{text("members.may-not")}</MayNot>
      )}
    </Stack>
  );
}

function MembersAndRoles({ mayManage }: { mayManage: boolean }) {
  const text = useText();
  const members = useMembers();
  const roles = useRoles();
  return (
    <>
      {mayManage ? null : <Text size="sm">{text("members.may-not-manage")}</Text>}
      {members.error ? (
        <ProblemAlert problem={members.error} onRetry={() => void members.refetch()} />
      ) : null}
      {roles.error ? (
        <ProblemAlert problem={roles.error} onRetry={() => void roles.refetch()} />
      ) : null}
      {members.isPending || roles.isPending ? <Loading rows={8} /> : null}
      {members.data && roles.data ? (
        <>
          <MemberTable
            members={members.data.items}
            roles={roles.data.items}
            mayManage={mayManage}
          />
          {mayManage ? <Invitations roles={roles.data.items} /> : null}
          <Roles roles={roles.data.items} members={members.data.items} mayManage={mayManage} />
        </>
      ) : null}
    </>
  );
}
