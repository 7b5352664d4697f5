//! The way to the workflow engine: connected when it is first needed.
//!
//! The API starts and answers requests without it: what is asked for is recorded, and started later.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use keys::Codec;
use temporalio_client::errors::WorkflowInteractionError;
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_client::{
    Client, Connection, ConnectionOptions, UntypedWorkflow, WorkflowDescribeOptions, WorkflowExecutionStatus,
};
use temporalio_common::protos::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use tokio::sync::OnceCell;
use url::Url;

use crate::problem::{BoxedError, Error, Result};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long a sign of life may take.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// A client that is made when it is first needed.
pub struct Engine {
    address: String,
    namespace: String,
    codec: Codec,
    client: OnceCell<Client>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, namespace, codec: _, client } = self;
        let mut debug = f.debug_struct("Engine");
        debug.field("address", address).field("namespace", namespace).field("connected", &client.initialized()).finish()
    }
}

impl Engine {
    /// The engine at this address, `host:port`, to which everything goes encrypted.
    #[must_use]
    pub fn new(address: &str, namespace: &str, codec: Codec) -> Self {
        Self { address: address.to_owned(), namespace: namespace.to_owned(), codec, client: OnceCell::new() }
    }

    /// The client, connected now if it was not before.
    ///
    /// # Errors
    /// [`Error::Workflows`] when the engine can't be reached.
    pub async fn client(&self) -> Result<&Client> {
        let connecting = self.client.get_or_try_init(|| self.connect().boxed());
        tokio::time::timeout(CONNECT_LIMIT, connecting).await.map_err(unreachable)?.map_err(unreachable)
    }

    async fn connect(&self) -> Result<Client, BoxedError> {
        let url = Url::parse(&format!("http://{}", self.address))?;
        let options = ConnectionOptions::new(url).identity("clp-api").connect_timeout(CONNECT_LIMIT).build();
        let connection = Connection::connect(options).await?;
        Ok(Client::new(connection, self.codec.client_options(&self.namespace))?)
    }

    /// What encrypts and decrypts what goes to and fro.
    #[must_use]
    pub const fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Since when a workflow is open, by the engine's clock; `None` when it has ended, or the engine does not know it.
    ///
    /// # Errors
    /// [`Error::Workflows`] when the engine can't be asked.
    pub async fn open_since(&self, workflow: &str) -> Result<Option<SystemTime>> {
        let handle = self.client().await?.get_workflow_handle::<UntypedWorkflow>(workflow);
        let asked = tokio::time::timeout(PING_LIMIT, handle.describe(WorkflowDescribeOptions::default()));
        match asked.await.map_err(unreachable)? {
            Ok(known) if known.status() == WorkflowExecutionStatus::Running => {
                Ok(Some(known.start_time().unwrap_or(SystemTime::UNIX_EPOCH)))
            }
            Ok(_) | Err(WorkflowInteractionError::NotFound(_)) => Ok(None),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Asks the engine whether it is there and has our namespace.
    ///
    /// # Errors
    /// [`Error::Workflows`] when it can't be reached or has not.
    pub async fn ping(&self) -> Result<()> {
        let mut client = self.client().await?.clone();
        let ask = DescribeNamespaceRequest { namespace: self.namespace.clone(), ..Default::default() };
        let asked = WorkflowService::describe_namespace(&mut client, ask.into_request());
        tokio::time::timeout(PING_LIMIT, asked).await.map_err(unreachable)?.map_err(unreachable)?;
        Ok(())
    }
}

/// The engine could not be reached.
pub fn unreachable(source: impl Into<BoxedError>) -> Error {
    Error::Workflows { operation: "reach the workflow engine", source: source.into() }
}
