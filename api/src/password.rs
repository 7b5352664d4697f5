//! Passwords: Argon2id, off the async threads, with the same work for an e-mail that nobody has.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

use crate::problem::{Error, FieldProblem, Result};

/// The fewest characters of a password.
pub const SHORTEST: usize = 12;
/// Longer than any passphrase; what is longer is meant to keep us busy.
pub const LONGEST: usize = 200;

/// Each hash takes 19 MiB: so many at once, the others wait.
const MOST_AT_ONCE: usize = 4;

/// A hash with today's parameters that no password has: it is checked when nobody has the e-mail.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }
}

impl Passwords {
    /// The text to be stored for a password.
    ///
    /// # Errors
    /// [`Error::Internal`] when the machine has no randomness or memory left.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        let hash =
            move || Argon2::default().hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string());
        self.work(hash).await?.map_err(|error| Error::internal("hash a password")(error.to_string()))
    }

    /// Whether a password belongs to what is stored; `None` for an e-mail that nobody has costs the same and fails. One that
    /// is longer than any may be is not worked on.
    ///
    /// # Errors
    /// [`Error::Internal`] when the work could not be done.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool> {
        if password.expose_secret().chars().count() > LONGEST {
            return Ok(false);
        }
        self.work(move || {
            let known = stored.is_some();
            let stored = stored.unwrap_or_else(|| NOBODY.to_owned());
            let fits = PasswordHash::new(&stored).is_ok_and(|hash| {
                Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
            });
            known && fits
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(Error::internal("wait for a slot"))?;
        let done = tokio::task::spawn_blocking(move || {
            let worked = work();
            drop(slot);
            worked
        });
        done.await.map_err(Error::internal("finish work on a password"))
    }
}

/// What is wrong with a password that somebody chose, if anything: too short, or among the first that a thief tries, who
/// knows lists of leaked passwords and what stands around the form (`around`: the e-mail, names).
#[must_use]
pub fn refusal(password: &SecretString, pointer: &str, around: &[&str]) -> Option<FieldProblem> {
    let (text, parts) = (password.expose_secret(), parts(around));
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let characters = text.chars().count();
    let message = if characters < SHORTEST {
        "This must have at least 12 characters."
    } else if characters > LONGEST {
        "This may have at most 200 characters."
    } else if zxcvbn(text, &parts).score() < Score::Three {
        "This is too easy to guess: it is close to passwords that leaked elsewhere, or to your own data. \
         Several unrelated words do well."
    } else {
        return None;
    };
    Some(FieldProblem::new(pointer, message))
}

/// What people make passwords of when they take a name or an address: the whole of it, its words, and its words as one.
fn parts(around: &[&str]) -> Vec<String> {
    let words = |text: &str| text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
    let of = |text: &&str| [vec![(*text).to_owned(), words(text).concat()], words(text)].concat();
    around.iter().flat_map(of).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::default();
        let stored = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("correct horse battery".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse batterx".into(), Some(stored)).await.unwrap());
    }

    #[test]
    fn what_a_thief_tries_first_is_refused() {
        let refused = |password: &str| {
            refusal(&password.into(), "/password", &["ana.lindgren@agency.example", "Agentur Nord"]).is_some()
        };
        for weak in [
            "short",
            "password1234",
            "qwertyuiop12",
            "aaaaaaaaaaaaaaaa",
            "ana.lindgren",
            "agenturnord1",
            "123456789012",
        ] {
            assert!(refused(weak), "{weak}");
        }
        assert!(refused(&"long ".repeat(41)));
        for strong in ["correct horse battery staple", "violet kettle marching 41", "tr4vQz!9mWpe"] {
            assert!(!refused(strong), "{strong}");
        }
    }

    #[tokio::test]
    async fn nobody_can_sign_in_and_the_work_is_done_all_the_same() {
        assert!(PasswordHash::new(NOBODY).is_ok());
        assert!(!Passwords::default().verify("correct horse battery".into(), None).await.unwrap());
    }
}
