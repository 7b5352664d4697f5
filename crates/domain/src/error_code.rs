//! Every way in which something ends badly, in words for a campaign manager.
//!
//! Each code says what happened, what was not harmed and what to do next. The texts are one table, so that the API, the
//! UI and a message say the same; a snapshot keeps them under review.

use serde::{Deserialize, Serialize};

/// How an error is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Class {
    /// It goes away by itself: the platform is tried again, later.
    Transient,
    /// It stays until a person changes something: nothing is tried again before that.
    Configuration,
    /// The data or the request is refused; the next pull or a corrected request is a new start.
    Rejected,
}

/// What a person reads about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What happened.
    pub what: &'static str,
    /// What was not harmed.
    pub unharmed: &'static str,
    /// What to do next.
    pub next: &'static str,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $class:ident, $what:literal, $unharmed:literal, $next:literal;)*) => {
        /// A stable name for one way in which something ends badly.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
            strum::EnumString, strum::EnumIter,
        )]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] #[strum(serialize = $code)] $name,)*
        }

        impl ErrorCode {
            /// The stable text of the code: the end of a problem's `type`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How the error is to be met.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// What a person reads about it.
            #[must_use]
            pub const fn explain(self) -> Explanation {
                match self {
                    $(Self::$name => Explanation { what: $what, unharmed: $unharmed, next: $next },)*
                }
            }
        }
    };
}

error_codes! {
    /// Unknown e-mail or wrong password; the answer does not say which.
    WrongCredentials = "auth.wrong_credentials", Rejected,
        "This e-mail and password don't belong together.",
        "Nothing was changed and nobody was signed out.",
        "Check both and try again.";
    /// No session, or one that ended.
    SignedOut = "auth.signed_out", Rejected,
        "You are not signed in, or your session has ended.",
        "Your work is saved up to your last click.",
        "Sign in again; you will come back to this page.";
    /// The person's role does not allow it.
    NotAllowed = "auth.not_allowed", Rejected,
        "Your role in the organisation does not allow this.",
        "Nothing was changed.",
        "Ask an admin of your organisation to do it.";
    /// The API key is not one, or is one no longer.
    KeyUnusable = "auth.key_unusable", Rejected,
        "This API key does not hold: it is unknown, was revoked, has expired, or who made it has left the organisation.",
        "Nothing was changed.",
        "Make a new key under Settings, and use that one.";
    /// A program asked for what only a person may do.
    PersonNeeded = "auth.person_needed", Rejected,
        "This is done by a person in a browser, never with an API key.",
        "Nothing was changed.",
        "Sign in and do it there.";
    /// The password is right; the authenticator's code is still to come.
    CodeNeeded = "auth.code_needed", Rejected,
        "This account is protected by a second factor.",
        "Nobody was signed in.",
        "Enter the code that your authenticator shows, or one of your recovery codes.";
    /// The code of the second factor is wrong, old, or was used.
    WrongCode = "auth.wrong_code", Rejected,
        "This code is not right, or was used before.",
        "Nobody was signed in and nothing was changed.",
        "Wait for your authenticator's next code, check that your phone's clock is right, or use a recovery code.";
    /// A second factor is set up already.
    SecondFactorSet = "auth.second_factor_set", Rejected,
        "A second factor is set up already.",
        "It stays as it is.",
        "Remove it first, with a code of it, to set up another one.";
    /// The organisation's people sign in through its identity provider.
    SsoNeeded = "auth.sso_needed", Rejected,
        "This organisation's people sign in through its identity provider.",
        "Nobody was signed in.",
        "Choose single sign-on, and enter your e-mail there.";
    /// No identity provider is known for whom it would be.
    SsoUnknown = "auth.sso_unknown", Rejected,
        "No single sign-on is set up for this e-mail or organisation.",
        "Nobody was signed in.",
        "Sign in with your password, or ask an admin of your organisation for its sign-in link.";
    /// The identity provider could not be reached, or its answer could not be trusted.
    SsoFailed = "auth.sso_failed", Configuration,
        "Your organisation's identity provider could not be reached, or its answer could not be trusted.",
        "Nobody was signed in and nothing was changed.",
        "Try again; if it stays, ask your admin to check the settings of single sign-on.";
    /// The identity provider knows a person whom the organisation does not.
    SsoStranger = "auth.sso_stranger", Rejected,
        "The identity provider knows you, but you don't belong to this organisation here.",
        "Nobody was signed in.",
        "Ask an admin of your organisation for an invitation.";
    /// The sign-in took too long, or was begun in another browser.
    SsoExpired = "auth.sso_expired", Rejected,
        "This sign-in took too long, was used before, or was begun in another browser.",
        "Nobody was signed in.",
        "Start signing in again.";
    /// The session is for one organisation alone.
    SessionBound = "auth.session_bound", Rejected,
        "You signed in through this organisation's identity provider, which vouches for you here alone.",
        "Nothing was changed.",
        "Sign in with your password to work in another organisation.";
    /// The invitation's link is of no use.
    InvitationUnusable = "auth.invitation_unusable", Rejected,
        "This invitation does not hold any more: it was used, withdrawn or sent anew, or its time is over.",
        "Nobody joined and nothing was changed.",
        "Ask whoever invited you to send it again.";
    /// The link of a forgotten password is of no use.
    ResetUnusable = "auth.reset_unusable", Rejected,
        "This link does not hold any more: it was used or sent anew, or its time is over.",
        "The password is still the old one.",
        "Ask for a new link on the sign-in page.";
    /// The terms changed since the form was opened.
    TermsChanged = "auth.terms_changed", Rejected,
        "Our terms or our privacy notice changed a moment ago.",
        "Nothing was saved.",
        "Load the page again, read them, and agree to what is there now.";
    /// The page was loaded for another organisation than the session is for.
    OtherOrganisation = "auth.other_organisation", Rejected,
        "This browser works in another organisation now.",
        "Nothing was changed.",
        "Load the page again: it shows the organisation that you are in.";
    /// An organisation keeps at least one admin.
    LastAdmin = "members.last_admin", Rejected,
        "This is the organisation's last admin who can sign in.",
        "The role and the access stay as they are.",
        "Make somebody else an admin first.";
    /// The role is built in, or somebody has it.
    RoleInUse = "members.role_in_use", Rejected,
        "This role can't be changed in this way: it is built in, or somebody has it.",
        "The role stays as it is.",
        "Give its members another role first, or make a role of your own.";
    /// The e-mail has an account already.
    EmailTaken = "auth.email_taken", Rejected,
        "There is already an account with this e-mail.",
        "No second account was made.",
        "Sign in with it instead.";
    /// A field of the request is missing or wrong.
    InvalidRequest = "request.invalid", Rejected,
        "Something in the form is missing or can't be right.",
        "Nothing was saved.",
        "Correct the marked fields and send it again.";
    /// The request has no Idempotency-Key.
    IdempotencyKeyMissing = "request.idempotency_key_missing", Rejected,
        "The request has no Idempotency-Key header, so it could not be told from a repeated one.",
        "Nothing was changed.",
        "Send the request again with an Idempotency-Key of your own.";
    /// The same Idempotency-Key came with another request.
    IdempotencyKeyReused = "request.idempotency_key_reused", Rejected,
        "This Idempotency-Key was used for a different request.",
        "The first request stands; this one did nothing.",
        "Use a new key for a new request.";
    /// There is no such thing, or it is not yours to see.
    NotFound = "request.not_found", Rejected,
        "There is nothing here, or it belongs to another organisation.",
        "Nothing was changed.",
        "Go back to the list and open it from there.";
    /// The thing is in a state in which the request makes no sense.
    Conflict = "request.conflict", Rejected,
        "This was changed in the meantime.",
        "The change that came first stands; yours did nothing.",
        "Reload to see how it stands now, then decide again.";
    /// The first request with this Idempotency-Key has no answer yet.
    InProgress = "request.in_progress", Transient,
        "This request was sent before and is still being worked on.",
        "It is done once, however often it is sent.",
        "Wait a moment and send it again: you then get its answer.";
    /// Too many requests from one caller.
    TooManyRequests = "request.too_many", Transient,
        "There were too many requests in a short time.",
        "Nothing was lost; requests that were answered stand.",
        "Wait a moment and try again.";
    /// The organisation has as many connections as it may have.
    ConnectionsUsedUp = "quota.connections", Configuration,
        "Your organisation has as many connections as it may have.",
        "Those that there are go on as before.",
        "Ask whoever operates this deployment for more.";
    /// The organisation's people have asked for as many runs as they may in an hour.
    RunsUsedUp = "quota.runs", Transient,
        "Your organisation has asked for as many runs as it may in an hour.",
        "No numbers are missed: they are read on schedule as always.",
        "Wait until it is free again, or ask whoever operates this deployment for more.";
    /// As many rows were read for the organisation as may be in a day.
    RowsUsedUp = "quota.rows", Transient,
        "As many rows of reports were read for your organisation today as may be in a day.",
        "What was read stands, and what is missing is read when the next day begins.",
        "Wait until midnight UTC, or ask whoever operates this deployment for more.";
    /// Something of ours failed that has no name of its own.
    Unexpected = "internal.unexpected", Transient,
        "Something went wrong on our side.",
        "Nothing was half-saved: what was not confirmed did not happen.",
        "Try again; if it stays, send us the request id.";
    /// The database or the lake can't be reached.
    StorageUnavailable = "internal.storage_unavailable", Transient,
        "Our storage can't be reached right now.",
        "All data that was shown as saved is safe; ingestion goes on from where it was.",
        "Nothing to do: we try again by ourselves.";
    /// The workflow engine can't be reached.
    WorkflowsUnavailable = "internal.workflows_unavailable", Transient,
        "Our workflow engine can't be reached right now.",
        "Your request is recorded and will be carried out once.",
        "Nothing to do: it starts as soon as the engine is back.";
    /// The person pressed Cancel on the consent page.
    ConsentDenied = "connection.consent_denied", Configuration,
        "Access was not granted on the platform's page.",
        "No connection was made and nothing was read.",
        "Connect again and choose Allow, or ask a colleague who has the rights.";
    /// The person left something out on the consent page.
    ScopesMissing = "connection.scopes_missing", Configuration,
        "Not everything that we need was allowed on the platform's page.",
        "Nothing was read and nothing was changed.",
        "Connect again and leave every box on the platform's page ticked.";
    /// The consent came back too late or twice.
    ConsentExpired = "connection.consent_expired", Configuration,
        "This authorisation took too long or was used before.",
        "No connection was made and nothing was read.",
        "Start connecting again.";
    /// The refresh token is dead: expired or revoked.
    TokenDead = "connection.token_dead", Configuration,
        "The platform no longer accepts our authorisation: it expired or was revoked.",
        "All data read so far is kept, and reading goes on from the same point afterwards.",
        "Reconnect with the same Google account.";
    /// A reconnection was answered with a user who sees other advertisers.
    OtherAccount = "connection.other_account", Configuration,
        "The account that you chose can't see most of this connection's advertisers, so it is not the one that it was made with.",
        "The connection and all data were left as they were; nothing was read with that account.",
        "Reconnect with the account that the connection was made with, or with one that sees the same advertisers.";
    /// The authorised user may not do this.
    PermissionMissing = "connection.permission_missing", Configuration,
        "The connected user does not have the rights for this in the platform.",
        "All data read so far is kept; nothing was changed in the platform.",
        "Ask the platform's admin to give the user access, then reconnect or try again.";
    /// The authorised user sees no advertiser.
    NoAccounts = "connection.no_accounts", Configuration,
        "The connected user can't see any advertiser.",
        "Nothing was read or changed.",
        "Connect with a user who has access to your advertisers.";
    /// One advertiser is gone or no longer shared with us.
    AccountGone = "account.gone", Configuration,
        "One advertiser can no longer be read: it was removed, or access to it was withdrawn.",
        "Its history is kept, and all other advertisers go on as before.",
        "Restore the access, or deselect the advertiser.";
    /// The platform's quota is used up for now.
    RateLimited = "platform.rate_limited", Transient,
        "The platform asks us to slow down: its quota is used up for now.",
        "No data is lost; what is due is read as soon as the platform lets us.",
        "Nothing to do: we continue by ourselves.";
    /// The platform answered with a server error, or could not be reached.
    PlatformUnavailable = "platform.unavailable", Transient,
        "The platform has a problem on its side or can't be reached.",
        "No data is lost and nothing was changed there.",
        "Nothing to do: we try again by ourselves.";
    /// The platform did not answer in time.
    PlatformTimeout = "platform.timeout", Transient,
        "The platform did not answer in time.",
        "No data is lost; a change that was under way is checked before anything is sent again.",
        "Nothing to do: we try again by ourselves.";
    /// The platform's answer could not be understood.
    UnreadableAnswer = "platform.unreadable_answer", Transient,
        "The platform's answer was damaged or not in the documented form.",
        "Nothing of it was used; the numbers shown are the last good ones.",
        "Nothing to do: we ask again. If it stays, tell us.";
    /// The platform refused the request as wrong.
    PlatformRejected = "platform.rejected", Rejected,
        "The platform refused the request.",
        "Nothing was changed there.",
        "Read the platform's reason below; correct it there or here.";
    /// The platform could not make the report.
    ReportFailed = "report.failed", Transient,
        "The platform could not make the report.",
        "The numbers shown are the last good ones.",
        "Nothing to do: the report is asked for again.";
    /// A column that was asked for is not in the report.
    ReportMissingColumn = "report.missing_column", Rejected,
        "A column that we asked for is not in the report.",
        "Nothing of this report was used; the numbers shown are the last good ones.",
        "Nothing to do if it was a slip: the next report is read as usual. If it stays, tell us.";
    /// A row has too few or too many cells, or a number can't be read.
    ReportGarbledRow = "report.garbled_row", Rejected,
        "A row of the report can't be read.",
        "Nothing of this report was used: no row is dropped in silence, and the numbers shown are the last good ones.",
        "Nothing to do if it was a slip: the next report is read as usual. If it stays, tell us.";
    /// A key cell is empty.
    ReportNullKey = "report.null_key", Rejected,
        "A row of the report does not say what it belongs to.",
        "Nothing of this report was used, so no spend is counted for the wrong line.",
        "Nothing to do if it was a slip: the next report is read as usual. If it stays, tell us.";
    /// The same key came twice in one report.
    ReportDuplicateKey = "report.duplicate_key", Rejected,
        "The report has two rows for the same line and day.",
        "Nothing of this report was used, so nothing is counted twice.",
        "Nothing to do if it was a slip: the next report is read as usual. If it stays, tell us.";
    /// The download ended before the report did.
    ReportTruncated = "report.truncated", Transient,
        "The report's download broke off.",
        "Nothing of it was used; the numbers shown are the last good ones.",
        "Nothing to do: it is downloaded again.";
    /// The rows do not add up to the report's own totals.
    ReportTotalsDiffer = "report.totals_differ", Rejected,
        "The report's rows don't add up to its own totals.",
        "Nothing of this report was used; the numbers shown are the last good ones.",
        "Nothing to do if it was a slip: the next report is read as usual. If it stays, tell us.";
    /// The approver answered about a change that is not the one on record.
    ApprovalStale = "write_back.approval_stale", Rejected,
        "The proposal you saw is not the one on record any more.",
        "Nothing was approved and nothing was sent.",
        "Reload, look at the change again and decide.";
    /// Somebody decided first.
    AlreadyDecided = "write_back.already_decided", Rejected,
        "This proposal was already decided.",
        "The first decision stands; yours did nothing.",
        "Reload to see who decided and how it went.";
    /// A proposal must be approved by somebody else.
    OwnProposal = "write_back.own_proposal", Rejected,
        "You can't approve your own proposal.",
        "Nothing was approved and nothing was sent.",
        "Ask a colleague who may approve.";
    /// Nobody decided in time.
    ProposalExpired = "write_back.expired", Rejected,
        "Nobody decided in time, so the proposal expired.",
        "Nothing was sent to the platform.",
        "If it is still needed, the rule proposes it again.";
    /// The platform's value is not the one that the proposal assumed.
    Drifted = "write_back.drifted", Rejected,
        "The value in the platform is not the one that was approved to be changed: somebody changed it there.",
        "Their value was left as it is.",
        "Look at both values and propose the change again if it is still wanted.";
    /// The answer to a change was lost and could not be settled by reading.
    OutcomeUnknown = "write_back.outcome_unknown", Transient,
        "The platform's answer to the change was lost.",
        "Nothing is sent twice: we read the platform until it is certain.",
        "Nothing to do: this page shows the outcome as soon as it is known.";
    /// The change could not be sent often enough.
    NotApplied = "write_back.not_applied", Rejected,
        "The change could not be made after several attempts.",
        "The platform was read last and still has the value from before.",
        "Try again later, or change it in the platform.";
    /// It was approved, but its time was up before it could be sent.
    TooLate = "write_back.too_late", Rejected,
        "The change was approved, but could not be sent before its time was up.",
        "Nothing was sent to the platform.",
        "If it is still needed, the rule proposes it again with today's numbers.";
    /// The line stopped between the approval and the sending.
    LineStopped = "write_back.line_stopped", Rejected,
        "The line does not run any more: it was paused, or its flight is over.",
        "Nothing was sent to the platform; the line was left as it is.",
        "Nothing to do if that is as it should be. If not, start the line in the platform: the rule then judges it again.";
    /// The rule's limit became stricter than what was approved.
    GuardrailCrossed = "write_back.guardrail_crossed", Rejected,
        "The change is larger than the rule allows by now: its limit was lowered after the proposal was made.",
        "Nothing was sent to the platform.",
        "Evaluate the rules again for a proposal within the limit, or raise the limit first.";
    /// The line is not in the platform any more.
    LineGone = "write_back.line_gone", Rejected,
        "The line is not in the platform any more, so its setting can't be changed or read.",
        "No other line was touched, and the line's numbers so far are kept.",
        "Nothing to do if it was removed on purpose. If not, restore it in the platform: the rule then proposes again.";
    /// Changes are switched off for the organisation.
    Frozen = "write_back.frozen", Configuration,
        "Changes are frozen for your organisation.",
        "Nothing was sent to the platform.",
        "An admin can lift the freeze on the Settings page.";
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn every_code_says_what_happened_what_is_safe_and_what_to_do() {
        let table: std::collections::BTreeMap<_, _> = ErrorCode::iter()
            .map(|code| (code.code(), serde_json::json!({"class": code.class(), "says": code.explain()})))
            .collect();
        insta::assert_json_snapshot!("error_catalogue", table);
        for code in ErrorCode::iter() {
            let Explanation { what, unharmed, next } = code.explain();
            for text in [what, unharmed, next] {
                assert!(text.len() > 15 && text.ends_with('.'), "{code}: {text:?} is not a sentence");
            }
        }
    }

    #[test]
    fn a_code_reads_back_from_its_text() {
        for code in ErrorCode::iter() {
            assert_eq!(code.code().parse(), Ok(code));
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.code()));
        }
    }
}
