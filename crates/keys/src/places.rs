//! The places that secrets are sealed for. Who seals and who opens must name the same one.

use domain::ids::{ConnectionId, ConsentId};
use store::sealed::Owner;

/// A connection's refresh token.
#[must_use]
pub fn credentials(connection: ConnectionId) -> String {
    format!("connection/{connection}/credentials")
}

/// The proof key of a consent that is being asked for on behalf of a connection.
#[must_use]
pub fn verifier(connection: ConnectionId) -> String {
    format!("consent/{connection}/verifier")
}

/// The code of a consent that was given.
#[must_use]
pub fn code(consent: ConsentId) -> String {
    format!("consent/{consent}/code")
}

/// The refresh token that a consent brought and that no connection has taken over yet.
#[must_use]
pub fn offered(consent: ConsentId) -> String {
    format!("consent/{consent}/credentials")
}

/// The place of a stored secret.
pub(crate) fn of(owner: Owner) -> String {
    match owner {
        Owner::Credentials(connection) => credentials(connection),
        Owner::Verifier(_, connection) => verifier(connection),
        Owner::Code(consent) => code(consent),
        Owner::Offered(consent) => offered(consent),
    }
}
