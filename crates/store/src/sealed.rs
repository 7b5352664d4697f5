//! Every column that holds a sealed secret, for who seals them anew. This crate can't open them.
//!
//! Only here may a sealed secret be written that nobody was given: in place of exactly the bytes that were read, so that a
//! secret that changed meanwhile is never overwritten.

use domain::ids::{ConnectionId, ConsentId, OrgId, UserId};
use uuid::Uuid;

use crate::convert::count;
use crate::error::Result;
use crate::store::Tx;

/// A place for a sealed secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A connection's credentials.
    Credentials(ConnectionId),
    /// The verifier of a consent, which is sealed for the consent's connection.
    Verifier(ConsentId, ConnectionId),
    /// The code of a consent.
    Code(ConsentId),
    /// The credentials that a consent brought.
    Offered(ConsentId),
    /// The secret of a person's authenticator.
    SecondFactor(UserId),
    /// Our secret at an organisation's identity provider.
    SsoSecret(OrgId),
}

/// A sealed secret and whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Whose.
    pub owner: Owner,
    /// The sealed secret.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// The next sealed secrets after one, in a fixed order, that do not begin with these bytes.
///
/// # Errors
/// As any statement.
pub async fn list_others(tx: &mut Tx, begin: &[u8], after: Option<Owner>, most: u32) -> Result<Vec<Sealed>> {
    let (after_kind, after_id) = after.map_or(("", Uuid::nil()), |owner| (owner.kind(), owner.row()));
    let rows = sqlx::query!(
        r#"SELECT o.kind AS "kind!", o.id AS "id!", o.connection_id AS "connection_id!", o.bytes AS "bytes!"
           FROM (SELECT 'credentials' AS kind, id, id AS connection_id, credentials AS bytes FROM connections
                 UNION ALL SELECT 'verifier', id, connection_id, verifier FROM consents
                 UNION ALL SELECT 'code', id, connection_id, code FROM consents
                 UNION ALL SELECT 'offered', id, connection_id, credentials FROM consents
                 UNION ALL SELECT 'second_factor', user_id, user_id, secret FROM second_factors
                 UNION ALL SELECT 'sso_secret', org_id, org_id, client_secret FROM sso_providers) o
           WHERE substring(o.bytes FROM 1 FOR length($1::bytea)) <> $1::bytea AND (o.kind COLLATE "C", o.id) > ($2, $3)
           ORDER BY o.kind COLLATE "C", o.id LIMIT $4"#,
        begin,
        after_kind,
        after_id,
        i64::from(most),
    )
    .fetch_all(tx.conn())
    .await?;
    let sealed = rows.into_iter().map(|row| {
        let owner = match row.kind.as_str() {
            "credentials" => Owner::Credentials(row.id.into()),
            "verifier" => Owner::Verifier(row.id.into(), row.connection_id.into()),
            "code" => Owner::Code(row.id.into()),
            "second_factor" => Owner::SecondFactor(row.id.into()),
            "sso_secret" => Owner::SsoSecret(row.id.into()),
            _ => Owner::Offered(row.id.into()),
        };
        Sealed { owner, bytes: row.bytes }
    });
    Ok(sealed.collect())
}

/// How many sealed secrets begin with these bytes.
///
/// # Errors
/// As any statement.
pub async fn count_with(tx: &mut Tx, begin: &[u8]) -> Result<u64> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!"
           FROM (SELECT credentials AS bytes FROM connections UNION ALL SELECT verifier FROM consents
                 UNION ALL SELECT code FROM consents UNION ALL SELECT credentials FROM consents
                 UNION ALL SELECT secret FROM second_factors UNION ALL SELECT client_secret FROM sso_providers) o
           WHERE substring(o.bytes FROM 1 FOR length($1::bytea)) = $1::bytea"#,
        begin,
    )
    .fetch_one(tx.conn())
    .await?;
    count("count", row.count)
}

/// Puts a secret that was sealed anew in the place of what was read; false when something else is there by now.
///
/// # Errors
/// As any statement.
pub async fn swap(tx: &mut Tx, read: &Sealed, anew: &[u8]) -> Result<bool> {
    let (id, before) = (read.owner.row(), &read.bytes);
    let query = match read.owner {
        Owner::Credentials(_) => {
            sqlx::query!("UPDATE connections SET credentials = $3 WHERE id = $1 AND credentials = $2", id, before, anew)
        }
        Owner::Verifier(..) => {
            sqlx::query!("UPDATE consents SET verifier = $3 WHERE id = $1 AND verifier = $2", id, before, anew)
        }
        Owner::Code(_) => sqlx::query!("UPDATE consents SET code = $3 WHERE id = $1 AND code = $2", id, before, anew),
        Owner::Offered(_) => {
            sqlx::query!("UPDATE consents SET credentials = $3 WHERE id = $1 AND credentials = $2", id, before, anew)
        }
        Owner::SecondFactor(_) => {
            sqlx::query!("UPDATE second_factors SET secret = $3 WHERE user_id = $1 AND secret = $2", id, before, anew)
        }
        Owner::SsoSecret(_) => sqlx::query!(
            "UPDATE sso_providers SET client_secret = $3 WHERE org_id = $1 AND client_secret = $2",
            id,
            before,
            anew
        ),
    };
    Ok(query.execute(tx.conn()).await?.rows_affected() > 0)
}

impl Owner {
    const fn kind(self) -> &'static str {
        match self {
            Self::Credentials(_) => "credentials",
            Self::Verifier(..) => "verifier",
            Self::Code(_) => "code",
            Self::Offered(_) => "offered",
            Self::SecondFactor(_) => "second_factor",
            Self::SsoSecret(_) => "sso_secret",
        }
    }

    /// The id of the row.
    fn row(self) -> Uuid {
        match self {
            Self::Credentials(connection) => connection.uuid(),
            Self::Verifier(consent, _) | Self::Code(consent) | Self::Offered(consent) => consent.uuid(),
            Self::SecondFactor(user) => user.uuid(),
            Self::SsoSecret(org) => org.uuid(),
        }
    }
}
