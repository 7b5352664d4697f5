//! The error body that every Google API answers with.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// One field of a request that is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Violation {
    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// An error as `google.rpc.Status` writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The canonical name of the error.
    pub status: &'static str,
    /// A sentence for a developer.
    pub message: String,
    /// Typed details.
    pub details: Vec<Value>,
}

impl ApiError {
    fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), details: Vec::new() }
    }

    /// 400, with the fields that are wrong.
    #[must_use]
    pub fn invalid_fields(violations: &[Violation]) -> Self {
        let fields: Vec<Value> = violations
            .iter()
            .map(|violation| json!({"field": violation.field, "description": violation.description}))
            .collect();
        let mut error = Self::new(400, "INVALID_ARGUMENT", "Request contains an invalid argument.");
        error.details = vec![json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields})];
        error
    }

    /// 400, with one field that is wrong.
    #[must_use]
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        Self::invalid_fields(&[Violation::new(field, description)])
    }

    /// 401: no token, or one that is not valid any more.
    #[must_use]
    pub fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie \
                       or other valid authentication credential.";
        let mut error = Self::new(401, "UNAUTHENTICATED", message);
        error.details = vec![error_info("ACCESS_TOKEN_EXPIRED", json!({}))];
        error
    }

    /// 403: the user may not do this.
    #[must_use]
    pub fn permission_denied() -> Self {
        Self::new(403, "PERMISSION_DENIED", "The caller does not have permission")
    }

    /// 403: the token was not granted the scope.
    #[must_use]
    pub fn scope_missing() -> Self {
        let mut error = Self::new(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.");
        error.details = vec![error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", json!({}))];
        error
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "Requested entity was not found.")
    }

    /// 409: another write to the same entity is under way.
    #[must_use]
    pub fn aborted() -> Self {
        Self::new(409, "ABORTED", "The operation was aborted.")
    }

    /// 400: the entity's state does not allow this.
    #[must_use]
    pub fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", message)
    }

    /// 429: a quota is used up.
    #[must_use]
    pub fn resource_exhausted(metric: &str, limit: &str, service: &str, project: &str) -> Self {
        let message = format!(
            "Quota exceeded for quota metric '{metric}' and limit '{limit}' of service '{service}' for consumer \
             'project_number:{project}'."
        );
        let mut error = Self::new(429, "RESOURCE_EXHAUSTED", message);
        let metadata = json!({"service": service, "consumer": format!("projects/{project}"), "quota_limit": limit});
        error.details = vec![error_info("RATE_LIMIT_EXCEEDED", metadata)];
        error
    }

    /// An error of any status, as the fault plan asks for.
    #[must_use]
    pub fn of_status(code: u16) -> Self {
        let (status, message) = match code {
            400 => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
            401 => return Self::unauthenticated(),
            403 => return Self::permission_denied(),
            404 => return Self::not_found(),
            409 => return Self::aborted(),
            429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
            503 => ("UNAVAILABLE", "The service is currently unavailable."),
            504 => ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
            _ => ("INTERNAL", "Internal error encountered."),
        };
        Self::new(code, status, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({"error": {"code": self.code, "message": self.message, "status": self.status}});
        if let (false, Some(error)) = (self.details.is_empty(), body.get_mut("error").and_then(Value::as_object_mut)) {
            error.insert("details".to_owned(), Value::Array(self.details));
        }
        (code, Json(body)).into_response()
    }
}

fn error_info(reason: &str, metadata: Value) -> Value {
    let mut info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
    });
    if let (Some(info), false) = (info.as_object_mut(), metadata.as_object().is_none_or(serde_json::Map::is_empty)) {
        info.insert("metadata".to_owned(), metadata);
    }
    info
}
