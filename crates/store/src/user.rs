//! People, as far as signing in needs them. Their rows are reached through the database's own functions only.

use std::fmt;

use domain::ids::{OrgId, UserId};

use crate::error::Result;
use crate::store::Store;

/// What is needed to check a password.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who would sign in.
    pub user: UserId,
    /// What they are called.
    pub name: String,
    /// The hash of their password.
    pub password_hash: String,
    /// The organisation that they would sign in to: the one that they joined first.
    pub org: OrgId,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("user", &self.user).field("org", &self.org).finish_non_exhaustive()
    }
}

/// Finds who has this e-mail, before any organisation is known.
///
/// # Errors
/// As any statement.
pub async fn sign_in_lookup(store: &Store, email: &str) -> Result<Option<SignIn>> {
    let row = sqlx::query!(
        r#"SELECT user_id AS "user_id!", user_name AS "user_name!", password_hash AS "password_hash!", org_id AS "org_id!"
           FROM sign_in_lookup($1)"#,
        email
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| SignIn {
        user: row.user_id.into(),
        name: row.user_name,
        password_hash: row.password_hash,
        org: row.org_id.into(),
    }))
}
