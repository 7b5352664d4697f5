//! Sends what a person decided to the workflow that waits for it, and returns its answer.
//!
//! Before anything is sent the workflow is looked for: when it can't be found, nothing happened, and that is what the
//! person is told. When an answer does not come after sending, they are told that, which is not the same.

use std::time::Duration;

use domain::ErrorCode;
use keys::Codec;
use temporalio_client::errors::{WorkflowInteractionError, WorkflowUpdateError};
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowExecuteUpdateOptions, WorkflowHandle,
};
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::{HasWorkflowDefinition, UpdateDefinition};

use crate::app::App;
use crate::problem::{BoxedError, Error, Result};

/// How long the workflow is looked for. A person can be faster than the sweeper that starts it from its row.
const LOOK_LIMIT: Duration = Duration::from_secs(8);
/// Between two looks, and how many there are at most.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
const MOST_LOOKS: u32 = 35;
/// How long an answer is waited for: long enough for a worker to be lost on the way and another to take over.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A workflow that was found, and what did not happen if it can't be reached any more.
pub struct Found<W> {
    handle: WorkflowHandle<Client, W>,
    codec: Codec,
    unharmed: &'static str,
}

impl<W> std::fmt::Debug for Found<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("unharmed", &self.unharmed).finish_non_exhaustive()
    }
}

/// Looks for a workflow. `unharmed` says what did not happen when it can't be found.
///
/// # Errors
/// [`Error::Unsent`].
pub async fn find<W: HasWorkflowDefinition>(app: &App, id: String, unharmed: &'static str) -> Result<Found<W>> {
    let unsent = |source: BoxedError| Error::Unsent { unharmed, source };
    let client = app.engine.client().await.map_err(|error| unsent(error.into()))?;
    let handle = client.get_workflow_handle::<W>(id);
    let look = async {
        let mut looks = 1;
        loop {
            match handle.describe(WorkflowDescribeOptions::default()).await {
                Err(WorkflowInteractionError::NotFound(_)) if looks < MOST_LOOKS => {
                    looks += 1;
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                described => return described.map(drop),
            }
        }
    };
    let looked = tokio::time::timeout(LOOK_LIMIT, look).await;
    looked.map_err(|elapsed| unsent(elapsed.into()))?.map_err(|error| unsent(error.into()))?;
    Ok(Found { handle, codec: app.engine.codec().clone(), unharmed })
}

impl<W: HasWorkflowDefinition> Found<W> {
    /// Sends an update and waits for its answer. The same `id` gets the same answer, however often it is sent.
    ///
    /// # Errors
    /// [`Error::Refused`] with the workflow's reason; [`Error::Unsent`]; [`Error::Unanswered`].
    pub async fn update<U>(&self, update: U, input: U::Input, id: String) -> Result<U::Output>
    where
        U: UpdateDefinition<Workflow = W::Run>,
        U::Input: Send,
        U::Output: 'static,
    {
        let options = WorkflowExecuteUpdateOptions::builder().update_id(id).build();
        let sent = tokio::time::timeout(ANSWER_LIMIT, self.handle.execute_update(update, input, options)).await;
        match sent {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(WorkflowUpdateError::Failed(failure))) => Err(refusal(&self.codec.reveal(*failure).await)),
            Ok(Err(WorkflowUpdateError::NotFound(status))) => {
                Err(Error::Unsent { unharmed: self.unharmed, source: status.into() })
            }
            Ok(Err(error)) => Err(Error::Unanswered { source: error.into() }),
            Err(elapsed) => Err(Error::Unanswered { source: elapsed.into() }),
        }
    }

    /// Asks the workflow to end.
    ///
    /// # Errors
    /// [`Error::Unsent`] when it is over; [`Error::Unanswered`].
    pub async fn cancel(&self, reason: &str) -> Result<()> {
        let options = WorkflowCancelOptions::builder().reason(reason.to_owned()).build();
        let asked = tokio::time::timeout(ANSWER_LIMIT, self.handle.cancel(options)).await;
        let asked = asked.map_err(|elapsed| Error::Unanswered { source: elapsed.into() })?;
        asked.map_err(|error| Error::Unsent { unharmed: self.unharmed, source: error.into() })
    }
}

/// A workflow refuses with the text of one of our codes, somewhere in its failure.
fn refusal(failure: &Failure) -> Error {
    let mut messages = Vec::new();
    let mut next = Some(failure);
    while let Some(failure) = next {
        messages.push(failure.message.as_str());
        next = failure.cause.as_deref();
    }
    match messages.iter().find_map(|message| code_in(message)) {
        Some(ErrorCode::WorkflowsUnavailable) | None => Error::Unanswered { source: messages.join(": ").into() },
        Some(code) => Error::refused(code),
    }
}

fn code_in(message: &str) -> Option<ErrorCode> {
    message.split(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == '.')).find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_our_code_wherever_it_stands() {
        let inner = Failure { message: "write_back.approval_stale".to_owned(), ..Failure::default() };
        let outer = Failure { message: "Update failed".to_owned(), cause: Some(Box::new(inner)), ..Failure::default() };
        assert!(matches!(refusal(&outer), Error::Refused { code: ErrorCode::ApprovalStale, .. }));
        let wrapped =
            Failure { message: "Error: \"write_back.already_decided\" (validator)".to_owned(), ..Failure::default() };
        assert!(matches!(refusal(&wrapped), Error::Refused { code: ErrorCode::AlreadyDecided, .. }));
        assert!(matches!(refusal(&Failure::default()), Error::Unanswered { .. }));
    }
}
