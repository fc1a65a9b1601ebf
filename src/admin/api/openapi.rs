//! The description of the admin address: OpenAPI 3.1, made of [`Endpoint`] and the types.

use super::{
    Endpoint,
    endpoint::{Body, Parameter, Who},
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
        let method = match endpoint.who() {
            Who::Changer => "post",
            Who::Anybody | Who::Reader => "get",
        };
        let operation = operation(endpoint, &mut schemas);
        paths.insert(endpoint.path().to_owned(), json!({ method: operation }));
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
        "responses": {
            "200": {"description": "As asked for.", "content": content},
            "default": {"description": "What is wrong, and what to do.", "content": text()},
        },
    });
    if let Some(asks) = endpoint.asks() {
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": asks(schemas)}},
        });
    }
    operation
}

fn parameter((name, kind, description): &Parameter) -> Value {
    json!({
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": kind},
    })
}
