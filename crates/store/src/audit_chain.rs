//! The audit trail as a chain: each line's hash covers the line and the hash before it, so that what was changed past the
//! database's rights is found. The database makes the chain longer when a transaction commits; here it is only read.
//!
//! A chain proves nothing about its own end: who can write to every table can make it anew. So an operator keeps the head
//! ([`Verdict::head`]) somewhere else, and asks later whether it is still part of the chain.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::ids::{AuditId, OrgId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::store::{Store, Tx};

/// Lines that are read at a time.
const AT_ONCE: i64 = 5_000;

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which line, counted from 1; 0 before the first.
    pub seq: u64,
    /// The hash of the line and all before it.
    pub hash: [u8; 32],
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

/// A text is no [`Link`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a line's number and 64 hexadecimal digits with a colon between them")]
pub struct NoLink;

impl FromStr for Link {
    type Err = NoLink;

    fn from_str(text: &str) -> Result<Self, NoLink> {
        let (seq, digits) = text.split_once(':').ok_or(NoLink)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| NoLink)?;
        Ok(Self { seq: seq.parse().map_err(|_| NoLink)?, hash })
    }
}

/// Something that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// The line, or its place in the order, is not what was recorded.
    Changed {
        /// Its place.
        seq: u64,
        /// The line.
        line: AuditId,
    },
    /// The line was removed.
    Removed {
        /// Its place.
        seq: u64,
        /// The line.
        line: AuditId,
    },
    /// Places in the chain were removed.
    Gap {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// The line was never part of the chain.
    Inserted {
        /// The line.
        line: AuditId,
    },
    /// The chain does not end where its head says, or was made anew.
    Head {
        /// The place.
        seq: u64,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { seq, line } => write!(f, "line {seq} ({line}) or its place was changed"),
            Self::Removed { seq, line } => write!(f, "line {seq} ({line}) was removed"),
            Self::Gap { first, last } if first == last => write!(f, "the link of line {first} was removed"),
            Self::Gap { first, last } => write!(f, "the links of lines {first} to {last} were removed"),
            Self::Inserted { line } => write!(f, "{line} was inserted past the chain"),
            Self::Head { seq } => write!(f, "the chain's hash at line {seq} is not the one that was kept"),
        }
    }
}

/// What a chain looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its end, as the database keeps it.
    pub head: Link,
    /// What is wrong, in the order of the chain; nothing when it is intact.
    pub flaws: Vec<Flaw>,
}

/// The organisations that have a trail.
///
/// # Errors
/// As any statement.
pub async fn organisations(store: &Store) -> Result<Vec<OrgId>> {
    let rows =
        sqlx::query!(r#"SELECT org_id AS "org_id!" FROM organisations_with_audit()"#).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(|row| row.org_id.into()).collect())
}

/// Reads the organisation's whole trail and compares it with its chain. `kept` is a head of before, which must still be
/// part of the chain.
///
/// # Errors
/// As any statement.
pub async fn verify(tx: &mut Tx, kept: Option<Link>) -> Result<Verdict> {
    let head = head(tx).await?;
    let (mut last, mut flaws) = (Link { seq: 0, hash: [0; 32] }, Vec::new());
    if let Some(Link { seq, .. }) = kept.filter(|kept| kept.seq > head.seq) {
        flaws.push(Flaw::Head { seq });
    }
    loop {
        let rows = read(tx, last.seq, head.seq).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let line = AuditId::from_uuid(row.audit_id);
            let (seq, hash) = (number(row.seq)?, hash(&row.hash)?);
            if seq != last.seq + 1 {
                flaws.push(Flaw::Gap { first: last.seq + 1, last: seq - 1 });
            } else if row.line.is_none() {
                flaws.push(Flaw::Removed { seq, line });
            } else if next_hash(last.hash, &row) != hash {
                flaws.push(Flaw::Changed { seq, line });
            }
            if kept.is_some_and(|kept| kept.seq == seq && kept.hash != hash) {
                flaws.push(Flaw::Head { seq });
            }
            last = Link { seq, hash };
        }
    }
    if last != head {
        flaws.push(Flaw::Head { seq: head.seq });
    }
    flaws.extend(unlinked(tx).await?.into_iter().map(|line| Flaw::Inserted { line }));
    Ok(Verdict { head, flaws })
}

async fn head(tx: &mut Tx) -> Result<Link> {
    let row = sqlx::query!("SELECT seq, hash FROM audit_heads").fetch_optional(tx.conn()).await?;
    let Some(row) = row else { return Ok(Link { seq: 0, hash: [0; 32] }) };
    Ok(Link { seq: number(row.seq)?, hash: hash(&row.hash)? })
}

/// A link, with the line that it belongs to if that is still there.
struct Row {
    org_id: Uuid,
    seq: i64,
    audit_id: Uuid,
    hash: Vec<u8>,
    line: Option<Uuid>,
    at: Option<DateTime<Utc>>,
    actor_kind: Option<String>,
    actor_id: Option<Uuid>,
    action: Option<String>,
    subject: Option<String>,
    subject_id: Option<Uuid>,
    title: Option<String>,
    before: Option<String>,
    after: Option<String>,
    origin_address: Option<String>,
    origin_key: Option<Uuid>,
}

async fn read(tx: &mut Tx, after: u64, up_to: u64) -> Result<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT l.org_id, l.seq, l.audit_id, l.hash, a.id AS "line?", a.at AS "at?", a.actor_kind AS "actor_kind?",
                  a.actor_id AS "actor_id?", a.action AS "action?", a.subject AS "subject?",
                  a.subject_id AS "subject_id?", a.title AS "title?", a.before::text AS before, a.after::text AS after,
                  a.origin_address, a.origin_key
           FROM audit_links l LEFT JOIN audit a ON a.org_id = l.org_id AND a.id = l.audit_id
           WHERE l.seq > $1 AND l.seq <= $2 ORDER BY l.seq LIMIT $3"#,
        i64::try_from(after).unwrap_or(i64::MAX),
        i64::try_from(up_to).unwrap_or(i64::MAX),
        AT_ONCE,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

async fn unlinked(tx: &mut Tx) -> Result<Vec<AuditId>> {
    let rows = sqlx::query!(
        "SELECT a.id FROM audit a
         WHERE NOT EXISTS (SELECT FROM audit_links l WHERE l.org_id = a.org_id AND l.audit_id = a.id)
         ORDER BY a.at, a.id LIMIT $1",
        AT_ONCE
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}

/// The hash of a line after the hash before it. The bytes are those of `audit_bytes` in the database.
fn next_hash(before: [u8; 32], row: &Row) -> [u8; 32] {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string());
    let fields = [
        Some(row.org_id.to_string()),
        text(row.line),
        row.at.map(|at| at.timestamp_micros().to_string()),
        row.actor_kind.clone(),
        text(row.actor_id),
        row.action.clone(),
        row.subject.clone(),
        text(row.subject_id),
        row.title.clone(),
        row.before.clone(),
        row.after.clone(),
    ];
    // Lines from before origins were recorded have none, and neither have their bytes.
    let from_somewhere = row.origin_address.is_some() || row.origin_key.is_some();
    let origin = from_somewhere.then(|| [row.origin_address.clone(), text(row.origin_key)]);
    let mut bytes = String::new();
    for field in fields.into_iter().chain(origin.into_iter().flatten()) {
        match field {
            Some(field) => {
                // Writing to a text can't fail.
                let _ = write!(bytes, "{}:{field}", field.len());
            }
            None => bytes.push('-'),
        }
    }
    let digest = Sha256::new().chain_update(before).chain_update(row.seq.to_be_bytes()).chain_update(bytes);
    digest.finalize().into()
}

fn number(seq: i64) -> Result<u64> {
    u64::try_from(seq).map_err(|_| Error::unreadable("seq", "is negative"))
}

fn hash(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::unreadable("hash", "is not 32 bytes long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_is_printed() {
        let mut hash = [7; 32];
        hash[0] = 255;
        let link = Link { seq: 42, hash };
        assert_eq!(link.to_string().parse(), Ok(link));
        for text in ["", "42", "42:", "42:ff", &format!("x:{}", "0".repeat(64)), &format!("1:{}", "é".repeat(32))] {
            assert_eq!(text.parse::<Link>(), Err(NoLink), "{text}");
        }
    }
}
