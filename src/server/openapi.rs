//! The OpenAPI document, written from the table of routes.

use super::door::Role;
use super::route::{ROUTES, Route};
use serde_json::{Map, Value, json};

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Headwater",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a running process can be asked. The same is answered on `control.sock` in its data \
                            directory, where whoever may open the socket is an operator.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of `auth` in headwater.yaml. Without `auth` none is needed, and only this machine \
                                can ask.",
            } },
            "schemas": { "Error": {
                "type": "object",
                "required": ["error"],
                "properties": { "error": { "type": "string" } },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let role = match route.role {
        Role::Reader => "For readers and operators.",
        Role::Operator => "For operators.",
    };
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "description": role,
        "x-role": route.role.name(),
        "responses": responses(route),
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &route.body {
        // A test of the table sees to it that it is JSON.
        let schema: Value = serde_json::from_str(body.schema).unwrap_or_default();
        operation["requestBody"] =
            json!({ "required": body.required, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 100 });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = route.query.iter().map(|parameter| {
        let (least, most) = parameter.range;
        let schema =
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": parameter.default });
        json!({ "name": parameter.name, "in": "query", "description": parameter.about, "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn responses(route: &Route) -> Value {
    let schema = match route.media {
        "application/json" => json!({ "type": "object" }),
        _ => json!({ "type": "string" }),
    };
    let mut responses = Map::new();
    let content = json!({ route.media: { "schema": schema } });
    responses.insert("200".to_owned(), json!({ "description": route.answer, "content": content }));
    let mut statuses = vec![400, 401, 403];
    statuses.extend(route.path.contains('{').then_some(404));
    statuses.extend(route.body.is_some().then_some([408, 413]).into_iter().flatten());
    statuses.extend(route.statuses);
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let content = match (route.id, status) {
            ("ready", 503) => json!({ "application/json": { "schema": { "type": "object" } } }),
            _ => json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } }),
        };
        let response = json!({ "description": said(status), "content": content });
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

/// What a status says.
fn said(status: u16) -> &'static str {
    match status {
        400 => "The request is not as it must be.",
        401 => "A token is needed.",
        403 => "Whoever asks may not.",
        404 => "There is no such pipeline or node.",
        408 => "The body did not arrive in time.",
        409 => "It cannot be done as things are.",
        413 => "The body is too long.",
        503 => "Not now.",
        _ => "It was tried and failed.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document() {
        let document = document();
        let count: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(count, ROUTES.len());
        let why = &document["paths"]["/api/v1/pipelines/{pipeline}/why/{node}"]["get"];
        assert_eq!((why["operationId"].as_str(), why["x-role"].as_str()), (Some("why"), Some("reader")));
        assert_eq!(why["parameters"][1]["name"], "node");
    }
}
