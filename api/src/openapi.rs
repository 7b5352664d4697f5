//! The API's document: OpenAPI 3.1, made from the handlers, checked in as `api/openapi.json`.

use axum::http::Method;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ArrayBuilder, Components, ContentBuilder, HeaderBuilder, Info, Object, ObjectBuilder, OpenApi, OpenApiBuilder,
    PathItem, Ref, RefOr, Response, ResponseBuilder, Schema, SchemaFormat,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::auth::COOKIE;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::{idempotency, limit};

const ABOUT: &str = "From sign-up to an approved, verified change on an advertising platform.\n\n\
    Times are RFC 3339 in UTC, days are the advertiser's own, money is `{amount, currency}` with a decimal string. \
    Every error is a problem (RFC 9457) that says what happened, what was not harmed and what to do next. \
    Requests that change something carry the header `X-Requested-With: clp`; those that create or act carry an \
    `Idempotency-Key` of the caller's own.";

/// The document of these routes.
pub fn document(routes: OpenApi) -> OpenApi {
    let info = Info::builder().title("Campaign Lifecycle Platform").version("1").description(Some(ABOUT)).build();
    let mut document = OpenApiBuilder::from(routes).info(info).build();
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE))));
    let csrf = ApiKeyValue::with_description("X-Requested-With", "Always `clp`: keeps other sites' forms out.");
    components.add_security_scheme("csrf", SecurityScheme::ApiKey(ApiKey::Header(csrf)));
    for (name, schema) in &mut components.schemas {
        name_items(name, schema);
        describe_texts(schema);
    }
    for (path, item) in &mut document.paths.paths {
        for (unsafe_method, operation) in operations(item) {
            complete(operation, unsafe_method);
            if path.starts_with(limit::LIMITED) {
                operation.responses.responses.insert("429".to_owned(), too_many().into());
            }
        }
    }
    document
}

/// The document as the text that is checked in.
///
/// # Errors
/// When it can't be written as JSON, which would be a mistake in a handler's description.
pub fn text(document: &OpenApi) -> Result<String, serde_json::Error> {
    document.to_pretty_json().map(|json| json + "\n")
}

/// A list names the schema of its items, where a generic type would repeat it.
fn name_items(list: &str, schema: &mut RefOr<Schema>) {
    let Some(item) = list.strip_prefix("Page_").or_else(|| list.strip_prefix("Items_")) else { return };
    if let RefOr::T(Schema::Object(object)) = schema {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(item)).description(Some("The items.")).build();
        object.properties.insert("items".to_owned(), Schema::Array(items).into());
    }
}

/// What `extract::text` takes, for fields whose format is `line` or `text`.
fn describe_texts(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for property in object.properties.values_mut() {
        let RefOr::T(Schema::Object(text)) = property else { continue };
        let Some(SchemaFormat::Custom(format)) = &text.format else { continue };
        let unseen = match format.as_str() {
            "line" => r"\x00-\x1f\x7f-\x9f",
            "text" => r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f",
            _ => continue,
        };
        text.min_length = Some(1);
        text.pattern = Some(format!(r"^[^{unseen}]*[^\s\x00-\x1f\x7f-\x9f][^{unseen}]*$"));
    }
}

/// Every operation of a document, with its method and its route.
pub fn all(document: &OpenApi) -> impl Iterator<Item = (Method, &str, &Operation)> {
    document.paths.paths.iter().flat_map(|(path, item)| {
        let operations = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        operations.into_iter().filter_map(move |(method, operation)| Some((method, path.as_str(), operation.as_ref()?)))
    })
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let safe = item.get.iter_mut().map(|operation| (false, operation));
    let changing = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    safe.chain(changing.into_iter().flatten().map(|operation| (true, operation)))
}

/// What an idempotency key may be, wherever one is taken.
fn describe_key(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(parameter) = parameter
        && parameter.name == idempotency::HEADER
    {
        let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        let key = key.max_length(Some(idempotency::LONGEST_KEY)).pattern(Some(idempotency::KEY_PATTERN));
        parameter.schema = Some(Schema::Object(key.build()).into());
    }
}

fn problem() -> ResponseBuilder {
    let problem = RefOr::Ref(Ref::from_schema_name(Problem::name()));
    ResponseBuilder::new().content(PROBLEM_JSON, ContentBuilder::new().schema(Some(problem)).build())
}

/// The answer to who asks too much.
fn too_many() -> Response {
    let header =
        |kind, words: &str| HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(words)).build();
    let seconds = header(Type::Integer, "Seconds until it is worth asking again.");
    let policy = header(Type::String, "Each limit: so many requests (`q`) in so many seconds (`w`).");
    let state = header(Type::String, "What is left of each (`r`), and the seconds until it is whole again (`t`).");
    let response = problem().description("A limit or a quota is reached; the problem says which, and until when.");
    let response = response.header("Retry-After", seconds).header("RateLimit-Policy", policy);
    response.header("RateLimit", state).build()
}

/// Adds what holds for every operation: the problem that it may answer with, and who may ask.
fn complete(operation: &mut Operation, changes: bool) {
    operation.parameters.iter_mut().flatten().for_each(describe_key);
    let default = problem().description("A problem").build();
    operation.responses.responses.insert("default".to_owned(), default.into());
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "As asked.".clone_into(&mut response.description);
        }
    }
    if operation.security.is_none() {
        let mut requirement = SecurityRequirement::new("session", Vec::<String>::new());
        if changes {
            requirement = requirement.add("csrf", Vec::<String>::new());
        }
        operation.security = Some(vec![requirement]);
    }
}
