//! The places that secrets are sealed for. Who seals and who opens must name the same one.

use domain::ids::{ConnectionId, ConsentId, OrgId, UserId};
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

/// The secret of a person's authenticator.
#[must_use]
pub fn second_factor(user: UserId) -> String {
    format!("user/{user}/second_factor")
}

/// Our secret at an organisation's identity provider.
#[must_use]
pub fn sso_secret(org: OrgId) -> String {
    format!("sso/{org}/client_secret")
}

/// The place of a stored secret.
pub(crate) fn of(owner: Owner) -> String {
    match owner {
        Owner::Credentials(connection) => credentials(connection),
        Owner::Verifier(_, connection) => verifier(connection),
        Owner::Code(consent) => code(consent),
        Owner::Offered(consent) => offered(consent),
        Owner::SecondFactor(user) => second_factor(user),
        Owner::SsoSecret(org) => sso_secret(org),
    }
}
