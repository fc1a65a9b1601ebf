//! The description of the admin address: OpenAPI 3.1, made of [`Endpoint`] and the types.

use super::{
    Endpoint,
    endpoint::{Body, Form, Parameter, Who},
    query::{LINES, MOST_LINES, SORTS},
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The whole description.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in Endpoint::ALL {
        let operation = operation(endpoint, &mut schemas);
        let operations = match endpoint.who() {
            Who::Changer => json!({ "post": operation }),
            Who::Anybody | Who::Reader => json!({"head": head_of(&operation), "get": operation}),
        };
        paths.insert(endpoint.path().to_owned(), operations);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate's admin address",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are in seconds, sizes in bytes. What goes wrong is answered with a status of 400 or above and a line of text that says what to do.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of admin.token_file. From the same machine over loopback nothing is needed to read, and to change only where there is a token.",
                },
            },
        },
    })
}

fn operation(endpoint: Endpoint, schemas: &mut SchemaGenerator) -> Value {
    let text = || json!({"text/plain": {"schema": {"type": "string"}}});
    let content = match endpoint.answers() {
        Body::Json(schema) => json!({"application/json": {"schema": schema(schemas)}}),
        Body::Other(kind) => json!({ kind: {"schema": {"type": "string"}} }),
    };
    let mut operation = json!({
        "operationId": format!("{endpoint:?}").to_lowercase(),
        "summary": endpoint.summary(),
        "parameters": endpoint.parameters().iter().map(parameter).collect::<Vec<_>>(),
        "security": match endpoint.who() {
            Who::Anybody => json!([]),
            Who::Reader | Who::Changer => json!([{"token": []}, {}]),
        },
    });
    let wrong = |description: &str| json!({"description": description, "content": text()});
    let refusals = endpoint.refusals().into_iter();
    let mut responses: Map<_, _> = refusals
        .map(|(status, when)| (status.to_string(), wrong(when)))
        .collect();
    let asked_for = json!({"description": "As asked for.", "content": content});
    responses.insert("200".to_owned(), asked_for);
    let others = wrong("What is wrong, and what to do.");
    responses.insert("default".to_owned(), others);
    operation["responses"] = responses.into();
    if let Some(asks) = endpoint.asks() {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": asks(schemas)}},
        });
    }
    operation
}

/// The same without a body.
fn head_of(operation: &Value) -> Value {
    let mut head = operation.clone();
    let named = |key: &str| operation[key].as_str().unwrap_or_default();
    head["operationId"] = format!("{}_head", named("operationId")).into();
    head["summary"] = format!("{}: only the head of the answer", named("summary")).into();
    for response in head["responses"].as_object_mut().into_iter().flatten() {
        response
            .1
            .as_object_mut()
            .map(|response| response.remove("content"));
    }
    head
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.form {
        Form::Text => json!({"type": "string"}),
        Form::Number => json!({"type": "integer", "minimum": 0}),
        Form::Lines => {
            json!({"type": "integer", "minimum": 1, "maximum": MOST_LINES, "default": LINES})
        }
        Form::Sort => {
            json!({"type": "string", "enum": SORTS.map(|(name, _)| name), "default": SORTS[0].0})
        }
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": schema,
    })
}
