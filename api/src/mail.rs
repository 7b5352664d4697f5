//! Mail: sent at once, with a limit, and said how it went. Nothing waits for it, and whoever asked can send it again.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use runtime::settings::Mail;
use secrecy::ExposeSecret as _;

use crate::problem::BoxedError;

/// How long a mail server may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// A mail server took it.
    Yes,
    /// No mail server took it.
    No,
    /// This deployment sends no mail.
    Off,
}

/// Sends mail, where a mail server is configured.
pub struct Mailer(Option<Way>);

struct Way {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailer").field(&self.0.is_some()).finish()
    }
}

impl Mailer {
    /// With these settings; without any it sends nothing.
    ///
    /// # Errors
    /// When the server's URL or the sender's address can't be read. The message holds neither.
    pub fn new(settings: Option<&Mail>) -> Result<Self, BoxedError> {
        let Some(Mail { smtp_url, from }) = settings else { return Ok(Self(None)) };
        let from = from.parse().map_err(|_| "CLP_MAIL_FROM must be an e-mail address")?;
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url.expose_secret());
        let server = server.map_err(|_| "CLP_SMTP_URL must be the URL of a mail server")?.timeout(Some(LIMIT)).build();
        Ok(Self(Some(Way { server, from })))
    }

    /// Sends a mail. Whom it goes to is not logged.
    pub async fn send(&self, to: &str, subject: &str, text: String) -> Sent {
        let Some(way) = &self.0 else { return Sent::Off };
        let outcome = tokio::time::timeout(LIMIT, way.send(to, subject, text)).await;
        let outcome = outcome.unwrap_or_else(|_| Err("the mail server did not answer in time".into()));
        let word = if outcome.is_ok() { "sent" } else { "failed" };
        metrics::counter!("clp_mails_total", "outcome" => word).increment(1);
        match outcome {
            Ok(()) => Sent::Yes,
            Err(error) => {
                tracing::warn!("a mail could not be sent: {error}");
                Sent::No
            }
        }
    }
}

impl Way {
    async fn send(&self, to: &str, subject: &str, text: String) -> Result<(), BoxedError> {
        // A parser's message would repeat the address.
        let to = to.parse().map_err(|_| "the address can't be read")?;
        let mail = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to)).subject(subject).body(text)?;
        self.server.send(mail).await.map(drop).map_err(|error| reason(&error).into())
    }
}

/// Why a server did not take a mail, without its own words, which can repeat the address.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    error.status().map_or_else(
        || {
            if error.is_timeout() {
                "it did not answer in time".to_owned()
            } else {
                "it could not be reached".to_owned()
            }
        },
        |status| format!("it answered {status}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, from: &str) -> Mail {
        Mail { smtp_url: url.into(), from: from.into() }
    }

    #[tokio::test]
    async fn without_a_server_nothing_is_sent_and_that_is_said() {
        assert_eq!(Mailer::new(None).unwrap().send("ana@x.example", "Hello", "Hello".into()).await, Sent::Off);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_no_error_of_the_request() {
        let mailer = Mailer::new(Some(&settings("smtp://127.0.0.1:1", "clp@x.example"))).unwrap();
        assert_eq!(mailer.send("ana@x.example", "Hello", "Hello".into()).await, Sent::No);
        assert_eq!(mailer.send("nobody", "Hello", "Hello".into()).await, Sent::No);
    }

    #[test]
    fn settings_that_can_t_be_used_are_told_without_the_password() {
        let error = Mailer::new(Some(&settings("http://user:hidden@mail", "clp@x.example"))).unwrap_err();
        assert_eq!(error.to_string(), "CLP_SMTP_URL must be the URL of a mail server");
        assert!(Mailer::new(Some(&settings("smtp://mail", "clp"))).is_err());
    }
}
