//! Where a platform is, and how long its answers are waited for: a named environment of the deployment's configuration.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// The base URLs of one environment of Google's advertising APIs, and the application registered there.
///
/// The service URLs come without a version (`https://displayvideo.googleapis.com/`): the version belongs to the code
/// that speaks it.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The consent page that a person's browser is sent to.
    pub authorize_url: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: Url,
    /// Where a refresh token is given back.
    pub revoke_url: Url,
    /// The Display & Video 360 API.
    pub display_video_url: Url,
    /// The Bid Manager API.
    pub bid_manager_url: Url,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
}

/// How long the connectors wait for a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To open a connection.
    pub connect: Duration,
    /// Between two bytes of the answer to a read.
    pub read_idle: Duration,
    /// For the whole answer to a change; some of DV360's changes are documented as slow.
    pub write: Duration,
    /// Between two bytes of a report.
    pub download_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read_idle: Duration::from_secs(30),
            write: Duration::from_mins(1),
            download_idle: Duration::from_mins(1),
        }
    }
}
