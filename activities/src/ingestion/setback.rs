//! Where a failure is put: on the pull, on an account, or on the connection. Only a failure of our own storage stops a
//! step, because it would meet every other connection too.

use chrono::TimeDelta;
use domain::error_code::{Class, ErrorCode};
use domain::ids::OrgId;
use domain::pull::{self as law, Remedy, State};
use store::connection::{Connection, Status};
use store::pull::Pull;

use super::harvest::Desk;
use super::standing::{self, Standing};
use crate::context::Context;
use crate::failure::{Error, chain};

impl Desk<'_> {
    /// Puts a platform's failure where it belongs, and says what is left of the connection.
    pub(super) async fn not_fetched(&self, pull: &Pull, error: &connectors::Error) -> Result<Standing, Error> {
        let (code, now) = (error.code(), self.now());
        let detail = chain(error);
        tracing::warn!(pull.id = %pull.id, error.code = %code, "pull {} did not go on: {detail}", pull.id);
        let mut standing = Standing::Same;
        // A report about several advertisers is refused as a whole when one of them is gone.
        if code == ErrorCode::PermissionMissing && error.account().is_none() {
            standing = standing::look(self).await?;
        }
        if standing == Standing::Same {
            self.trouble(error, None).await?;
        }
        let wait = wait_after(pull.attempts, error);
        let mut tx = self.context.store.begin(self.org).await?;
        match (code.class(), error.account()) {
            (Class::Configuration, Some(platform_id)) => {
                if let Some(account) = self.accounts.iter().find(|account| account.platform_id == platform_id) {
                    store::account::mark_gone(&mut tx, account.id, code, now).await?;
                }
                store::pull::fail(&mut tx, pull.id, code, Some(&detail), Some(self.cycle), now).await?;
            }
            (Class::Configuration, None) if standing == Standing::Changed => {
                store::pull::postpone(&mut tx, pull.id, now, None).await?;
            }
            (Class::Configuration, None) => {
                store::pull::postpone(&mut tx, pull.id, now + wait, Some(code)).await?;
            }
            (Class::Transient, _) if code == ErrorCode::RateLimited => {
                store::pull::postpone(&mut tx, pull.id, now + wait, None).await?;
            }
            (Class::Transient | Class::Rejected, _) => {
                let refused = matches!(error, connectors::Error::Report { .. }) || self.is_overdue(pull);
                self.remedy(&mut tx, pull, (code, &detail), refused, wait).await?;
            }
        }
        tx.commit().await?;
        Ok(standing)
    }

    /// Puts on a pull what can't be right about it: a ticket that nobody can read, a report that nobody has defined. Our
    /// own storage's failure stops the step.
    pub(super) async fn put_down(&self, pull: &Pull, error: Error) -> Result<(), Error> {
        if is_our_storage_s(&error) {
            return Err(error);
        }
        let (code, detail) = (error.code(), chain(&error));
        tracing::error!(pull.id = %pull.id, error.code = %code, "pull {} can't be right: {detail}", pull.id);
        let wait = TimeDelta::seconds(i64::from(law::retry_wait_seconds(pull.attempts)));
        let mut tx = self.context.store.begin(self.org).await?;
        self.remedy(&mut tx, pull, (code, &detail), pull.state == State::Requested, wait).await?;
        Ok(tx.commit().await?)
    }

    /// Whether a pull's report has been in the making for too long.
    pub(super) fn is_overdue(&self, pull: &Pull) -> bool {
        let since = pull.requested_at.filter(|_| pull.state == State::Requested);
        since.is_some_and(|since| law::is_overdue(pull.kind, since, self.now()))
    }

    async fn remedy(
        &self,
        tx: &mut store::Tx,
        pull: &Pull,
        (code, detail): (ErrorCode, &str),
        refused: bool,
        wait: TimeDelta,
    ) -> Result<(), Error> {
        let now = self.now();
        match law::remedy(pull.kind, pull.attempts, code, refused) {
            Remedy::Wait => store::pull::postpone(tx, pull.id, now + wait, Some(code)).await?,
            Remedy::AskAnew => store::pull::start_over(tx, pull.id, now + wait, code, now).await?,
            Remedy::GiveUp => store::pull::fail(tx, pull.id, code, Some(detail), Some(self.cycle), now).await?,
        };
        Ok(())
    }
}

/// Puts what stopped a connection's work on the connection, so that the others go on. Our own storage's failure stops the
/// step.
pub(super) async fn put_on_connection(
    context: &Context,
    org: OrgId,
    connection: &Connection,
    error: Error,
) -> Result<(), Error> {
    if is_our_storage_s(&error) {
        return Err(error);
    }
    let (code, detail) = (error.code(), chain(&error));
    let id = connection.id;
    tracing::error!(connection.id = %id, error.code = %code, "connection {id} is left out: {detail}");
    // What a person has to mend is not hidden by what we have to mend.
    if connection.status != Status::Healthy {
        return Ok(());
    }
    let mut tx = context.store.begin(org).await?;
    store::connection::mark_problem(&mut tx, id, code, Some(&detail), context.clock.now()).await?;
    Ok(tx.commit().await?)
}

/// How long to wait after a failure that had so many before it.
pub(super) fn wait_after(before: u32, error: &connectors::Error) -> TimeDelta {
    let asked_for = error.retry_after().and_then(|wait| TimeDelta::from_std(wait).ok());
    asked_for.unwrap_or_else(|| TimeDelta::seconds(i64::from(law::retry_wait_seconds(before))))
}

/// Whether an error says that our own storage failed, and not that something of one pull or connection is wrong.
fn is_our_storage_s(error: &Error) -> bool {
    match error {
        // What a keeper of tokens failed with can be one connection's own: a secret that is missing or can't be opened.
        Error::Platform(connectors::Error::Storage { source, .. }) => match source.downcast_ref::<keys::Error>() {
            Some(error) => error.is_transient() || matches!(error, keys::Error::Store(_)),
            None => source.is::<store::Error>(),
        },
        Error::Store(_) | Error::Lake(_) | Error::Engine { .. } | Error::TooManyConflicts { .. } => true,
        Error::Platform(_)
        | Error::Unsettled(_)
        | Error::Over { .. }
        | Error::Vault(_)
        | Error::Missing { .. }
        | Error::Inconsistent { .. }
        | Error::NoEnvironment { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_storage_stops_the_others() {
        let keeper = |source| Error::Platform(connectors::Error::Storage { what: "token keeper", source });
        let stops = [
            Error::Store(store::Error::NotFound { noun: "cycle" }),
            keeper(store::Error::NotFound { noun: "connection" }.into()),
            Error::TooManyConflicts { attempts: 3 },
        ];
        let one_s_own = [
            keeper("the connection has no credentials".into()),
            Error::Missing { what: "report definition" },
            Error::Inconsistent { what: "a ticket", why: "it is no JSON".into() },
            Error::NoEnvironment { environment: "dv360.gone".into() },
        ];
        assert!(stops.iter().all(is_our_storage_s));
        assert!(!one_s_own.iter().any(is_our_storage_s));
    }
}
