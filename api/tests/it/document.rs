//! The checked-in document is the one that the handlers make.

use std::path::Path;

#[test]
fn the_checked_in_document_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = api::openapi::text(&api::document()).unwrap();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
    // The documents are long: what differs is seen in version control.
    assert!(checked_in == made, "api/openapi.json is not current: run this test once with UPDATE_OPENAPI=1");
}

#[test]
fn every_operation_has_a_name_a_tag_and_a_problem() {
    let document = serde_json::to_value(api::document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && names.insert(name.to_owned()), "{method} {path}: {name:?}");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{name}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{name}");
        }
    }
}
