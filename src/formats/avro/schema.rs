//! Schemas, read from their JSON.

use serde_json::Value;
use std::collections::BTreeMap;

/// The most types that one schema may name.
const MOST_TYPES: usize = 10_000;

/// A type of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TypeId(usize);

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Type {
    Null,
    Bool,
    /// `int` and `long` are written alike.
    Long,
    /// A point in time, in so many parts of a millisecond.
    Time(i64),
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    /// A number as bytes (of a fixed length, if there is one), with so many digits behind the point.
    Decimal(Option<usize>, i32),
    Enum(Vec<String>),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: String,
    pub ty: TypeId,
    /// What stands where the field is missing.
    pub default: Option<Value>,
}

/// A schema: types that name each other.
#[derive(Clone, Debug)]
pub struct Schema {
    types: Vec<Type>,
    root: TypeId,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Schema, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let mut making = Making { types: Vec::new(), named: BTreeMap::new() };
        let root = making.read(&json, "")?;
        Ok(Schema { types: making.types, root })
    }

    pub(super) fn root(&self) -> TypeId {
        self.root
    }

    pub(super) fn ty(&self, id: TypeId) -> &Type {
        &self.types[id.0]
    }

    /// The names of the fields, if it is a record.
    pub fn fields(&self) -> Option<impl Iterator<Item = &str>> {
        match self.ty(self.root) {
            Type::Record(fields) => Some(fields.iter().map(|field| field.name.as_str())),
            _ => None,
        }
    }
}

struct Making {
    types: Vec<Type>,
    /// Records, enums and fixed, by their full names.
    named: BTreeMap<String, TypeId>,
}

impl Making {
    fn add(&mut self, ty: Type) -> Result<TypeId, String> {
        if self.types.len() >= MOST_TYPES {
            return Err(format!("it has more than {MOST_TYPES} types"));
        }
        self.types.push(ty);
        Ok(TypeId(self.types.len() - 1))
    }

    fn read(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, namespace));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(_) => self.complex(json, namespace),
            _ => Err(format!("`{json}` is no type")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<TypeId, String> {
        if let Some(plain) = plain(name) {
            return self.add(plain);
        }
        let known = self.named.get(&full_name(name, namespace)).or_else(|| self.named.get(name));
        known.copied().ok_or_else(|| format!("there is no type `{name}`"))
    }

    fn complex(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        let inner = &json["type"];
        let Some(kind) = inner.as_str() else { return self.read(inner, namespace) };
        let text = |key: &str| json[key].as_str();
        match kind {
            "record" | "error" => self.record(json, namespace),
            "enum" => {
                let symbols = json["symbols"].as_array().ok_or("an enum without `symbols`")?;
                let symbols = symbols.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                let id = self.add(Type::Enum(symbols))?;
                self.name(json, namespace, id)
            }
            "fixed" => {
                let size = json["size"].as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("a fixed without `size`")?;
                let id = self.add(logical(Type::Fixed(size), json)?)?;
                self.name(json, namespace, id)
            }
            "array" => {
                let items = self.read(&json["items"], namespace)?;
                self.add(Type::Array(items))
            }
            "map" => {
                let values = self.read(&json["values"], namespace)?;
                self.add(Type::Map(values))
            }
            _ => match (plain(kind), text("logicalType")) {
                (Some(ty), Some(_)) => self.add(logical(ty, json)?),
                _ => self.named(kind, namespace),
            },
        }
    }

    fn record(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        // It may stand within itself, so its name is known before its fields are.
        let id = self.add(Type::Record(Vec::new()))?;
        self.name(json, namespace, id)?;
        let name = json["name"].as_str().unwrap_or_default();
        let inner = match (json["namespace"].as_str(), name.rsplit_once('.')) {
            (_, Some((own, _))) | (Some(own), None) => own,
            (None, None) => namespace,
        };
        let fields = json["fields"].as_array().ok_or_else(|| format!("record `{name}` has no `fields`"))?;
        let fields = fields.iter().map(|field| {
            let name = field["name"].as_str().ok_or("a field without a name")?.to_owned();
            let ty = self.read(&field["type"], inner).map_err(|error| format!("field `{name}`: {error}"))?;
            Ok(Field { name, ty, default: field.get("default").cloned() })
        });
        let fields = fields.collect::<Result<Vec<_>, String>>()?;
        self.types[id.0] = Type::Record(fields);
        Ok(id)
    }

    fn name(&mut self, json: &Value, namespace: &str, id: TypeId) -> Result<TypeId, String> {
        let name = json["name"].as_str().ok_or("a record, enum or fixed without a name")?;
        self.named.insert(full_name(name, json["namespace"].as_str().unwrap_or(namespace)), id);
        Ok(id)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn plain(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Bool,
        "int" | "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::Text,
        _ => return None,
    })
}

/// What a type means beyond its form. An unknown meaning is none, as the specification wants it.
fn logical(ty: Type, json: &Value) -> Result<Type, String> {
    let scale = || {
        let scale = json.get("scale").map_or(Some(0), Value::as_i64);
        scale
            .filter(|scale| (0..=38).contains(scale))
            .map(|scale| scale as i32)
            .ok_or("a scale beyond 0 to 38")
    };
    Ok(match (json["logicalType"].as_str(), &ty) {
        (Some("timestamp-millis" | "local-timestamp-millis"), Type::Long) => Type::Time(1),
        (Some("timestamp-micros" | "local-timestamp-micros"), Type::Long) => Type::Time(1_000),
        (Some("timestamp-nanos" | "local-timestamp-nanos"), Type::Long) => Type::Time(1_000_000),
        (Some("decimal"), Type::Bytes) => Type::Decimal(None, scale()?),
        (Some("decimal"), Type::Fixed(size)) if *size <= 16 => Type::Decimal(Some(*size), scale()?),
        _ => ty,
    })
}
